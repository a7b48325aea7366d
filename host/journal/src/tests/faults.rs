//! A disk that is full or fails to sync.
//!
//! The test starts itself in a second process, with a small preloaded library
//! that makes system calls fail on demand, and then checks the files of that
//! process. The library is C, since linking Rust tests needs a C compiler anyway.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::testing as sample;
use crate::{
    Durability, EpisodeFilter, EpisodeId, Journal, JournalError, JournalStore, SqliteStore,
};

const FAULTS: &str = "ORWD_FAULTS";
const STATE: &str = "ORWD_FAULTS_STATE";

/// Runs the inner test of this name in a second process.
fn run_in_process(name: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    let library = dir.path().join("faults.so");
    let source = dir.path().join("faults.c");
    fs::write(&source, include_str!("faults.c")).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(format!("tests::faults::{name}"))
        .env("LD_PRELOAD", &library)
        .env(FAULTS, dir.path())
        .env(STATE, dir.path().join("state"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    dir
}

fn state() -> PathBuf {
    PathBuf::from(std::env::var_os(STATE).unwrap())
}

fn fault(kind: &str) -> PathBuf {
    Path::new(&std::env::var_os(FAULTS).unwrap()).join(kind)
}

fn open(durability: Durability) -> Journal {
    let store = SqliteStore::open(&state(), durability).unwrap();
    Journal::with_state(store, durability, None).unwrap()
}

#[test]
fn a_full_disk_refuses_appends_and_loses_nothing() {
    let dir = run_in_process("inner_full");
    let store = SqliteStore::open(&dir.path().join("state"), Durability::Process).unwrap();
    let heads: Vec<u64> = store
        .list(&EpisodeFilter::default())
        .unwrap()
        .iter()
        .map(|episode| episode.head)
        .collect();
    assert_eq!(heads, [1, 2]);
}

#[tokio::test]
#[ignore = "run by the test above, in a process whose disk can be filled"]
async fn inner_full() {
    let journal = open(Durability::Process);
    let id = EpisodeId::from_bytes([1; 16]);
    let (mut writer, created) = journal.begin(id, sample::created(None, "s"));
    created.await.unwrap();
    writer.append(&sample::call(1)).await.unwrap();
    fs::write(fault("space"), "").unwrap();
    assert_eq!(
        writer.append(&sample::outcome(1, None)).await,
        Err(JournalError::Full)
    );
    let other = EpisodeId::from_bytes([2; 16]);
    let (_, refused) = journal.begin(other, sample::created(None, "t"));
    assert_eq!(refused.await, Err(JournalError::Full));
    // Records can be read while there is no space.
    let history = journal.history(id).await.unwrap();
    assert_eq!(history.next(), 2);
    fs::remove_file(fault("space")).unwrap();
    let mut writer = journal.resume(&history);
    writer.append(&sample::outcome(1, None)).await.unwrap();
    let (mut writer, created) = journal.begin(other, sample::created(None, "t"));
    created.await.unwrap();
    writer.append(&sample::call(1)).await.unwrap();
    journal.close().await;
}

#[test]
fn a_failed_sync_stops_the_journal() {
    let dir = run_in_process("inner_sync");
    let store = SqliteStore::open(&dir.path().join("state"), Durability::Power).unwrap();
    let list = store.list(&EpisodeFilter::default()).unwrap();
    // Acknowledged records are there. The record whose sync failed may be.
    assert_eq!(list.len(), 1);
    assert!((1..=2).contains(&list[0].head), "{list:?}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process whose disk can fail to sync"]
async fn inner_sync() {
    let journal = open(Durability::Power);
    let (mut writer, created) = journal.begin(EpisodeId::new(), sample::created(None, "s"));
    created.await.unwrap();
    writer.append(&sample::call(1)).await.unwrap();
    fs::write(fault("sync"), "").unwrap();
    let failed = writer.append(&sample::outcome(1, None)).await;
    assert!(
        matches!(failed, Err(JournalError::Stopped(_))),
        "{failed:?}"
    );
    assert!(journal.stopped().await.contains("could not be synced"));
    // Even if the disk syncs again: what it lost is lost.
    fs::remove_file(fault("sync")).unwrap();
    let (_, other) = journal.begin(EpisodeId::new(), sample::created(None, "t"));
    assert!(matches!(other.await, Err(JournalError::Stopped(_))));
}
