//! Random batches: the cache between batches and the deferred writes within them
//! have no visible effect.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    AppendEntry, AppendResult, ChainLink, Durability, EpisodeFilter, EpisodeId, IndexChange,
    JournalStore, Record, SqliteStore,
};
use orwd_model::{SessionId, Timestamp};

/// An entry that begins, continues or ends an episode of this session id. Two
/// entries for one slot differ in `future`.
fn entry(id: u8, seq: u64, name: &str, future: u8, end: bool) -> AppendEntry {
    let record = match (seq, end) {
        (0, _) => Record::Created(Box::new(sample::created(None, name))),
        (_, true) => sample::ended(),
        (_, false) => sample::call(seq + 1000 * u64::from(future)),
    };
    let entries = sample::entries(EpisodeId::from_bytes([id; 16]), &[record]);
    let [mut entry] = <[AppendEntry; 1]>::try_from(entries).unwrap();
    entry.seq = seq;
    entry.link = ChainLink::from_bytes([future; 32]);
    entry
}

#[test]
fn batches_have_the_same_results_in_memory_and_in_the_database() {
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let dir = TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap());
        let memory = MemoryStore::new();
        let mut database = SqliteStore::open(dir.path(), Durability::Process).unwrap();
        let mut heads = [0u64; 12];
        for _ in 0..60 {
            let size = random.random_range(1..10);
            let batch: Vec<AppendEntry> = (0..size)
                .map(|_| {
                    let id = random.random_range(0..heads.len());
                    let next = heads[id];
                    // Mostly the next slot.
                    let seq = match random.random_range(0..10) {
                        0 => next.saturating_sub(1),
                        1 => next + 1,
                        _ => next,
                    };
                    heads[id] = next.max(seq + 1);
                    let name = ["a", "b", "c"][id % 3];
                    let (future, end) = (random.random_range(0..2), random.random_ratio(1, 8));
                    entry(id as u8 + 1, seq, name, future, end)
                })
                .collect();
            let put = memory.append(&batch).unwrap();
            assert_eq!(database.append(&batch).unwrap(), put, "seed {seed}");
            for (entry, put) in batch.iter().zip(put) {
                if put == AppendResult::SessionExists || put == AppendResult::Gap {
                    heads[usize::from(entry.episode.as_bytes()[0]) - 1] = 0;
                }
            }
            if random.random_ratio(1, 15) {
                let id = EpisodeId::from_bytes([random.random_range(1..=12); 16]);
                memory.purge(id).unwrap();
                database.purge(id).unwrap();
            }
            if random.random_ratio(1, 15) {
                // EpisodeHeader it takes the census of the index.
                drop(database);
                database = SqliteStore::open(dir.path(), Durability::Process).unwrap();
            }
        }
        let all = EpisodeFilter::default();
        let episodes = memory.list(&all).unwrap();
        assert_eq!(database.list(&all).unwrap(), episodes);
        assert!(!episodes.is_empty());
        for episode in episodes {
            assert_eq!(
                database.read(episode.id, 0).unwrap(),
                memory.read(episode.id, 0).unwrap()
            );
        }
    }
}

#[test]
fn episodes_of_one_session_id_may_share_a_batch() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let batch = [
        entry(1, 0, "s", 0, false),
        entry(1, 1, "s", 0, false),
        entry(2, 0, "s", 0, false),
        entry(1, 2, "s", 0, true),
        entry(2, 0, "s", 0, false),
        entry(1, 3, "s", 0, false),
    ];
    let expected = [
        AppendResult::Appended,
        AppendResult::Appended,
        AppendResult::SessionExists,
        AppendResult::Appended,
        AppendResult::Appended,
        AppendResult::SlotTaken,
    ];
    assert_eq!(store.append(&batch).unwrap(), expected);
}

#[test]
fn an_append_sees_what_another_connection_wrote() {
    let dir = TempDir::new().unwrap();
    let host = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let begun = [entry(1, 0, "s", 0, false), entry(1, 1, "s", 0, false)];
    assert_eq!(host.append(&begun).unwrap(), [AppendResult::Appended; 2]);
    let other = SqliteStore::visit(dir.path()).unwrap();
    let theirs = entry(1, 2, "s", 1, false);
    assert!(matches!(theirs.change, IndexChange::None));
    assert_eq!(other.append(&[theirs]).unwrap(), [AppendResult::Appended]);
    let ours = entry(1, 2, "s", 0, false);
    assert_eq!(host.append(&[ours]).unwrap(), [AppendResult::SlotTaken]);
    assert_eq!(
        host.append(&[entry(1, 3, "s", 0, false)]).unwrap(),
        [AppendResult::Appended]
    );
    other.purge(EpisodeId::from_bytes([1; 16])).unwrap();
    assert_eq!(
        host.append(&[entry(1, 4, "s", 0, false)]).unwrap(),
        [AppendResult::Gap]
    );
    drop((host, other));
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    assert_eq!(store.list(&EpisodeFilter::default()).unwrap(), []);
}

#[test]
fn a_purge_that_was_killed_is_completed_at_the_next_open() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let long: Vec<AppendEntry> = (0..1000)
        .map(|seq| entry(1, seq, "s", 0, seq == 999))
        .collect();
    let kept = [entry(2, 0, "s", 0, false), entry(2, 1, "s", 0, false)];
    store.append(&long).unwrap();
    store.append(&kept).unwrap();
    let id = EpisodeId::from_bytes([1; 16]);
    // As a host does that is killed at once.
    store.purge_partially(id).unwrap();
    assert_eq!(store.episode(id).unwrap(), None);
    assert_eq!(store.read(id, 0).unwrap(), []);
    let name = SessionId::new("s").unwrap();
    let found = store.find(None, &name).unwrap().unwrap();
    assert_eq!(found.id, EpisodeId::from_bytes([2; 16]));
    drop(store);
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    assert_eq!(store.read(found.id, 0).unwrap().len(), 2);
    drop(store);
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let count = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM records"), 2);
    assert_eq!(count("SELECT count(*) FROM episodes"), 1);
    assert_eq!(
        count("SELECT count(*) FROM meta WHERE name LIKE 'remains%'"),
        0
    );
}

#[test]
fn episodes_that_ended_before_a_time_are_listed() {
    let dir = TempDir::new().unwrap();
    let database = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    for store in [&database as &dyn JournalStore, &MemoryStore::new()] {
        // Two that ended at 99, and a live one.
        for (id, end) in [(1, true), (2, true), (3, false)] {
            let name = ["a", "b", "c"][usize::from(id) - 1];
            let batch = [entry(id, 0, name, 0, false), entry(id, 1, name, 0, end)];
            assert_eq!(store.append(&batch).unwrap(), [AppendResult::Appended; 2]);
        }
        for (moment, count) in [(0, 0), (99, 0), (100, 2), (u64::MAX >> 1, 2)] {
            let ended_before = Some(Timestamp::from_nanos(moment));
            let filter = EpisodeFilter {
                ended_before,
                ..EpisodeFilter::default()
            };
            assert_eq!(store.list(&filter).unwrap().len(), count, "{moment}");
        }
    }
}
