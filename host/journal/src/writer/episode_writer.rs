//! The writer of an episode's records.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use orwd_model::HttpExchange;
use tokio::sync::oneshot;

use super::budget::{MIN_LARGE, WriteBudget};
use super::queue::Sender;
use crate::error::JournalError;
use crate::history::EpisodeHistory;
use crate::record::{
    ChainLink, EpisodeId, ExchangeRecord, GuestOutcome, Hash, OutcomeRecord, Record,
};
use crate::sealing::ContentPolicy;
use crate::store::{AppendEntry, ImportOrigin, IndexChange, IndexedEpisode};

/// Writes the records of one episode in sequence. After an error all further
/// appends fail; the caller must read the history and create a new writer.
#[derive(Debug)]
pub struct EpisodeWriter {
    episode: EpisodeId,
    next: u64,
    tip: ChainLink,
    /// Bytes of all records.
    bytes: u64,
    /// `None` if no journal is kept.
    queue: Option<Sender>,
    budget: WriteBudget,
    policy: ContentPolicy,
}

impl EpisodeWriter {
    /// Creates the writer of a new episode.
    pub(crate) fn new(
        episode: EpisodeId,
        queue: Option<Sender>,
        budget: WriteBudget,
        policy: ContentPolicy,
    ) -> EpisodeWriter {
        EpisodeWriter {
            episode,
            next: 0,
            tip: ChainLink::initial(episode),
            bytes: 0,
            queue,
            budget,
            policy,
        }
    }

    /// Creates a writer that continues after this history.
    pub(crate) fn after(
        history: &EpisodeHistory,
        queue: Option<Sender>,
        budget: WriteBudget,
        policy: ContentPolicy,
    ) -> EpisodeWriter {
        EpisodeWriter {
            episode: history.episode(),
            next: history.next(),
            tip: history.tip(),
            bytes: history.bytes(),
            queue,
            budget,
            policy,
        }
    }

    /// Creates a writer that continues after the last record in the index. It
    /// knows nothing of the records before, so it is for the end of an episode.
    pub(crate) fn after_last(
        index: &IndexedEpisode,
        queue: Option<Sender>,
        budget: WriteBudget,
    ) -> EpisodeWriter {
        EpisodeWriter {
            episode: index.id,
            next: index.head + 1,
            tip: index.tip,
            bytes: 0,
            queue,
            budget,
            policy: ContentPolicy::Withheld,
        }
    }

    /// Queues a record for the next slot. Does not wait; the returned future
    /// does.
    pub fn append(&mut self, record: &Record) -> PendingCommit {
        self.append_with(record, None)
    }

    /// Queues the first record, with where the episode comes from.
    pub(crate) fn append_first(
        &mut self,
        record: &Record,
        import: Option<ImportOrigin>,
    ) -> PendingCommit {
        self.append_with(record, import)
    }

    fn append_with(&mut self, record: &Record, import: Option<ImportOrigin>) -> PendingCommit {
        let (mut entry, queue) = match self.entry(record) {
            Ok(Some(queued)) => queued,
            Ok(None) => return PendingCommit::known(Ok(())),
            Err(error) => return PendingCommit::known(Err(error)),
        };
        if let IndexChange::Begin(header) = &mut entry.change {
            header.import = import;
        }
        let (reply, commit) = oneshot::channel();
        if queue.send(entry, reply) {
            PendingCommit(CommitState::Waiting(commit))
        } else {
            PendingCommit::known(Err(thread_ended()))
        }
    }

    /// Writes the outcome of the request in slot `of`, and waits for its commit. A
    /// large outcome waits for those of the same owner, and does not occupy a
    /// thread that serves while it is hashed and encoded. `observed` is the hash of
    /// what the guest has seen of its data, if that has changed.
    pub async fn append_outcome(
        &mut self,
        of: u64,
        outcome: GuestOutcome,
        cpu_micros: u64,
        observed: Option<Hash>,
    ) -> Result<(), JournalError> {
        let Some(queue) = &self.queue else {
            self.next += 1;
            return Ok(());
        };
        let bytes = outcome.size_hint();
        let _permit = self.budget.acquire(queue.owner(), bytes).await;
        let append = || {
            let mut record = OutcomeRecord::new(of, outcome, cpu_micros);
            record.observed = observed;
            self.append(&Record::Outcome(Box::new(record)))
        };
        let may_block = || {
            let runtime = tokio::runtime::Handle::current();
            runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread
        };
        let written = if bytes > MIN_LARGE && may_block() {
            tokio::task::block_in_place(append)
        } else {
            append()
        };
        written.await
    }

    /// Writes an HTTP request that the guest made during the request in slot `of`, and
    /// waits for its commit.
    pub async fn append_exchange(
        &mut self,
        of: u64,
        exchange: HttpExchange,
    ) -> Result<(), JournalError> {
        let Some(queue) = &self.queue else {
            self.next += 1;
            return Ok(());
        };
        let _permit = self.budget.acquire(queue.owner(), exchange.size()).await;
        self.append(&Record::Exchange(Box::new(ExchangeRecord {
            of,
            exchange: Some(exchange),
            sealed: None,
        })))
        .await
    }

    /// Queues a record for the next slot without waiting for its commit. It is
    /// committed with the next awaited record of any episode, or a millisecond
    /// later. If it fails, the next append of this episode fails too.
    pub fn append_deferred(&mut self, record: &Record) {
        if let Ok(Some((entry, queue))) = self.entry(record) {
            queue.send_deferred(entry);
        }
    }

    /// Builds the entry of a record; `None` if no journal is kept. If the record
    /// cannot be sealed, its slot stays empty and all further appends fail.
    fn entry(&mut self, record: &Record) -> Result<Option<(AppendEntry, &Sender)>, JournalError> {
        let seq = self.next;
        self.next += 1;
        let Some(queue) = &self.queue else {
            return Ok(None);
        };
        let record = self.policy.apply(record, self.episode, seq)?;
        let entry = AppendEntry::new(self.episode, seq, self.tip, &record);
        self.tip = entry.link;
        self.bytes = self.bytes.saturating_add(entry.bytes.len() as u64);
        Ok(Some((entry, queue)))
    }

    /// Returns the id of the episode.
    pub fn episode(&self) -> EpisodeId {
        self.episode
    }

    /// Returns the slot of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the bytes of all records of the episode.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the last link of the chain.
    pub fn tip(&self) -> ChainLink {
        self.tip
    }
}

fn thread_ended() -> JournalError {
    JournalError::Stopped("its thread has ended".to_owned())
}

/// Resolves when the record has the configured durability. Dropping it does not
/// cancel the append.
#[derive(Debug)]
pub struct PendingCommit(CommitState);

#[derive(Debug)]
enum CommitState {
    Waiting(oneshot::Receiver<Result<(), JournalError>>),
    Known(Result<(), JournalError>),
}

impl PendingCommit {
    fn known(result: Result<(), JournalError>) -> PendingCommit {
        PendingCommit(CommitState::Known(result))
    }
}

impl Future for PendingCommit {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            CommitState::Waiting(waiting) => Pin::new(waiting)
                .poll(context)
                .map(|reply| reply.unwrap_or_else(|_| Err(thread_ended()))),
            CommitState::Known(result) => Poll::Ready(result.clone()),
        }
    }
}
