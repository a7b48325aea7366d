//! Reading a history record by record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::history::{read_history, scan};
use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    Durability, EpisodeHistory, EpisodeId, Journal, JournalError, JournalStore, Record,
    SqliteStore, drop_content,
};

/// Two stores with the same episode of 50 calls that has ended.
fn stores() -> (TempDir, EpisodeId, Vec<Arc<dyn JournalStore>>) {
    let dir = TempDir::new().unwrap();
    let sqlite = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let stores: Vec<Arc<dyn JournalStore>> = vec![Arc::new(sqlite), Arc::new(MemoryStore::new())];
    let id = EpisodeId::new();
    let mut records = sample::episode(Some("alice"), "s", 50);
    records.push(sample::ended());
    for store in &stores {
        store.append(&sample::entries(id, &records)).unwrap();
        // Others lie between.
        let other = sample::entries(EpisodeId::new(), &sample::episode(None, "t", 3));
        store.append(&other).unwrap();
    }
    (dir, id, stores)
}

#[test]
fn a_scan_has_the_records_that_a_read_has() {
    let (_dir, id, stores) = stores();
    for store in stores {
        let mut scanned = Vec::new();
        store
            .scan(id, &mut |record| {
                scanned.push(record);
                true
            })
            .unwrap();
        assert_eq!(scanned, store.read(id, 0).unwrap());
        assert_eq!(scanned.len(), 102);
        let mut count = 0;
        store
            .scan(id, &mut |_| {
                count += 1;
                count < 7
            })
            .unwrap();
        assert_eq!(count, 7, "it stops at once");
        store
            .scan(EpisodeId::new(), &mut |_| panic!("there is none"))
            .unwrap();
    }
}

#[test]
fn a_history_that_keeps_everything_is_the_whole_history() {
    let (_dir, id, stores) = stores();
    for store in stores {
        let whole = EpisodeHistory::read(id, &store.read(id, 0).unwrap()).unwrap();
        let read = read_history(&*store, id, None, &mut |_, _| true).unwrap();
        assert_eq!(read, whole);
    }
}

#[test]
fn a_history_keeps_what_it_is_asked_to_keep() {
    let (_dir, id, stores) = stores();
    for store in stores {
        let whole = read_history(&*store, id, None, &mut |_, _| true).unwrap();
        let ends = |record: &mut Record| matches!(record, Record::Ended(_));
        let end = read_history(&*store, id, None, &mut |record, _| ends(record)).unwrap();
        assert!(end.steps().is_empty() && end.ended() == whole.ended());
        assert_eq!(
            (end.next(), end.tip(), end.bytes()),
            (102, whole.tip(), whole.bytes())
        );

        let outline = read_history(&*store, id, None, &mut |record, steps| {
            if let Record::Outcome(outcome) = record {
                assert_eq!(steps.last().map(|step| step.seq), Some(outcome.of));
                drop_content(outcome.outcome.as_mut().unwrap());
            }
            true
        });
        let outline = outline.unwrap();
        for (step, full) in outline.steps().iter().zip(whole.steps()) {
            let (step, full) = (
                step.outcome.as_ref().unwrap(),
                full.outcome.as_ref().unwrap(),
            );
            assert_eq!(step.record.hash, full.record.hash);
            let output = step.record.outcome.as_ref().unwrap().output().unwrap();
            assert!(output.blocks.is_empty() && output.metadata.is_none());
            assert_eq!(output.reward.map(|reward| reward.get()), Some(0.5));
        }
    }
}

#[test]
fn an_error_ends_a_scan() {
    let (_dir, id, stores) = stores();
    for store in stores {
        let mut count = 0;
        let ended = scan(&*store, id, None, &mut |record| {
            count += 1;
            match record.seq {
                3 => Err(JournalError::damaged(id, 3, "enough")),
                _ => Ok(()),
            }
        });
        assert!(matches!(ended, Err(JournalError::Damaged { .. })));
        assert_eq!(count, 4);
        let unknown = scan(&*store, EpisodeId::new(), None, &mut |_| Ok(()));
        assert!(matches!(unknown, Err(JournalError::Unknown(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_long_histories_leave_half_of_the_processors() {
    let journal = Journal::with_store(MemoryStore::new(), Durability::Process, None).unwrap();
    let id = EpisodeId::new();
    let (mut writer, written) = journal.begin(id, sample::created(None, "s"));
    written.await.unwrap();
    writer.append(&sample::ended()).await.unwrap();
    let (active, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let reads: Vec<_> = (0..8)
        .map(|_| {
            let (journal, active, most) = (journal.clone(), active.clone(), most.clone());
            tokio::spawn(async move {
                let read = journal.history_with(id, move |_, _| {
                    let now = active.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    active.fetch_sub(1, Ordering::SeqCst);
                    true
                });
                read.await.unwrap();
            })
        })
        .collect();
    for read in reads {
        read.await.unwrap();
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let most = most.load(Ordering::SeqCst);
    assert!(
        (1..=(processors / 2).max(1)).contains(&most),
        "{most} at once"
    );
    journal.close().await;
}
