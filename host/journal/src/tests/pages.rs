//! Reading a history in pages.

use std::sync::Arc;

use tempfile::TempDir;

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    Durability, EpisodeId, EpisodePages, JournalError, JournalStore, ScannedRecord, SqliteStore,
};

/// The slot up to which the fork shares the records of its parent.
const SHARED: u64 = 40;

/// A store with an episode of 50 calls, and a fork of it with two calls of its own.
fn store(store: impl JournalStore) -> (Arc<dyn JournalStore>, EpisodeId, EpisodeId) {
    let (parent, child) = (EpisodeId::new(), EpisodeId::new());
    let records = sample::episode(Some("alice"), "s", 50);
    store.append(&sample::entries(parent, &records)).unwrap();
    let first = sample::entries(child, &sample::episode(Some("alice"), "t", 0)).remove(0);
    store.fork(parent, SHARED, &[first]).unwrap().unwrap();
    for n in [7, 8] {
        let index = store.episode(child).unwrap().unwrap();
        let call = sample::call(n);
        let entry = crate::AppendEntry::new(child, index.head + 1, index.tip, &call);
        store.append(&[entry]).unwrap();
    }
    (Arc::new(store), parent, child)
}

/// A store, an episode in it, and a fork of that episode.
type StoreWithFork = (Arc<dyn JournalStore>, EpisodeId, EpisodeId);

fn stores() -> (TempDir, Vec<StoreWithFork>) {
    let dir = TempDir::new().unwrap();
    let sqlite = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    (dir, vec![store(sqlite), store(MemoryStore::new())])
}

fn rest(pages: &mut EpisodePages, store: &dyn JournalStore, bytes: usize) -> Vec<ScannedRecord> {
    let mut all = Vec::new();
    loop {
        let page = pages.read(store, bytes).unwrap();
        if page.is_empty() {
            return all;
        }
        let size: usize = page.len();
        assert!(bytes > 1 || size == 1, "a page of {size} records");
        all.extend(page);
    }
}

#[test]
fn pages_of_any_size_have_the_records_of_a_scan() {
    let (_dir, stores) = stores();
    for (store, parent, child) in stores {
        for episode in [parent, child] {
            let mut scanned = Vec::new();
            crate::history::scan(&*store, episode, None, &mut |record| {
                scanned.push(record);
                Ok(())
            })
            .unwrap();
            for bytes in [1, 500, usize::MAX] {
                let mut pages = EpisodePages::open(&*store, episode, None).unwrap();
                assert_eq!(rest(&mut pages, &*store, bytes), scanned);
            }
            // From everywhere, also within and right behind what a fork shares.
            for from in 0..=scanned.len() {
                let mut pages = EpisodePages::open(&*store, episode, None).unwrap();
                pages.skip_to(&*store, from as u64).unwrap();
                // The first record has been read.
                let expected = &scanned[from.max(1)..];
                assert_eq!(rest(&mut pages, &*store, 500), expected, "from {from}");
            }
        }
    }
}

#[test]
fn records_that_are_added_meanwhile_are_not_read() {
    let (_dir, stores) = stores();
    for (store, _, child) in stores {
        let mut pages = EpisodePages::open(&*store, child, None).unwrap();
        let index = store.episode(child).unwrap().unwrap();
        let call = sample::call(9);
        let entry = crate::AppendEntry::new(child, index.head + 1, index.tip, &call);
        store.append(&[entry]).unwrap();
        let read = rest(&mut pages, &*store, 500);
        assert_eq!(read.last().map(|record| record.seq), Some(index.head));
    }
}

#[test]
fn a_changed_record_is_refused_in_its_page() {
    let (dir, stores) = stores();
    let (store, parent, child) = &stores[0];
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let changed = database.execute(
        "UPDATE records SET bytes = (SELECT bytes FROM records WHERE seq = 3 AND episode = ?1) \
         WHERE seq = 5 AND episode = ?1",
        [parent.as_bytes()],
    );
    assert_eq!(changed.unwrap(), 1);
    for episode in [parent, child] {
        let mut pages = EpisodePages::open(&**store, *episode, None).unwrap();
        let first = pages.read(&**store, 1).unwrap();
        assert_eq!(first.len(), 1);
        let error = pages.read(&**store, usize::MAX).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    }
    let mut pages = EpisodePages::open(&**store, *parent, None).unwrap();
    pages.skip_to(&**store, 5).unwrap();
    let error = pages.read(&**store, 1).unwrap_err();
    let at = matches!(error, JournalError::Damaged { seq: Some(5), .. });
    assert!(at, "{error}");
    // The pages behind it are as they were written.
    let mut pages = EpisodePages::open(&**store, *parent, None).unwrap();
    pages.skip_to(&**store, 7).unwrap();
    assert!(!rest(&mut pages, &**store, 500).is_empty());
}
