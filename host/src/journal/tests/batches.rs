//! Batches of every shape: what the database remembers between them and puts
//! off within them never shows.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use crate::journal::testing as sample;
use crate::journal::{
    Change, Durability, Entry, EpisodeId, Filter, Link, MemoryStore, Put, Record, SqliteStore,
    Store,
};

/// A record that begins an episode of this name, goes on with it or ends it;
/// `future` tells two apart that go for the same slot.
fn entry(id: u8, seq: u64, name: &str, future: u8, end: bool) -> Entry {
    let record = match (seq, end) {
        (0, _) => Record::Created(Box::new(sample::created(None, name))),
        (_, true) => sample::ended(),
        (_, false) => sample::call(seq + 1000 * u64::from(future)),
    };
    let entries = sample::entries(EpisodeId::from_bytes([id; 16]), &[record]);
    let [mut entry] = <[Entry; 1]>::try_from(entries).unwrap();
    entry.seq = seq;
    entry.link = Link::from_bytes([future; 32]);
    entry
}

#[test]
fn any_batches_come_to_the_same_in_memory_and_in_the_database() {
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let dir = TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap());
        let memory = MemoryStore::new();
        let mut database = SqliteStore::open(dir.path(), Durability::Process).unwrap();
        let mut heads = [0u64; 12];
        for _ in 0..60 {
            let size = random.random_range(1..10);
            let batch: Vec<Entry> = (0..size)
                .map(|_| {
                    let id = random.random_range(0..heads.len());
                    let next = heads[id];
                    // Mostly the slot that comes next.
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
                if put == Put::Exists || put == Put::Gap {
                    heads[usize::from(entry.episode.as_bytes()[0]) - 1] = 0;
                }
            }
            if random.random_ratio(1, 15) {
                let id = EpisodeId::from_bytes([random.random_range(1..=12); 16]);
                memory.forget(id).unwrap();
                database.forget(id).unwrap();
            }
            if random.random_ratio(1, 15) {
                // Opening it takes the census of the index.
                drop(database);
                database = SqliteStore::open(dir.path(), Durability::Process).unwrap();
            }
        }
        let all = Filter::default();
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
fn several_lives_of_one_name_may_share_a_batch() {
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
        Put::Done,
        Put::Done,
        Put::Exists,
        Put::Done,
        Put::Done,
        Put::Taken,
    ];
    assert_eq!(store.append(&batch).unwrap(), expected);
}

#[test]
fn what_somebody_else_has_written_is_seen_by_the_next_append() {
    let dir = TempDir::new().unwrap();
    let host = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let begun = [entry(1, 0, "s", 0, false), entry(1, 1, "s", 0, false)];
    assert_eq!(host.append(&begun).unwrap(), [Put::Done; 2]);
    let other = SqliteStore::visit(dir.path()).unwrap();
    let theirs = entry(1, 2, "s", 1, false);
    assert!(matches!(theirs.change, Change::None));
    assert_eq!(other.append(&[theirs]).unwrap(), [Put::Done]);
    let ours = entry(1, 2, "s", 0, false);
    assert_eq!(host.append(&[ours]).unwrap(), [Put::Taken]);
    assert_eq!(
        host.append(&[entry(1, 3, "s", 0, false)]).unwrap(),
        [Put::Done]
    );
    other.forget(EpisodeId::from_bytes([1; 16])).unwrap();
    assert_eq!(
        host.append(&[entry(1, 4, "s", 0, false)]).unwrap(),
        [Put::Gap]
    );
    drop((host, other));
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    assert_eq!(store.list(&Filter::default()).unwrap(), []);
}
