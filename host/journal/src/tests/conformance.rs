//! What every store does alike.

use tempfile::TempDir;

use crate::testing as sample;
use crate::{
    At, Durability, Entry, EpisodeId, EpisodeState, Filter, History, JournalError, MemoryStore,
    Put, SqliteStore, Store,
};
use orwd_model::SessionId;

/// Runs a story over every store.
fn each(story: impl Fn(&dyn Store)) {
    story(&MemoryStore::new());
    for durability in [Durability::Process, Durability::Power] {
        let dir = TempDir::new().unwrap();
        story(&SqliteStore::open(dir.path(), durability).unwrap());
    }
}

fn begin(store: &dyn Store, session: &str, calls: u64) -> (EpisodeId, Vec<Entry>) {
    let id = EpisodeId::new();
    let entries = sample::entries(id, &sample::episode(Some("alice"), session, calls));
    let put = store.append(&entries).unwrap();
    assert!(put.iter().all(|put| *put == Put::Done), "{put:?}");
    (id, entries)
}

#[test]
fn what_was_appended_is_read_in_order_and_from_any_slot() {
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
        let history = History::read(id, &rows).unwrap();
        assert_eq!(history.steps().len(), 3);
        assert_eq!(history.next(), 7);
    });
}

#[test]
fn a_lost_answer_is_made_good_by_repeating_the_append() {
    each(|store| {
        let (id, entries) = begin(store, "s", 3);
        let again = store.append(&entries).unwrap();
        assert!(again.iter().all(|put| *put == Put::Already), "{again:?}");
        assert_eq!(store.read(id, 0).unwrap().len(), entries.len());
    });
}

#[test]
fn a_zombie_that_writes_another_future_is_fenced() {
    each(|store| {
        let (id, _) = begin(store, "s", 2);
        let mut other = sample::episode(Some("alice"), "s", 2);
        other[3] = sample::call(77);
        let zombie = sample::entries(id, &other);
        let put = store.append(&zombie).unwrap();
        let expected = [
            Put::Already,
            Put::Already,
            Put::Already,
            Put::Taken,
            Put::Taken,
        ];
        assert_eq!(put, expected);
        let history = History::read(id, &store.read(id, 0).unwrap()).unwrap();
        assert_eq!(history.steps().len(), 2);
    });
}

#[test]
fn no_record_stands_behind_an_empty_slot() {
    each(|store| {
        let id = EpisodeId::new();
        let entries = sample::entries(id, &sample::episode(None, "s", 2));
        assert_eq!(store.append(&entries[1..2]).unwrap(), [Put::Gap]);
        assert_eq!(store.append(&entries[..1]).unwrap(), [Put::Done]);
        assert_eq!(store.append(&entries[2..3]).unwrap(), [Put::Gap]);
        assert_eq!(store.append(&entries[1..3]).unwrap(), [Put::Done; 2]);
    });
}

#[test]
fn nothing_follows_the_end() {
    each(|store| {
        let id = EpisodeId::new();
        let mut records = sample::episode(None, "s", 1);
        records.push(sample::ended());
        records.push(sample::call(5));
        let put = store.append(&sample::entries(id, &records)).unwrap();
        assert_eq!(put.last(), Some(&Put::Taken));
        let index = store.episode(id).unwrap().unwrap();
        assert_eq!((index.state, index.head), (EpisodeState::Ended(At(99)), 3));
    });
}

#[test]
fn of_two_live_episodes_with_one_name_the_second_is_not_begun() {
    each(|store| {
        let id = EpisodeId::new();
        let first = sample::entries(id, &sample::episode(None, "s", 0));
        let second = sample::entries(EpisodeId::new(), &sample::episode(None, "s", 0));
        let theirs = sample::entries(EpisodeId::new(), &sample::episode(Some(""), "s", 0));
        let batch = [&first[..], &second, &theirs].concat();
        assert_eq!(
            store.append(&batch).unwrap(),
            [Put::Done, Put::Exists, Put::Done]
        );
        let mut records = sample::episode(None, "s", 0);
        records.push(sample::ended());
        let end = sample::entries(id, &records);
        assert_eq!(store.append(&end[1..]).unwrap(), [Put::Done]);
        assert_eq!(store.append(&second).unwrap(), [Put::Done]);
    });
}

#[test]
fn a_name_finds_its_newest_episode_and_no_other_owner_s() {
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
fn the_list_is_filtered_and_comes_in_pages() {
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
        let list = |filter: Filter| -> Vec<u8> {
            let found = store.list(&filter).unwrap();
            found
                .iter()
                .map(|episode| episode.id.as_bytes()[0])
                .collect()
        };
        let all = Filter::default();
        assert_eq!(list(all.clone()), [6, 5, 4, 3, 2, 1]);
        assert_eq!(
            list(Filter {
                live: true,
                ..all.clone()
            }),
            [4, 3, 2, 1]
        );
        let owner = |owner: Option<&str>| Filter {
            owner: Some(owner.map(str::to_owned)),
            ..Filter::default()
        };
        assert_eq!(list(owner(None)), [5, 3, 1]);
        assert_eq!(list(owner(Some("alice"))), [6, 4, 2]);
        let page = Filter {
            before: Some(EpisodeId::from_bytes([5; 16])),
            limit: Some(2),
            ..all
        };
        assert_eq!(list(page), [4, 3]);
    });
}

#[test]
fn the_first_value_that_is_kept_stays() {
    each(|store| {
        assert_eq!(store.keep("key", b"one").unwrap(), b"one");
        assert_eq!(store.keep("key", b"two").unwrap(), b"one");
        assert_eq!(store.keep("other", b"two").unwrap(), b"two");
    });
}

#[test]
fn a_forgotten_episode_leaves_the_others_alone() {
    each(|store| {
        let (gone, _) = begin(store, "a", 3);
        let (stays, entries) = begin(store, "b", 3);
        store.forget(gone).unwrap();
        store.forget(gone).unwrap();
        assert_eq!(store.episode(gone).unwrap(), None);
        assert_eq!(store.read(gone, 0).unwrap(), []);
        assert_eq!(store.read(stays, 0).unwrap().len(), entries.len());
        assert_eq!(store.list(&Filter::default()).unwrap().len(), 1);
        begin(store, "a", 1);
    });
}

#[test]
fn a_database_that_is_opened_again_holds_what_it_held() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let (id, entries) = begin(&store, "s", 40);
    let (gone, _) = begin(&store, "gone", 2);
    store.forget(gone).unwrap();
    let before = store.read(id, 0).unwrap();
    drop(store);
    let store = SqliteStore::open(dir.path(), Durability::Power).unwrap();
    assert_eq!(store.read(id, 0).unwrap(), before);
    assert_eq!(before.len(), entries.len());
    assert_eq!(store.list(&Filter::default()).unwrap().len(), 1);
}

#[test]
fn two_hosts_never_share_a_directory_but_a_visitor_may_look() {
    let dir = TempDir::new().unwrap();
    let missing = SqliteStore::visit(dir.path()).unwrap_err();
    assert!(matches!(missing, JournalError::Io(_)), "{missing}");
    let host = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let (id, entries) = begin(&host, "s", 1);
    let second = SqliteStore::open(dir.path(), Durability::Process).unwrap_err();
    assert!(second.to_string().contains("another orwd uses"), "{second}");
    let visitor = SqliteStore::visit(dir.path()).unwrap();
    assert_eq!(visitor.read(id, 0).unwrap().len(), entries.len());
    begin(&visitor, "brought in", 1);
    begin(&host, "s2", 1);
    assert_eq!(visitor.list(&Filter::default()).unwrap().len(), 3);
    drop(host);
    SqliteStore::open(dir.path(), Durability::Process).unwrap();
}

#[test]
fn nobody_else_may_read_the_files_of_the_state() {
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
        "format",
        "journal.db",
        "journal.db-shm",
        "journal.db-wal",
        "lock",
    ];
    assert_eq!(names, expected);
}
