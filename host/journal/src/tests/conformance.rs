//! The common behaviour of all stores.

use tempfile::TempDir;

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    AppendEntry, AppendResult, Durability, EpisodeFilter, EpisodeHistory, EpisodeId, EpisodeState,
    ImportOrigin, ImportedReceipt, IndexChange, JournalError, JournalStore, SqliteStore,
};
use orwd_model::{SessionId, Timestamp};

/// Runs a test with every store.
fn each(test: impl Fn(&dyn JournalStore)) {
    test(&MemoryStore::new());
    for durability in [Durability::Process, Durability::Power] {
        let dir = TempDir::new().unwrap();
        test(&SqliteStore::open(dir.path(), durability).unwrap());
    }
}

fn begin(store: &dyn JournalStore, session: &str, calls: u64) -> (EpisodeId, Vec<AppendEntry>) {
    let id = EpisodeId::new();
    let entries = sample::entries(id, &sample::episode(Some("alice"), session, calls));
    let put = store.append(&entries).unwrap();
    assert!(
        put.iter().all(|put| *put == AppendResult::Appended),
        "{put:?}"
    );
    (id, entries)
}

#[test]
fn reads_records_in_order_and_from_any_slot() {
    each(|store| {
        let (id, entries) = begin(store, "s", 3);
        let rows = store.read(id, 0).unwrap();
        assert_eq!(rows.len(), entries.len());
        for (row, entry) in rows.iter().zip(&entries) {
            assert_eq!(
                (row.seq, &row.bytes, row.link),
                (entry.seq, &entry.bytes, entry.link)
            );
        }
        assert_eq!(store.read(id, 5).unwrap(), rows[5..]);
        assert_eq!(store.read(id, 7).unwrap(), []);
        assert_eq!(store.read(EpisodeId::new(), 0).unwrap(), []);
        let history = EpisodeHistory::read(id, &rows).unwrap();
        assert_eq!(history.steps().len(), 3);
        assert_eq!(history.next(), 7);
    });
}

#[test]
fn an_append_can_be_repeated() {
    each(|store| {
        let (id, entries) = begin(store, "s", 3);
        let again = store.append(&entries).unwrap();
        assert!(
            again.iter().all(|put| *put == AppendResult::AlreadyPresent),
            "{again:?}"
        );
        assert_eq!(store.read(id, 0).unwrap().len(), entries.len());
    });
}

#[test]
fn a_second_writer_is_fenced() {
    each(|store| {
        let (id, _) = begin(store, "s", 2);
        let mut other = sample::episode(Some("alice"), "s", 2);
        other[3] = sample::call(77);
        let second = sample::entries(id, &other);
        let put = store.append(&second).unwrap();
        let expected = [
            AppendResult::AlreadyPresent,
            AppendResult::AlreadyPresent,
            AppendResult::AlreadyPresent,
            AppendResult::SlotTaken,
            AppendResult::SlotTaken,
        ];
        assert_eq!(put, expected);
        let history = EpisodeHistory::read(id, &store.read(id, 0).unwrap()).unwrap();
        assert_eq!(history.steps().len(), 2);
    });
}

#[test]
fn no_record_follows_an_empty_slot() {
    each(|store| {
        let id = EpisodeId::new();
        let entries = sample::entries(id, &sample::episode(None, "s", 2));
        assert_eq!(store.append(&entries[1..2]).unwrap(), [AppendResult::Gap]);
        assert_eq!(
            store.append(&entries[..1]).unwrap(),
            [AppendResult::Appended]
        );
        assert_eq!(store.append(&entries[2..3]).unwrap(), [AppendResult::Gap]);
        assert_eq!(
            store.append(&entries[1..3]).unwrap(),
            [AppendResult::Appended; 2]
        );
    });
}

#[test]
fn no_record_follows_the_end() {
    each(|store| {
        let id = EpisodeId::new();
        let mut records = sample::episode(None, "s", 1);
        records.push(sample::ended());
        records.push(sample::call(5));
        let put = store.append(&sample::entries(id, &records)).unwrap();
        assert_eq!(put.last(), Some(&AppendResult::SlotTaken));
        let index = store.episode(id).unwrap().unwrap();
        assert_eq!(
            (index.state, index.head),
            (EpisodeState::Ended(Timestamp::from_nanos(99)), 3)
        );
    });
}

#[test]
fn a_second_live_episode_of_a_session_id_is_refused() {
    each(|store| {
        let id = EpisodeId::new();
        let first = sample::entries(id, &sample::episode(None, "s", 0));
        let second = sample::entries(EpisodeId::new(), &sample::episode(None, "s", 0));
        let theirs = sample::entries(EpisodeId::new(), &sample::episode(Some(""), "s", 0));
        let batch = [&first[..], &second, &theirs].concat();
        assert_eq!(
            store.append(&batch).unwrap(),
            [
                AppendResult::Appended,
                AppendResult::SessionExists,
                AppendResult::Appended
            ]
        );
        let mut records = sample::episode(None, "s", 0);
        records.push(sample::ended());
        let end = sample::entries(id, &records);
        assert_eq!(store.append(&end[1..]).unwrap(), [AppendResult::Appended]);
        assert_eq!(store.append(&second).unwrap(), [AppendResult::Appended]);
    });
}

#[test]
fn finds_the_newest_episode_of_the_owner_only() {
    each(|store| {
        let old = EpisodeId::from_bytes([1; 16]);
        let new = EpisodeId::from_bytes([2; 16]);
        let mut records = sample::episode(Some("alice"), "s", 0);
        records.push(sample::ended());
        store.append(&sample::entries(old, &records)).unwrap();
        store.append(&sample::entries(new, &records)).unwrap();
        let session = SessionId::new("s").unwrap();
        let found = |owner| {
            store
                .find(owner, &session)
                .unwrap()
                .map(|episode| episode.id)
        };
        assert_eq!(found(Some("alice")), Some(new));
        assert_eq!(found(Some("bob")), None);
        assert_eq!(found(None), None);
    });
}

#[test]
fn the_list_is_filtered_and_paged() {
    each(|store| {
        for n in 1..=6u8 {
            let owner = (n % 2 == 0).then_some("alice");
            let mut records = sample::episode(owner, &format!("s{n}"), 0);
            if n > 4 {
                records.push(sample::ended());
            }
            let id = EpisodeId::from_bytes([n; 16]);
            store.append(&sample::entries(id, &records)).unwrap();
        }
        let list = |filter: EpisodeFilter| -> Vec<u8> {
            let found = store.list(&filter).unwrap();
            found
                .iter()
                .map(|episode| episode.id.as_bytes()[0])
                .collect()
        };
        let all = EpisodeFilter::default();
        assert_eq!(list(all.clone()), [6, 5, 4, 3, 2, 1]);
        assert_eq!(
            list(EpisodeFilter {
                live: true,
                ..all.clone()
            }),
            [4, 3, 2, 1]
        );
        let owner = |owner: Option<&str>| EpisodeFilter {
            owner: Some(owner.map(str::to_owned)),
            ..EpisodeFilter::default()
        };
        assert_eq!(list(owner(None)), [5, 3, 1]);
        assert_eq!(list(owner(Some("alice"))), [6, 4, 2]);
        let page = EpisodeFilter {
            before: Some(EpisodeId::from_bytes([5; 16])),
            limit: Some(2),
            ..all
        };
        assert_eq!(list(page), [4, 3]);
    });
}

#[test]
fn the_first_inserted_value_stays() {
    each(|store| {
        assert_eq!(store.get_or_insert("key", b"one").unwrap(), b"one");
        assert_eq!(store.get_or_insert("key", b"two").unwrap(), b"one");
        assert_eq!(store.get_or_insert("other", b"two").unwrap(), b"two");
        store.set_value("key", b"three").unwrap();
        store.set_value("new", b"four").unwrap();
        assert_eq!(store.get_or_insert("key", b"two").unwrap(), b"three");
        assert_eq!(store.get_or_insert("new", b"two").unwrap(), b"four");
    });
}

#[test]
fn the_origin_of_an_imported_episode_and_its_receipts_are_kept() {
    each(|store| {
        let id = EpisodeId::new();
        let mut entries = sample::entries(id, &sample::episode(None, "s", 1));
        let import = ImportOrigin {
            records: 2,
            data: Some("/somewhere".into()),
        };
        let IndexChange::Begin(header) = &mut entries[0].change else {
            panic!("no beginning");
        };
        header.import = Some(import.clone());
        store.append(&entries).unwrap();
        let origin = |id| store.episode(id).unwrap().unwrap().header.import;
        assert_eq!(origin(id), Some(import));
        let (own, _) = begin(store, "t", 0);
        assert_eq!(origin(own), None);
        assert_eq!(store.receipts(id).unwrap(), []);
        let receipt = |text: &str| ImportedReceipt {
            key: format!("key of {text}"),
            text: text.to_owned(),
        };
        for receipts in [vec![receipt("one"), receipt("two")], vec![receipt("3")]] {
            store.set_receipts(id, &receipts).unwrap();
            assert_eq!(store.receipts(id).unwrap(), receipts);
            let keys = store.receipt_keys(id).unwrap();
            assert!(keys.iter().eq(receipts.iter().map(|receipt| &receipt.key)));
        }
        assert_eq!(store.receipts(own).unwrap(), []);
        store.purge(id).unwrap();
        assert_eq!(store.receipts(id).unwrap(), []);
    });
}

#[test]
fn a_purge_leaves_other_episodes_unchanged() {
    each(|store| {
        let (gone, _) = begin(store, "a", 3);
        let (stays, entries) = begin(store, "b", 3);
        store.purge(gone).unwrap();
        store.purge(gone).unwrap();
        assert_eq!(store.episode(gone).unwrap(), None);
        assert_eq!(store.read(gone, 0).unwrap(), []);
        assert_eq!(store.read(stays, 0).unwrap().len(), entries.len());
        assert_eq!(store.list(&EpisodeFilter::default()).unwrap().len(), 1);
        begin(store, "a", 1);
    });
}

#[test]
fn a_reopened_database_has_the_same_records() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let (id, entries) = begin(&store, "s", 40);
    let (gone, _) = begin(&store, "gone", 2);
    store.purge(gone).unwrap();
    let before = store.read(id, 0).unwrap();
    drop(store);
    let store = SqliteStore::open(dir.path(), Durability::Power).unwrap();
    assert_eq!(store.read(id, 0).unwrap(), before);
    assert_eq!(before.len(), entries.len());
    assert_eq!(store.list(&EpisodeFilter::default()).unwrap().len(), 1);
}

#[test]
fn a_directory_has_one_host_and_any_number_of_visitors() {
    let dir = TempDir::new().unwrap();
    let missing = SqliteStore::visit(dir.path()).unwrap_err();
    assert!(matches!(missing, JournalError::Io(_)), "{missing}");
    let host = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let (id, entries) = begin(&host, "s", 1);
    let second = SqliteStore::open(dir.path(), Durability::Process).unwrap_err();
    assert!(second.to_string().contains("another orwd uses"), "{second}");
    let visitor = SqliteStore::visit(dir.path()).unwrap();
    assert_eq!(visitor.read(id, 0).unwrap().len(), entries.len());
    begin(&visitor, "imported", 1);
    begin(&host, "s2", 1);
    assert_eq!(visitor.list(&EpisodeFilter::default()).unwrap().len(), 3);
    drop(host);
    SqliteStore::open(dir.path(), Durability::Process).unwrap();
}

#[test]
fn only_the_owner_may_read_the_state_files() {
    use std::os::unix::fs::PermissionsExt;
    let above = TempDir::new().unwrap();
    let dir = above.path().join("deep/state");
    let store = SqliteStore::open(&dir, Durability::Process).unwrap();
    begin(&store, "s", 1);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let expected = [
        "commits",
        "format",
        "journal.db",
        "journal.db-shm",
        "journal.db-wal",
        "lock",
    ];
    assert_eq!(names, expected);
}
