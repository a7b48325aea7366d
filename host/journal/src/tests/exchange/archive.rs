//! Export and import of archives, and invalid files.

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    ArchiveError, CreatedRecord, Durability, EndedRecord, EpisodeArchive, EpisodeFilter, EpisodeId,
    EpisodeState, ImportOptions, ImportOrigin, ImportOutcome, ImportedReceipt, Journal,
    JournalError, JournalStore, Receipt, ReceiptSigner, Record, SealedSecrets,
};
use orwd_model::{Digest, SessionId, Timestamp};

/// Imports for `bob`, with a directory for the data.
fn options() -> ImportOptions {
    ImportOptions {
        owner: Some("bob".to_owned()),
        data: Some("/data".into()),
        now: Timestamp::now(),
    }
}

/// Reads the file of an episode with these records.
fn archive_of(id: EpisodeId, records: &[Record]) -> EpisodeArchive {
    let store = store_with(id, records);
    let mut file = Vec::new();
    EpisodeArchive::export(&store, id)
        .unwrap()
        .write(&mut file)
        .unwrap();
    EpisodeArchive::read(&file[..]).unwrap()
}

fn created(change: impl FnOnce(&mut CreatedRecord)) -> Record {
    let mut created = sample::created(Some("alice"), "s");
    change(&mut created);
    Record::Created(Box::new(created))
}

fn store_with(id: EpisodeId, records: &[Record]) -> MemoryStore {
    let store = MemoryStore::new();
    store.append(&sample::entries(id, records)).unwrap();
    store
}

fn exported(calls: u64, component: bool) -> (EpisodeId, Vec<u8>) {
    let id = EpisodeId::new();
    let store = store_with(id, &sample::episode(Some("alice"), "s", calls));
    let mut archive = EpisodeArchive::export(&store, id).unwrap();
    if component {
        archive = archive.with_component(b"component".to_vec()).unwrap();
    }
    let mut file = Vec::new();
    archive.write(&mut file).unwrap();
    (id, file)
}

#[test]
fn an_imported_episode_equals_the_exported_one() {
    for component in [false, true] {
        let (id, file) = exported(3, component);
        let archive = EpisodeArchive::read(&file[..]).unwrap();
        assert_eq!(archive.component().is_some(), component);
        assert_eq!(archive.history().steps().len(), 3);
        assert_eq!(archive.history_prefix(3).unwrap().unwrap().steps().len(), 1);
        assert!(archive.history_prefix(8).is_none());
        let store = MemoryStore::new();
        assert_eq!(
            archive.import(&store, &options()).unwrap(),
            ImportOutcome::Added
        );
        assert_eq!(
            archive.import(&store, &options()).unwrap(),
            ImportOutcome::AlreadyPresent
        );
        let again = EpisodeArchive::export(&store, id).unwrap();
        assert_eq!(again.history().steps(), archive.history().steps());
        assert_eq!(again.history().tip(), archive.history().tip());
        assert_eq!(store.list(&EpisodeFilter::default()).unwrap().len(), 1);
    }
}

#[test]
fn a_component_of_another_version_is_refused() {
    let id = EpisodeId::new();
    let store = store_with(id, &sample::episode(None, "s", 1));
    let archive = EpisodeArchive::export(&store, id).unwrap();
    assert_ne!(Digest::of(b"other"), archive.history().created().component);
    let refused = archive.with_component(b"other".to_vec()).unwrap_err();
    assert!(refused.to_string().contains("not the one"), "{refused}");
}

#[test]
fn an_import_changes_no_existing_episode() {
    let (id, file) = exported(2, false);
    let archive = EpisodeArchive::read(&file[..]).unwrap();
    let shorter = store_with(id, &sample::episode(Some("alice"), "s", 1));
    let refused = archive.import(&shorter, &options()).unwrap_err();
    assert!(
        matches!(refused, ArchiveError::Differs(of) if of == id),
        "{refused}"
    );
    assert_eq!(shorter.read(id, 0).unwrap().len(), 3);
    let namesake = store_with(EpisodeId::new(), &sample::episode(Some("bob"), "s", 0));
    let refused = archive.import(&namesake, &options()).unwrap_err();
    assert!(matches!(refused, ArchiveError::Exists { .. }), "{refused}");
    assert!(
        namesake.episode(id).unwrap().is_none(),
        "a part of it was imported"
    );
}

#[test]
fn an_invalid_file_is_refused_without_large_allocations() {
    let (_, file) = exported(1, false);
    let magic = b"orwd episode\n";
    let with = |rest: &[u8]| [&magic[..], &[1], rest].concat();
    let giant = [&[b'r'][..], &u64::MAX.to_be_bytes()].concat();
    let truncated = [&[b'h'][..], &4000u64.to_be_bytes(), b"short"].concat();
    let mut headless = file[..14].to_vec();
    headless.extend_from_slice(&[b'e', 0, 0, 0, 0, 0, 0, 0, 0]);
    let longer = [&file[..], b"x"].concat();
    for (file, expected) in [
        (b"".to_vec(), "this is not an exported episode"),
        (
            b"\x7fELF and so on and on".to_vec(),
            "this is not an exported episode",
        ),
        ([&magic[..], &[3]].concat(), "the file is of version 3"),
        (with(b""), "the file is damaged: it has no head"),
        (
            with(&giant),
            "the file is damaged: Record of 18446744073709551615 bytes is more than",
        ),
        (with(&truncated), "the file is damaged: it breaks off"),
        (
            with(b"z\0\0\0\0\0\0\0\0"),
            "the file is damaged: there is no frame 0x7a",
        ),
        (headless, "the file is damaged: it has no head"),
        (longer, "the file is damaged: something follows its end"),
    ] {
        let error = EpisodeArchive::read(&file[..]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error:?} is not {expected:?}");
    }
}

#[test]
fn a_file_with_a_flipped_bit_or_a_missing_end_is_refused_or_equal() {
    let (_, file) = exported(1, true);
    let whole = EpisodeArchive::read(&file[..]).unwrap();
    let mut named = 0;
    for at in 0..file.len() {
        assert!(
            EpisodeArchive::read(&file[..at]).is_err(),
            "{at} bytes of it"
        );
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        match EpisodeArchive::read(&flipped[..]) {
            Err(ArchiveError::Journal(error)) => {
                named += usize::from(error.to_string().contains("record "));
            }
            Err(_) => {}
            // Only the version of the host in the head differs.
            Ok(other) => assert_eq!(other.history(), whole.history(), "byte {at}"),
        }
    }
    assert!(named > 100, "{named} refusals name a record");
}

#[test]
fn an_import_takes_nothing_from_the_file_that_decides_about_access() {
    let id = EpisodeId::new();
    let mut records = sample::episode(Some("alice"), "s", 1);
    records.push(sample::ended());
    let archive = archive_of(id, &records);
    let (store, options) = (MemoryStore::new(), options());
    archive.import(&store, &options).unwrap();
    let index = store.episode(id).unwrap().unwrap();
    assert_eq!(index.header.owner.as_deref(), Some("bob"));
    let import = ImportOrigin {
        records: 4,
        data: Some("/data".into()),
    };
    assert_eq!(index.header.import, Some(import));
    assert_eq!(
        index.state,
        EpisodeState::Ended(options.now),
        "retention begins with the import"
    );
    let session = SessionId::new("s").unwrap();
    assert_eq!(store.find(Some("alice"), &session).unwrap(), None);
}

#[tokio::test]
async fn no_receipt_covers_what_another_host_ran() {
    let id = EpisodeId::new();
    let archive = archive_of(id, &sample::episode(Some("alice"), "s", 2));
    let store = MemoryStore::new();
    archive.import(&store, &options()).unwrap();
    let journal = Journal::with_store(store.clone(), Durability::Process, None).unwrap();
    let refused = journal.receipt(id).await.unwrap_err();
    assert!(matches!(refused, JournalError::Imported(of) if of == id));
    // The session goes on here: two calls of another host, then one of ours.
    let history = journal.history(id).await.unwrap();
    assert_eq!(history.imported(), 5);
    let mut writer = journal.resume(&history);
    writer.append(&sample::call(7)).await.unwrap();
    writer
        .append(&sample::outcome(5, Some(0.25)))
        .await
        .unwrap();
    let receipt = journal.receipt(id).await.unwrap();
    let body = &receipt.receipt;
    assert_eq!(body.imported_records, 5);
    assert_eq!(body.environment, "imported:counter");
    assert_eq!(body.calls.len(), 1);
    assert_eq!(body.total_reward, 0.25);
    receipt.verify(None).unwrap();
    let text = receipt.to_json().unwrap();
    let receipt = Receipt::parse(&text).unwrap();
    // Exported again, it matches the file.
    let again = EpisodeArchive::export(&store, id).unwrap();
    let mut file = Vec::new();
    again.write(&mut file).unwrap();
    let again = EpisodeArchive::read(&file[..]).unwrap();
    assert_eq!(receipt.compare(again.history()), Ok(()));
}

#[test]
fn a_request_that_a_file_left_open_is_run_here() {
    let id = EpisodeId::new();
    let mut records = sample::episode(None, "s", 1);
    records.push(sample::call(1));
    let archive = archive_of(id, &records);
    let store = MemoryStore::new();
    archive.import(&store, &options()).unwrap();
    records.push(sample::outcome(3, Some(1.0)));
    let mut entries = sample::entries(id, &records);
    store.append(&entries.split_off(4)).unwrap();
    let history = EpisodeArchive::export(&store, id)
        .unwrap()
        .history()
        .clone();
    let here: Vec<bool> = history
        .steps()
        .iter()
        .map(|step| history.ran_here(step))
        .collect();
    assert_eq!(here, [false, true]);
}

#[test]
fn the_receipt_of_the_host_that_ran_it_travels_along() {
    let id = EpisodeId::new();
    let mut records = sample::episode(None, "s", 2);
    records.push(sample::ended());
    let (store, signer) = (store_with(id, &records), ReceiptSigner::random());
    let mut file = Vec::new();
    let archive = EpisodeArchive::export(&store, id)
        .unwrap()
        .with_receipt(&signer);
    archive.write(&mut file).unwrap();
    let archive = EpisodeArchive::read(&file[..]).unwrap();
    let there = MemoryStore::new();
    archive.import(&there, &options()).unwrap();
    // Another host adds none, since it ran nothing.
    let other = ReceiptSigner::random();
    let again = EpisodeArchive::export(&there, id)
        .unwrap()
        .with_receipt(&other);
    let [receipt] = again.receipts() else {
        panic!("{:?}", again.receipts());
    };
    assert_eq!(receipt.verify(Some(&signer.key())), Ok(signer.key()));
    assert_eq!(receipt.receipt.total_reward, 1.0);
    // A receipt of other records is refused.
    let lie = Receipt::sign(
        archive_of(EpisodeId::new(), &sample::episode(None, "s", 1)).history(),
        &signer,
    );
    let lie = ImportedReceipt {
        key: lie.key.clone(),
        text: lie.to_json().unwrap(),
    };
    there.set_receipts(id, &[lie]).unwrap();
    let mut file = Vec::new();
    EpisodeArchive::export(&there, id)
        .unwrap()
        .write(&mut file)
        .unwrap();
    let refused = EpisodeArchive::read(&file[..]).unwrap_err().to_string();
    assert!(refused.contains("its receipt"), "{refused}");
}

#[test]
fn a_file_that_could_confuse_the_journal_is_refused() {
    let future = Timestamp::now().saturating_add(std::time::Duration::from_secs(200_000));
    let ended = |at| Record::Ended(EndedRecord { at, ..*end() });
    fn end() -> Box<EndedRecord> {
        match sample::ended() {
            Record::Ended(ended) => Box::new(ended),
            _ => unreachable!(),
        }
    }
    let late_id = EpisodeId::from_bytes([0xff; 16]);
    let plain = created(|_| ());
    for (id, records, expected) in [
        (
            late_id,
            vec![plain.clone(), sample::ended()],
            "a time in the future",
        ),
        (
            EpisodeId::new(),
            vec![created(|created| created.start = future), sample::ended()],
            "a time in the future",
        ),
        (
            EpisodeId::new(),
            vec![plain, ended(future)],
            "a time in the future",
        ),
        (
            EpisodeId::new(),
            vec![created(|created| {
                created.secrets = SealedSecrets::Sealed(vec![1])
            })],
            "has secrets and has not ended",
        ),
        (
            EpisodeId::new(),
            vec![
                created(|created| created.session = SessionId::new("a\u{1b}[2Jb").unwrap()),
                sample::ended(),
            ],
            "control characters",
        ),
    ] {
        let store = MemoryStore::new();
        let refused = archive_of(id, &records)
            .import(&store, &options())
            .unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
        assert!(store.list(&EpisodeFilter::default()).unwrap().is_empty());
    }
    let mut gap = sample::episode(None, "s", 1);
    gap.remove(2);
    gap.push(sample::call(1));
    let refused = archive_of(EpisodeId::new(), &gap)
        .import(&MemoryStore::new(), &options())
        .unwrap_err();
    assert!(refused.to_string().contains("no outcome"), "{refused}");
    let archive = archive_of(EpisodeId::new(), &sample::episode(None, "s", 1));
    let without_data = ImportOptions {
        data: None,
        ..options()
    };
    let refused = archive
        .import(&MemoryStore::new(), &without_data)
        .unwrap_err();
    assert!(refused.to_string().contains("--data DIR"), "{refused}");
}

#[test]
fn an_import_hides_no_session_that_this_host_ran() {
    let mut records = sample::episode(Some("bob"), "s", 1);
    records.push(sample::ended());
    let store = store_with(EpisodeId::from_bytes([1; 16]), &records);
    let archive = archive_of(EpisodeId::new(), &records);
    let refused = archive.import(&store, &options()).unwrap_err();
    assert!(matches!(refused, ArchiveError::Exists { .. }), "{refused}");
    // Beside another imported one it may be.
    let store = MemoryStore::new();
    for _ in 0..2 {
        let archive = archive_of(EpisodeId::new(), &records);
        let outcome = archive.import(&store, &options()).unwrap();
        assert_eq!(outcome, ImportOutcome::Added);
    }
}
