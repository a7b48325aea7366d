//! The writer's thread, driven through the journal: what tickets tell.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::testing as sample;
use crate::{
    Durability, Entry, Episode, EpisodeId, Filter, Journal, JournalError, MemoryStore, Put, Row,
    Store, StoreError,
};
use orwd_model::SessionId;

/// A store that fails when it is told to, and counts its transactions.
#[derive(Clone, Default)]
struct Faulty(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: MemoryStore,
    fault: Mutex<Option<StoreError>>,
    commits: AtomicUsize,
    /// Held by the test, it holds up the writer.
    gate: Mutex<()>,
}

impl Faulty {
    fn fail(&self, fault: Option<StoreError>) {
        *self.0.fault.lock().unwrap() = fault;
    }
}

impl Store for Faulty {
    fn append(&self, batch: &[Entry]) -> Result<Vec<Put>, StoreError> {
        drop(self.0.gate.lock().unwrap());
        self.0.commits.fetch_add(1, Ordering::SeqCst);
        match self.0.fault.lock().unwrap().clone() {
            Some(fault) => Err(fault),
            None => self.0.store.append(batch),
        }
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<Row>, StoreError> {
        self.0.store.read(episode, from)
    }

    fn episode(&self, episode: EpisodeId) -> Result<Option<Episode>, StoreError> {
        self.0.store.episode(episode)
    }

    fn find(&self, owner: Option<&str>, id: &SessionId) -> Result<Option<Episode>, StoreError> {
        self.0.store.find(owner, id)
    }

    fn list(&self, filter: &Filter) -> Result<Vec<Episode>, StoreError> {
        self.0.store.list(filter)
    }

    fn keep(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.store.keep(name, fresh)
    }

    fn forget(&self, episode: EpisodeId) -> Result<(), StoreError> {
        self.0.store.forget(episode)
    }

    fn rest(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.0.store.close()
    }
}

fn journal() -> (Faulty, Journal) {
    let store = Faulty::default();
    let journal = Journal::over(store.clone(), Durability::Process, None).unwrap();
    (store, journal)
}

#[tokio::test]
async fn an_episode_is_written_read_and_gone_on_with() {
    let (_, journal) = journal();
    let id = EpisodeId::new();
    let (mut pen, begun) = journal.begin(id, sample::created(Some("alice"), "s"));
    let asked = pen.append(&sample::call(1));
    let answered = pen.append(&sample::answer(1, Some(1.0)));
    for ticket in [begun, asked, answered] {
        ticket.await.unwrap();
    }
    let history = journal.history(id).await.unwrap();
    assert_eq!((history.next(), history.tip()), (pen.next(), pen.tip()));
    let mut pen = journal.resume(&history);
    pen.append(&sample::ended()).await.unwrap();
    assert!(journal.history(id).await.unwrap().ended().is_some());
    assert!(journal.live().await.unwrap().is_empty());
    let session = SessionId::new("s").unwrap();
    let found = journal.find(Some("alice"), &session).await.unwrap();
    assert_eq!(found.map(|episode| episode.id), Some(id));
}

#[tokio::test]
async fn whatever_is_queued_is_committed_together() {
    let (store, journal) = journal();
    let gate = store.0.gate.lock().unwrap();
    // The first is under way, and the others come while it is.
    let tickets: Vec<_> = (0..50)
        .map(|n| {
            journal
                .begin(EpisodeId::new(), sample::created(None, &format!("s{n}")))
                .1
        })
        .collect();
    drop(gate);
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let commits = store.0.commits.load(Ordering::SeqCst);
    assert!(commits <= 2, "{commits} transactions for 50 records");
    assert_eq!(journal.live().await.unwrap().len(), 50);
}

#[tokio::test]
async fn what_nobody_waits_for_is_there_when_what_follows_it_is() {
    let (store, journal) = journal();
    let id = EpisodeId::new();
    let (mut pen, begun) = journal.begin(id, sample::created(None, "s"));
    begun.await.unwrap();
    pen.append_soon(&sample::call(1));
    pen.append(&sample::answer(1, None)).await.unwrap();
    assert_eq!(journal.history(id).await.unwrap().next(), 3);
    // Where it is lost, so is what follows it.
    store.fail(Some(StoreError::Full));
    let before = store.0.commits.load(Ordering::SeqCst);
    pen.append_soon(&sample::call(2));
    while store.0.commits.load(Ordering::SeqCst) == before {
        tokio::task::yield_now().await;
    }
    store.fail(None);
    let late = pen.append(&sample::answer(3, None)).await;
    assert_eq!(
        late,
        Err(JournalError::Gap {
            episode: id,
            seq: 4
        })
    );
    assert_eq!(journal.history(id).await.unwrap().next(), 3);
}

#[tokio::test]
async fn a_full_store_refuses_and_goes_on_when_there_is_space() {
    let (store, journal) = journal();
    let id = EpisodeId::new();
    let (mut pen, begun) = journal.begin(id, sample::created(None, "s"));
    begun.await.unwrap();
    store.fail(Some(StoreError::Full));
    assert_eq!(pen.append(&sample::call(1)).await, Err(JournalError::Full));
    store.fail(None);
    // What follows a lost record must not get in without it.
    let late = pen.append(&sample::answer(1, None)).await;
    assert_eq!(
        late,
        Err(JournalError::Gap {
            episode: id,
            seq: 2
        })
    );
    let history = journal.history(id).await.unwrap();
    assert_eq!(history.next(), 1);
    let mut pen = journal.resume(&history);
    pen.append(&sample::call(1)).await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_stops_the_journal_for_good() {
    let (store, journal) = journal();
    let (mut pen, begun) = journal.begin(EpisodeId::new(), sample::created(None, "s"));
    begun.await.unwrap();
    store.fail(Some(StoreError::Sync("the disk is gone".to_owned())));
    let stopped = JournalError::Stopped("the disk is gone".to_owned());
    assert_eq!(pen.append(&sample::call(1)).await, Err(stopped.clone()));
    assert_eq!(journal.stopped().await, "the disk is gone");
    store.fail(None);
    let commits = store.0.commits.load(Ordering::SeqCst);
    let (_, other) = journal.begin(EpisodeId::new(), sample::created(None, "t"));
    assert_eq!(other.await, Err(stopped));
    assert_eq!(
        store.0.commits.load(Ordering::SeqCst),
        commits,
        "it was tried again"
    );
}

#[tokio::test]
async fn two_pens_on_one_episode_do_not_both_write() {
    let (_, journal) = journal();
    let id = EpisodeId::new();
    let (mut pen, begun) = journal.begin(id, sample::created(None, "s"));
    begun.await.unwrap();
    let mut zombie = journal.resume(&journal.history(id).await.unwrap());
    pen.append(&sample::call(1)).await.unwrap();
    let fenced = JournalError::Fenced {
        episode: id,
        seq: 1,
    };
    assert_eq!(zombie.append(&sample::call(2)).await, Err(fenced));
}

#[tokio::test]
async fn a_journal_that_is_closed_has_written_what_was_queued() {
    let (store, journal) = journal();
    let (mut pen, begun) = journal.begin(EpisodeId::new(), sample::created(None, "s"));
    let asked = pen.append(&sample::call(1));
    journal.close().await;
    begun.await.unwrap();
    asked.await.unwrap();
    let late = pen.append(&sample::answer(1, None)).await;
    assert_eq!(late, Err(JournalError::Stopped("it was closed".to_owned())));
    assert_eq!(store.list(&Filter::default()).unwrap()[0].head, 1);
    assert_eq!(journal.stopped().await, "it was closed");
}

#[tokio::test]
async fn a_journal_that_is_off_keeps_nothing_and_says_so() {
    let journal = Journal::off();
    assert_eq!(journal.durability(), Durability::None);
    let id = EpisodeId::new();
    let (mut pen, begun) = journal.begin(id, sample::created(None, "s"));
    begun.await.unwrap();
    pen.append(&sample::call(1)).await.unwrap();
    assert_eq!(journal.history(id).await, Err(JournalError::Off));
    assert!(journal.live().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_of_the_host_is_drawn_once() {
    let (_, journal) = journal();
    let key = journal.host_key("tasks").await.unwrap();
    assert_eq!(journal.host_key("tasks").await.unwrap(), key);
    assert_ne!(journal.host_key("others").await.unwrap(), key);
}
