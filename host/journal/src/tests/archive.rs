//! Export and import of archives, and invalid files.

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    ArchiveError, EpisodeArchive, EpisodeFilter, EpisodeId, ImportOutcome, JournalStore, Record,
};
use orwd_model::Digest;

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
        assert_eq!(archive.import(&store).unwrap(), ImportOutcome::Added);
        assert_eq!(
            archive.import(&store).unwrap(),
            ImportOutcome::AlreadyPresent
        );
        let again = EpisodeArchive::export(&store, id).unwrap();
        assert_eq!(again.history(), archive.history());
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
    let refused = archive.import(&shorter).unwrap_err();
    assert!(
        matches!(refused, ArchiveError::Differs(of) if of == id),
        "{refused}"
    );
    assert_eq!(shorter.read(id, 0).unwrap().len(), 3);
    let namesake = store_with(EpisodeId::new(), &sample::episode(Some("alice"), "s", 0));
    let refused = archive.import(&namesake).unwrap_err();
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
        ([&magic[..], &[2]].concat(), "the file is of version 2"),
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
