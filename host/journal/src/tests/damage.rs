//! Damaged journals.
//!
//! For any change of the bytes, opening and reading returns what was written, a
//! prefix of it, or an error that names the damage; never anything else, and
//! never a panic.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::SqliteStore;
use crate::testing as sample;
use crate::{
    AppendEntry, AppendResult, Durability, EpisodeFilter, EpisodeHistory, EpisodeId, IndexChange,
    JournalError, JournalStore, StoreError,
};

const EPISODES: [EpisodeId; 2] = [
    EpisodeId::from_bytes([1; 16]),
    EpisodeId::from_bytes([2; 16]),
];

/// Two episodes of a few records.
fn small() -> Vec<AppendEntry> {
    let mut ended = sample::episode(Some("alice"), "a", 2);
    ended.push(sample::ended());
    let mut all = sample::entries(EPISODES[0], &ended);
    all.extend(sample::entries(EPISODES[1], &sample::episode(None, "b", 2)));
    all
}

/// Writes them with small pages, each record in its own transaction, so that
/// there are fewer bytes to iterate over.
fn write(dir: &Path) -> SqliteStore {
    let store = SqliteStore::open_with_pages(dir, Durability::Process, 512).unwrap();
    for entry in small() {
        assert_eq!(store.append(&[entry]).unwrap(), [AppendResult::Appended]);
    }
    store
}

/// Creates a directory in memory if possible: these tests sync very often.
fn directory() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// The distance between tested bytes. `ORWD_EVERY_BYTE=1` tests all of them,
/// which takes minutes.
fn stride() -> usize {
    match std::env::var_os("ORWD_EVERY_BYTE") {
        Some(_) => 1,
        None => 23,
    }
}

/// The files of a journal after a kill, with a write-ahead log, or after a normal
/// exit.
fn files(killed: bool) -> Vec<(&'static str, Vec<u8>)> {
    let dir = directory();
    let store = write(dir.path());
    let read = |name: &'static str| (name, fs::read(dir.path().join(name)).unwrap());
    if killed {
        return vec![read("format"), read("journal.db"), read("journal.db-wal")];
    }
    drop(store);
    vec![read("format"), read("journal.db")]
}

/// The result of reading a journal.
#[derive(Debug, PartialEq)]
enum Found {
    /// This many unchanged records of each episode.
    Records([usize; 2]),
    /// An error.
    Refused,
}

/// Opens a journal of these files and reads everything. Panics if it has
/// anything that was never written.
fn examine(dir: &Path, files: &[(&'static str, Vec<u8>)], what: &str) -> Found {
    examine_as(dir, files, what, Durability::Process)
}

fn examine_as(
    dir: &Path,
    files: &[(&'static str, Vec<u8>)],
    what: &str,
    durability: Durability,
) -> Found {
    for name in [
        "format",
        "commits",
        "journal.db",
        "journal.db-wal",
        "journal.db-shm",
    ] {
        let path = dir.join(name);
        match files.iter().find(|(other, _)| *other == name) {
            Some((_, bytes)) => fs::write(&path, bytes).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
    }
    let store = match SqliteStore::open(dir, durability) {
        Ok(store) => store,
        Err(error) => {
            assert!(
                matches!(error, JournalError::Damaged { .. } | JournalError::Io(_)),
                "{what}: {error}"
            );
            return Found::Refused;
        }
    };
    let written = small();
    let mut counts = [0, 0];
    for (count, id) in counts.iter_mut().zip(EPISODES) {
        let rows = match store.read(id, 0) {
            Ok(rows) => rows,
            Err(error) => {
                let known = matches!(error, StoreError::Damaged { .. } | StoreError::Io(_));
                assert!(known, "{what}: {error}");
                return Found::Refused;
            }
        };
        if rows.is_empty() {
            continue;
        }
        let index = match store.episode(id) {
            Ok(Some(index)) => index,
            Ok(None) => panic!("{what}: records without an episode"),
            Err(_) => return Found::Refused,
        };
        match EpisodeHistory::read_indexed(&index, &rows) {
            Ok(_) => {}
            Err(JournalError::Damaged { episode, seq, .. }) => {
                assert_eq!(episode, Some(id), "{what}");
                assert!(seq.is_some(), "{what}");
                return Found::Refused;
            }
            Err(error) => panic!("{what}: {error}"),
        }
        let mine = written.iter().filter(|entry| entry.episode == id);
        for (row, entry) in rows.iter().zip(mine) {
            assert_eq!(
                row.bytes, entry.bytes,
                "{what}: a record that was never written"
            );
        }
        *count = rows.len();
    }
    // A key in an index may be wrong, but never a row.
    match store.list(&EpisodeFilter::default()) {
        Ok(list) => {
            for episode in &list {
                let mut mine = written.iter().filter(|entry| entry.episode == episode.id);
                let first = mine.next().map(|entry| &entry.change);
                let Some(IndexChange::Begin(header)) = first else {
                    panic!("{what}: {episode:?} never began");
                };
                assert_eq!(episode.header, **header, "{what}");
                let at = usize::try_from(episode.head).unwrap();
                let all = written.iter().filter(|entry| entry.episode == episode.id);
                let last = all.clone().nth(at).expect("a record that was written");
                assert_eq!(episode.tip, last.link, "{what}");
                let ended = matches!(last.change, IndexChange::End(_));
                assert_eq!(episode.is_live(), !ended, "{what}");
            }
        }
        Err(_) => return Found::Refused,
    }
    Found::Records(counts)
}

/// The positions to test in all files.
fn each_byte(files: &[(&'static str, Vec<u8>)], stride: usize) -> Vec<(usize, usize)> {
    let numbered = files.iter().enumerate();
    numbered
        .flat_map(|(file, (_, bytes))| (0..bytes.len()).step_by(stride).map(move |at| (file, at)))
        .collect()
}

#[test]
fn a_journal_is_complete_after_a_kill() {
    let dir = directory();
    for killed in [true, false] {
        let found = examine(dir.path(), &files(killed), "as it was");
        assert_eq!(found, Found::Records([6, 5]));
    }
    // And it can be appended to.
    let dir = directory();
    drop(write(dir.path()));
    let store = SqliteStore::open(dir.path(), Durability::Power).unwrap();
    assert_eq!(
        store.append(&small()).unwrap(),
        [AppendResult::AlreadyPresent; 11]
    );
}

#[test]
fn a_truncated_log_ends_at_a_record() {
    let whole = files(true);
    let dir = directory();
    let log = whole.last().unwrap().1.len();
    let mut last = 11;
    for size in (0..log).rev().step_by(stride()).chain([0]) {
        let mut torn = whole.clone();
        torn.last_mut().unwrap().1.truncate(size);
        match examine(dir.path(), &torn, &format!("log of {size} bytes")) {
            Found::Records([a, b]) => {
                // Episode a was written before b, one record at a time.
                let count = a + b;
                assert!(count <= last, "{size}");
                assert!(b == 0 || a == 6, "{size}");
                last = count;
            }
            Found::Refused => panic!("a torn log of {size} bytes was refused"),
        }
    }
    assert_eq!(last, 0, "an empty log holds nothing");
}

#[test]
fn a_truncated_database_has_a_prefix_or_is_refused() {
    let dir = directory();
    for killed in [true, false] {
        let whole = files(killed);
        let size = whole[1].1.len();
        let mut refused = 0;
        for size in (0..size).rev().step_by(stride()) {
            let mut torn = whole.clone();
            torn[1].1.truncate(size);
            let found = examine(dir.path(), &torn, &format!("database of {size} bytes"));
            refused += usize::from(found == Found::Refused);
        }
        assert!(refused > 0);
    }
}

#[test]
fn flipped_bits_are_harmless_or_refused() {
    let dir = directory();
    for killed in [true, false] {
        let whole = files(killed);
        let mut seen = [0, 0];
        for (file, at) in each_byte(&whole, stride()) {
            let mut flipped = whole.clone();
            let bit = 1 << (at % 8);
            flipped[file].1[at] ^= bit;
            let name = flipped[file].0;
            let what = format!("bit {bit} of byte {at} of {name}");
            match examine(dir.path(), &flipped, &what) {
                Found::Refused => seen[0] += 1,
                Found::Records([6, 5]) => seen[1] += 1,
                // Only the end of a log can be missing: SQLite takes an invalid
                // frame as the end of the log.
                Found::Records(counts) => {
                    assert_eq!(name, "journal.db-wal", "{what}: {counts:?}");
                    assert!(counts[1] == 0 || counts[0] == 6, "{what}: {counts:?}");
                }
            }
        }
        assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    }
}

#[test]
fn a_synced_log_with_a_flipped_bit_is_refused_except_in_its_last_frame() {
    let dir = directory();
    let whole = files(true);
    let log = whole.last().unwrap().1.len();
    let mut lost = 0;
    for at in (0..log).step_by(stride()) {
        let mut flipped = whole.clone();
        flipped.last_mut().unwrap().1[at] ^= 1 << (at % 8);
        let what = format!("byte {at} of the log");
        match examine_as(dir.path(), &flipped, &what, Durability::Power) {
            Found::Refused | Found::Records([6, 5]) => {}
            Found::Records([6, 4]) if at >= log - 512 - 24 => lost += 1,
            found => panic!("{what}: {found:?}"),
        }
    }
    assert!(lost > 0, "the last frame is the last record's");
}

#[test]
fn missing_commits_are_reported_and_refused_if_they_were_synced() {
    let dir = directory();
    drop(write(dir.path()));
    let before = ["journal.db", "commits"].map(|name| fs::read(dir.path().join(name)).unwrap());
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let more = sample::entries(EpisodeId::new(), &sample::episode(None, "c", 2));
    for entry in more {
        store.append(&[entry]).unwrap();
    }
    let log = fs::read(dir.path().join("journal.db-wal")).unwrap();
    assert!(!log.is_empty());
    let after = fs::read(dir.path().join("commits")).unwrap();
    drop(store);
    // The log is gone, as after a truncation to nothing.
    let rolled_back = |commits: &[u8], durability| {
        fs::write(dir.path().join("journal.db"), &before[0]).unwrap();
        fs::write(dir.path().join("commits"), commits).unwrap();
        SqliteStore::open(dir.path(), durability)
    };
    let refused = rolled_back(&after, Durability::Power)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("the last 5 batches"), "{refused}");
    // Without syncs a loss of power may be the cause: once reported, it is over.
    drop(rolled_back(&after, Durability::Process).unwrap());
    drop(SqliteStore::open(dir.path(), Durability::Power).unwrap());
    drop(rolled_back(&before[1], Durability::Power).unwrap());
    // A file of an earlier version, or a damaged one, states nothing.
    drop(rolled_back(b"", Durability::Power).unwrap());
    drop(rolled_back(&after[1..], Durability::Power).unwrap());
}
