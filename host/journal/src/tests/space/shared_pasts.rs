//! Forks share the records of their parent, and the bytes of owners are exact.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    AppendEntry, AppendResult, ChainLink, Durability, EpisodeArchive, EpisodeFilter,
    EpisodeHistory, EpisodeId, JournalStore, Record, SqliteStore, StoredRecord,
};

/// The first record of an episode of this owner.
fn first(id: EpisodeId, owner: Option<&str>, session: &str) -> AppendEntry {
    sample::entries(id, &sample::episode(owner, session, 0)).remove(0)
}

fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(dir.path(), Durability::Process).unwrap()
}

/// The next record of an episode, of about this many bytes.
fn next(store: &dyn JournalStore, id: EpisodeId, bytes: usize) -> AppendEntry {
    let index = store.episode(id).unwrap().unwrap();
    let mut record = sample::call(index.head);
    if let Record::Request(request) = &mut record {
        request.sealed = Some(vec![7; bytes]);
    }
    AppendEntry::new(id, index.head + 1, index.tip, &record)
}

fn end(store: &dyn JournalStore, id: EpisodeId) -> AppendEntry {
    let index = store.episode(id).unwrap().unwrap();
    AppendEntry::new(id, index.head + 1, index.tip, &sample::ended())
}

/// Sums what the tables hold, by owner.
fn measured(dir: &TempDir) -> HashMap<Option<String>, u64> {
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let mut owners: HashMap<Vec<u8>, Option<String>> = HashMap::new();
    let mut sums: HashMap<Option<String>, u64> = HashMap::new();
    for (sql, size) in [
        ("SELECT id, owner FROM episodes", crate::store::EPISODE_SIZE),
        ("SELECT episode, owner FROM remains", 0),
    ] {
        let mut statement = database.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let owner: Option<String> = row.get(1).unwrap();
            owners.insert(row.get(0).unwrap(), owner.clone());
            *sums.entry(owner).or_default() += size;
        }
    }
    let mut statement = database
        .prepare("SELECT episode, bytes FROM records")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (episode, bytes): (Vec<u8>, Vec<u8>) = (row.get(0).unwrap(), row.get(1).unwrap());
        let owner = owners.get(&episode).expect("a record of no episode");
        // A list of pieces begins with the length of the record.
        let length = match bytes.split_first() {
            Some((0, list)) => u64::from_be_bytes(list[..8].try_into().unwrap()) as usize,
            _ => bytes.len(),
        };
        *sums.entry(owner.clone()).or_default() += crate::store::record_size(length);
    }
    sums.retain(|_, sum| *sum > 0);
    sums
}

fn check_usage(store: &SqliteStore, dir: &TempDir, what: &str) {
    let measured = measured(dir);
    for (owner, sum) in &measured {
        assert_eq!(
            store.usage().of(owner.as_deref()),
            *sum,
            "{what}: {owner:?}"
        );
    }
    let total: u64 = measured.values().sum();
    assert_eq!(store.usage().total(), total, "{what}");
    assert_eq!(store.usage().owners(), measured.len(), "{what}");
}

fn count(dir: &TempDir, table: &str) -> i64 {
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    database.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_fork_reads_as_if_its_records_were_copied() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let parent = EpisodeId::new();
    let records = sample::episode(Some("alice"), "parent", 4);
    store.append(&sample::entries(parent, &records)).unwrap();
    let before = count(&dir, "records");
    let children: Vec<AppendEntry> = ["a", "b", "c"]
        .map(|session| first(EpisodeId::new(), Some("alice"), session))
        .into();
    let begun = store.fork(parent, 4, &children).unwrap().unwrap();
    assert_eq!(begun, [AppendResult::Appended; 3]);
    assert_eq!(count(&dir, "records"), before + 3, "only the first records");
    check_usage(&store, &dir, "forked");
    for (child, session) in children.iter().zip(["a", "b", "c"]) {
        let mut copy = sample::episode(Some("alice"), session, 2);
        assert_eq!(
            store.read(child.episode, 0).unwrap(),
            stored(&sample::entries(child.episode, &copy))
        );
        // It continues on its own.
        let index = store.episode(child.episode).unwrap().unwrap();
        let more = AppendEntry::new(child.episode, 5, index.tip, &sample::call(9));
        assert_eq!(
            store.append(std::slice::from_ref(&more)).unwrap(),
            [AppendResult::Appended]
        );
        assert_eq!(
            store.append(&[more]).unwrap(),
            [AppendResult::AlreadyPresent]
        );
        copy.push(sample::call(9));
        let rows = store.read(child.episode, 0).unwrap();
        let copied = sample::entries(child.episode, &copy);
        assert_eq!(rows, stored(&copied));
        for from in 0..7 {
            let later = rows.get(from as usize..).unwrap_or_default();
            assert_eq!(
                store.read(child.episode, from).unwrap(),
                later,
                "from {from}"
            );
        }
        assert_eq!(
            store.append(&copied[2..3]).unwrap(),
            [AppendResult::AlreadyPresent]
        );
        EpisodeHistory::read(child.episode, &rows).unwrap();
        // An exported fork needs nothing else.
        let archive = EpisodeArchive::export(&store, child.episode).unwrap();
        let mut file = Vec::new();
        archive.write(&mut file).unwrap();
        let read = EpisodeArchive::read(&file[..]).unwrap();
        assert_eq!(read.history(), archive.history());
    }
    let used = first(EpisodeId::new(), Some("alice"), "a");
    let late = store
        .fork(parent, 4, std::slice::from_ref(&used))
        .unwrap()
        .unwrap();
    assert_eq!(late, [AppendResult::SessionExists]);
    assert_eq!(
        store.fork(parent, 9, std::slice::from_ref(&used)).unwrap(),
        None
    );
    assert_eq!(store.fork(EpisodeId::new(), 1, &[used]).unwrap(), None);
}

fn stored(entries: &[AppendEntry]) -> Vec<StoredRecord> {
    let row = |entry: &AppendEntry| StoredRecord {
        seq: entry.seq,
        bytes: entry.bytes.clone(),
        link: entry.link,
    };
    entries.iter().map(row).collect()
}

#[test]
fn shared_records_stay_until_the_last_fork_is_gone() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let [parent, child, grandchild] = [1, 2, 3].map(|n| EpisodeId::from_bytes([n; 16]));
    let records = sample::episode(None, "parent", 10);
    store.append(&sample::entries(parent, &records)).unwrap();
    store
        .fork(parent, 8, &[first(child, None, "child")])
        .unwrap();
    for _ in 0..6 {
        let more = next(&store, child, 10);
        store.append(&[more]).unwrap();
    }
    store
        .fork(child, 12, &[first(grandchild, None, "grandchild")])
        .unwrap();
    let past = store.read(grandchild, 0).unwrap();
    assert_eq!(past.len(), 13);
    store.purge(parent).unwrap();
    // Of the parent's 21 records, the fork needs eight, and the first is kept.
    assert_eq!(count(&dir, "records"), 9 + 7 + 1);
    check_usage(&store, &dir, "parent purged");
    store.purge(child).unwrap();
    assert_eq!(count(&dir, "records"), 9 + 5 + 1);
    check_usage(&store, &dir, "child purged");
    drop(store);
    let store = open(&dir);
    check_usage(&store, &dir, "reopened");
    assert_eq!(store.read(grandchild, 0).unwrap(), past);
    // An episode whose records remain cannot be imported again.
    let again = store.append(&[first(parent, None, "parent")]).unwrap();
    assert_eq!(again, [AppendResult::SlotTaken]);
    store.purge(grandchild).unwrap();
    for table in ["records", "episodes", "forks", "remains"] {
        assert_eq!(count(&dir, table), 0, "{table}");
    }
    assert_eq!(store.usage().total(), 0);
}

#[test]
fn random_forks_purges_and_restarts_leave_what_copies_would() {
    for seed in 0..25 {
        let mut random = StdRng::seed_from_u64(seed);
        let dir = TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap());
        let memory = MemoryStore::new();
        let mut database = open(&dir);
        let mut live: Vec<EpisodeId> = Vec::new();
        let mut all: Vec<EpisodeId> = Vec::new();
        for round in 0..80u64 {
            let what = format!("seed {seed}, round {round}");
            let some = |random: &mut StdRng, ids: &[EpisodeId]| {
                (!ids.is_empty()).then(|| ids[random.random_range(0..ids.len())])
            };
            match random.random_range(0..12) {
                0 | 1 => {
                    let id = EpisodeId::from_bytes([all.len() as u8 + 1; 16]);
                    let owner = ["alice", "bob"][random.random_range(0..2)];
                    let entry = first(id, Some(owner), &format!("s{}", all.len()));
                    let put = memory.append(std::slice::from_ref(&entry)).unwrap();
                    assert_eq!(database.append(&[entry]).unwrap(), put, "{what}");
                    live.push(id);
                    all.push(id);
                }
                2..=4 => {
                    let Some(parent) = some(&mut random, &live) else {
                        continue;
                    };
                    let index = memory.episode(parent).unwrap().unwrap();
                    let upto = random.random_range(0..=index.head + 1);
                    let children: Vec<AppendEntry> = (0..random.random_range(1..4))
                        .map(|n| {
                            let id = EpisodeId::from_bytes([all.len() as u8 + 1 + n; 16]);
                            let name = format!("s{}", all.len() + usize::from(n));
                            first(id, index.header.owner.as_deref(), &name)
                        })
                        .collect();
                    let begun = memory.fork(parent, upto, &children).unwrap();
                    assert_eq!(
                        database.fork(parent, upto, &children).unwrap(),
                        begun,
                        "{what}"
                    );
                    if begun.is_some() {
                        live.extend(children.iter().map(|child| child.episode));
                        all.extend(children.iter().map(|child| child.episode));
                    }
                }
                5..=8 => {
                    if let Some(id) = some(&mut random, &live) {
                        let entry = next(&memory, id, random.random_range(0..6000));
                        if random.random_ratio(1, 4) {
                            stage(&database, &entry);
                        }
                        let put = memory.append(std::slice::from_ref(&entry)).unwrap();
                        assert_eq!(database.append(&[entry]).unwrap(), put, "{what}");
                    }
                }
                9 => {
                    if let Some(id) = some(&mut random, &live) {
                        let entry = end(&memory, id);
                        memory.append(std::slice::from_ref(&entry)).unwrap();
                        database.append(&[entry]).unwrap();
                        live.retain(|other| *other != id);
                    }
                }
                10 => {
                    if let Some(id) = some(&mut random, &all) {
                        memory.purge(id).unwrap();
                        if random.random() {
                            database.purge(id).unwrap();
                        } else {
                            // As a host does that is killed.
                            database.purge_partially(id).unwrap();
                        }
                        live.retain(|other| *other != id);
                    }
                }
                _ => {
                    drop(database);
                    database = open(&dir);
                }
            }
            check_usage(&database, &dir, &what);
        }
        let filter = EpisodeFilter::default();
        let episodes = memory.list(&filter).unwrap();
        assert_eq!(database.list(&filter).unwrap(), episodes, "seed {seed}");
        for episode in &episodes {
            let rows = database.read(episode.id, 0).unwrap();
            assert_eq!(rows, memory.read(episode.id, 0).unwrap(), "seed {seed}");
        }
        drop(database);
        let database = open(&dir);
        for episode in &episodes {
            database.purge(episode.id).unwrap();
        }
        for table in [
            "records", "episodes", "forks", "remains", "pieces", "staged",
        ] {
            assert_eq!(count(&dir, table), 0, "seed {seed}: {table}");
        }
        assert_eq!(database.usage().total(), 0);
    }
}

/// Stages an entry in a few pieces.
fn stage(store: &SqliteStore, entry: &AppendEntry) {
    let piece = entry.bytes.len() / 3 + 1;
    for (n, bytes) in entry.bytes.chunks(piece).enumerate() {
        store
            .stage(entry.episode, entry.seq, n * piece, bytes)
            .unwrap();
    }
}

#[test]
fn pieces_without_a_record_are_removed() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let id = EpisodeId::new();
    store.append(&[first(id, None, "s")]).unwrap();
    let entry = next(&store, id, 5000);
    // It is written again from the start.
    store.stage(id, 1, 0, &entry.bytes[..100]).unwrap();
    stage(&store, &entry);
    assert_eq!(count(&dir, "pieces"), 3);
    assert_eq!(
        store.append(std::slice::from_ref(&entry)).unwrap(),
        [AppendResult::Appended]
    );
    assert_eq!((count(&dir, "pieces"), count(&dir, "staged")), (3, 0));
    // A record that is refused.
    let mut other = next(&store, id, 5000);
    other.seq += 1;
    stage(&store, &other);
    assert_eq!(store.append(&[other]).unwrap(), [AppendResult::Gap]);
    assert_eq!((count(&dir, "pieces"), count(&dir, "staged")), (3, 0));
    // One that a killed host has not completed.
    let late = next(&store, id, 5000);
    stage(&store, &late);
    assert_eq!(count(&dir, "pieces"), 6);
    drop(store);
    let store = open(&dir);
    assert_eq!((count(&dir, "pieces"), count(&dir, "staged")), (3, 0));
    assert_eq!(store.read(id, 1).unwrap(), stored(&[entry]));
    store.purge(id).unwrap();
    assert_eq!(count(&dir, "pieces"), 0);
}

#[test]
fn a_missing_piece_is_a_damage_of_its_record() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let id = EpisodeId::new();
    store.append(&[first(id, None, "s")]).unwrap();
    let entry = next(&store, id, 5000);
    stage(&store, &entry);
    store.append(&[entry]).unwrap();
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    database
        .execute("DELETE FROM pieces WHERE place = 2", [])
        .unwrap();
    let error = store.read(id, 0).unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
}

#[test]
fn a_changed_shared_record_is_noticed_in_every_fork() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let [parent, child] = [1, 2].map(|n| EpisodeId::from_bytes([n; 16]));
    store
        .append(&sample::entries(
            parent,
            &sample::episode(None, "parent", 3),
        ))
        .unwrap();
    store
        .fork(parent, 4, &[first(child, None, "child")])
        .unwrap();
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let changed =
        "UPDATE records SET bytes = (SELECT bytes FROM records WHERE seq = 1) WHERE seq = 3";
    database.execute(changed, []).unwrap();
    let index = store.episode(child).unwrap().unwrap();
    let rows = store.read(child, 0).unwrap();
    assert!(EpisodeHistory::read_indexed(&index, &rows).is_err());
}

#[test]
fn a_journal_without_bytes_and_forks_is_migrated() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let [kept, gone] = [1, 2].map(|n| EpisodeId::from_bytes([n; 16]));
    for (id, owner, session) in [(kept, Some("alice"), "kept"), (gone, None, "gone")] {
        let mut records = sample::episode(owner, session, 3);
        let mut large = sample::call(77);
        if let Record::Request(request) = &mut large {
            request.sealed = Some(vec![7; 9000]);
        }
        records.push(large);
        store.append(&sample::entries(id, &records)).unwrap();
    }
    let rows = store.read(kept, 0).unwrap();
    let used = store.usage().of(Some("alice"));
    store.purge_partially(gone).unwrap();
    drop(store);
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    // The last record of the purged episode, as an older version noted it.
    database
        .execute_batch(
            "INSERT INTO records (place, episode, seq, before, link, bytes) \
             SELECT 900, id, 0, 0, tip, x'01' FROM episodes; \
             UPDATE records SET episode = x'02020202020202020202020202020202' WHERE place = 900; \
             INSERT INTO meta VALUES ('remains 02020202020202020202020202020202', \
             x'00000000000003840000000000000000'); \
             DROP INDEX ended_first; DROP TABLE forks; DROP TABLE remains; DROP TABLE pieces; \
             DROP TABLE staged; ALTER TABLE episodes DROP COLUMN bytes; PRAGMA user_version = 2;",
        )
        .unwrap();
    drop(database);
    let store = open(&dir);
    assert_eq!(store.read(kept, 0).unwrap(), rows);
    assert_eq!(store.usage().of(Some("alice")), used);
    check_usage(&store, &dir, "migrated");
    assert_eq!(
        count(&dir, "records"),
        rows.len() as i64,
        "the purge is completed"
    );
    let history = EpisodeHistory::read(kept, &rows).unwrap();
    assert_ne!(history.tip(), ChainLink::initial(kept));
}
