//! The committing thread, and the results of appends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    AppendEntry, AppendResult, DiskSpace, Durability, EpisodeFilter, EpisodeId, GuestOutcome,
    ImportedReceipt, IndexedEpisode, Journal, JournalError, JournalStore, StoreError, StoredRecord,
    UsageLedger,
};
use orwd_model::SessionId;

/// A store that fails on demand and counts its transactions.
#[derive(Clone, Default)]
struct Faulty(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: MemoryStore,
    fault: Mutex<Option<StoreError>>,
    commits: AtomicUsize,
    /// Bytes of pieces.
    staged: AtomicUsize,
    /// The test holds it to block the committing thread.
    gate: Mutex<()>,
}

impl Faulty {
    fn fail(&self, fault: Option<StoreError>) {
        *self.0.fault.lock().unwrap() = fault;
    }
}

impl JournalStore for Faulty {
    fn append(&self, batch: &[AppendEntry]) -> Result<Vec<AppendResult>, StoreError> {
        drop(self.0.gate.lock().unwrap());
        self.0.commits.fetch_add(1, Ordering::SeqCst);
        match self.0.fault.lock().unwrap().clone() {
            Some(fault) => Err(fault),
            None => self.0.store.append(batch),
        }
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.0.store.read(episode, from)
    }

    fn episode(&self, episode: EpisodeId) -> Result<Option<IndexedEpisode>, StoreError> {
        self.0.store.episode(episode)
    }

    fn find(
        &self,
        owner: Option<&str>,
        id: &SessionId,
    ) -> Result<Option<IndexedEpisode>, StoreError> {
        self.0.store.find(owner, id)
    }

    fn list(&self, filter: &EpisodeFilter) -> Result<Vec<IndexedEpisode>, StoreError> {
        self.0.store.list(filter)
    }

    fn get_or_insert(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.store.get_or_insert(name, fresh)
    }

    fn set_value(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.store.set_value(name, value)
    }

    fn set_receipts(
        &self,
        episode: EpisodeId,
        receipts: &[ImportedReceipt],
    ) -> Result<(), StoreError> {
        self.0.store.set_receipts(episode, receipts)
    }

    fn receipts(&self, episode: EpisodeId) -> Result<Vec<ImportedReceipt>, StoreError> {
        self.0.store.receipts(episode)
    }

    fn receipt_keys(&self, episode: EpisodeId) -> Result<Vec<String>, StoreError> {
        self.0.store.receipt_keys(episode)
    }

    fn purge(&self, episode: EpisodeId) -> Result<(), StoreError> {
        self.0.store.purge(episode)
    }

    fn fork(
        &self,
        parent: EpisodeId,
        upto: u64,
        children: &[AppendEntry],
    ) -> Result<Option<Vec<AppendResult>>, StoreError> {
        self.0.store.fork(parent, upto, children)
    }

    fn oldest_ended(&self, owner: Option<&str>, limit: u32) -> Result<Vec<EpisodeId>, StoreError> {
        self.0.store.oldest_ended(owner, limit)
    }

    fn usage(&self) -> &UsageLedger {
        self.0.store.usage()
    }

    fn space(&self) -> Result<DiskSpace, StoreError> {
        self.0.store.space()
    }

    fn stage(&self, _: EpisodeId, _: u64, _: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.staged.fetch_add(bytes.len(), Ordering::SeqCst);
        match self.0.fault.lock().unwrap().clone() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.0.store.close()
    }
}

fn journal() -> (Faulty, Journal) {
    let store = Faulty::default();
    let journal = Journal::with_store(store.clone(), Durability::Process, None).unwrap();
    (store, journal)
}

#[tokio::test]
async fn an_episode_is_written_read_and_continued() {
    let (_, journal) = journal();
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(Some("alice"), "s"));
    let requested = writer.append(&sample::call(1));
    let outcome = writer.append(&sample::outcome(1, Some(1.0)));
    for commit in [created, requested, outcome] {
        commit.await.unwrap();
    }
    let history = journal.history(id).await.unwrap();
    assert_eq!(
        (history.next(), history.tip()),
        (writer.next(), writer.tip())
    );
    let mut writer = journal.resume(&history);
    writer.append(&sample::ended()).await.unwrap();
    assert!(journal.history(id).await.unwrap().ended().is_some());
    assert!(journal.live().await.unwrap().is_empty());
    let session = SessionId::new("s").unwrap();
    let found = journal.find(Some("alice"), &session).await.unwrap();
    assert_eq!(found.map(|episode| episode.id), Some(id));
}

#[tokio::test]
async fn queued_records_are_committed_together() {
    let (store, journal) = journal();
    let gate = store.0.gate.lock().unwrap();
    // The others are queued while the first is being committed.
    let commits: Vec<_> = (0..50)
        .map(|n| {
            journal
                .begin(EpisodeId::new(), sample::created(None, &format!("s{n}")))
                .1
        })
        .collect();
    drop(gate);
    for commit in commits {
        commit.await.unwrap();
    }
    let commits = store.0.commits.load(Ordering::SeqCst);
    assert!(commits <= 2, "{commits} transactions for 50 records");
    assert_eq!(journal.live().await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_deferred_record_is_committed_with_the_next_one() {
    let (store, journal) = journal();
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(None, "s"));
    created.await.unwrap();
    writer.append_deferred(&sample::call(1));
    writer.append(&sample::outcome(1, None)).await.unwrap();
    assert_eq!(journal.history(id).await.unwrap().next(), 3);
    // If it is lost, so is the next one.
    store.fail(Some(StoreError::Full));
    let before = store.0.commits.load(Ordering::SeqCst);
    writer.append_deferred(&sample::call(2));
    while store.0.commits.load(Ordering::SeqCst) == before {
        tokio::task::yield_now().await;
    }
    store.fail(None);
    let late = writer.append(&sample::outcome(3, None)).await;
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
async fn a_full_store_refuses_appends_until_there_is_space() {
    let (store, journal) = journal();
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(None, "s"));
    created.await.unwrap();
    store.fail(Some(StoreError::Full));
    assert_eq!(
        writer.append(&sample::call(1)).await,
        Err(JournalError::Full)
    );
    store.fail(None);
    // A record after a lost one must not be stored.
    let late = writer.append(&sample::outcome(1, None)).await;
    assert_eq!(
        late,
        Err(JournalError::Gap {
            episode: id,
            seq: 2
        })
    );
    let history = journal.history(id).await.unwrap();
    assert_eq!(history.next(), 1);
    let mut writer = journal.resume(&history);
    writer.append(&sample::call(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_outcome_is_written_in_pieces() {
    const SIZE: usize = 3 << 20;
    let (store, journal) = journal();
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(Some("alice"), "s"));
    created.await.unwrap();
    writer.append_deferred(&sample::call(1));
    let outcome = GuestOutcome::Failed("x".repeat(SIZE));
    writer
        .append_outcome(1, outcome.clone(), 7, None)
        .await
        .unwrap();
    assert!(store.0.staged.load(Ordering::SeqCst) > SIZE);
    let history = journal.history(id).await.unwrap();
    let recorded = history
        .steps()
        .first()
        .and_then(|step| step.outcome.as_ref());
    assert_eq!(
        recorded.and_then(|found| found.record.outcome.clone()),
        Some(outcome.clone())
    );
    // If a piece cannot be written, the outcome is not.
    writer.append(&sample::call(3)).await.unwrap();
    store.fail(Some(StoreError::Full));
    let refused = writer.append_outcome(3, outcome, 7, None).await;
    assert_eq!(refused, Err(JournalError::Full));
    store.fail(None);
    let late = writer.append(&sample::call(4)).await;
    assert!(matches!(late, Err(JournalError::Gap { .. })), "{late:?}");
}

#[tokio::test]
async fn an_episode_is_ended_without_its_records() {
    let (_, journal) = journal();
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(None, "s"));
    created.await.unwrap();
    writer.append(&sample::call(1)).await.unwrap();
    let end = crate::EndedRecord {
        at: orwd_model::Timestamp::from_nanos(9),
        reason: crate::EndReason::Deleted,
    };
    for _ in 0..2 {
        journal.end(id, end).await.unwrap();
    }
    assert_eq!(journal.history(id).await.unwrap().ended(), Some(&end));
    let unknown = journal.end(EpisodeId::new(), end).await;
    assert!(
        matches!(unknown, Err(JournalError::Unknown(_))),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_failed_sync_stops_the_journal_permanently() {
    let (store, journal) = journal();
    let (mut writer, created) = journal.begin(EpisodeId::new(), sample::created(None, "s"));
    created.await.unwrap();
    store.fail(Some(StoreError::Sync("the disk is gone".to_owned())));
    let stopped = JournalError::Stopped("the disk is gone".to_owned());
    assert_eq!(writer.append(&sample::call(1)).await, Err(stopped.clone()));
    assert_eq!(journal.stopped().await, "the disk is gone");
    store.fail(None);
    let commits = store.0.commits.load(Ordering::SeqCst);
    let (_, other) = journal.begin(EpisodeId::new(), sample::created(None, "t"));
    assert_eq!(other.await, Err(stopped));
    assert_eq!(
        store.0.commits.load(Ordering::SeqCst),
        commits,
        "it was retried"
    );
}

#[tokio::test]
async fn only_one_of_two_writers_of_an_episode_succeeds() {
    let (_, journal) = journal();
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(None, "s"));
    created.await.unwrap();
    let mut second = journal.resume(&journal.history(id).await.unwrap());
    writer.append(&sample::call(1)).await.unwrap();
    let fenced = JournalError::Fenced {
        episode: id,
        seq: 1,
    };
    assert_eq!(second.append(&sample::call(2)).await, Err(fenced));
}

#[tokio::test]
async fn a_closed_journal_has_committed_what_was_queued() {
    let (store, journal) = journal();
    let (mut writer, created) = journal.begin(EpisodeId::new(), sample::created(None, "s"));
    let requested = writer.append(&sample::call(1));
    journal.close().await;
    created.await.unwrap();
    requested.await.unwrap();
    let late = writer.append(&sample::outcome(1, None)).await;
    assert_eq!(late, Err(JournalError::Stopped("it was closed".to_owned())));
    assert_eq!(store.list(&EpisodeFilter::default()).unwrap()[0].head, 1);
    assert_eq!(journal.stopped().await, "it was closed");
}

#[tokio::test]
async fn a_disabled_journal_stores_nothing() {
    let journal = Journal::disabled();
    assert_eq!(journal.durability(), Durability::None);
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(None, "s"));
    created.await.unwrap();
    writer.append(&sample::call(1)).await.unwrap();
    assert_eq!(journal.history(id).await, Err(JournalError::Disabled));
    assert!(journal.live().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_host_key_is_drawn_once() {
    let (_, journal) = journal();
    let key = journal.host_key("tasks").await.unwrap();
    assert_eq!(journal.host_key("tasks").await.unwrap(), key);
    assert_ne!(journal.host_key("others").await.unwrap(), key);
}
