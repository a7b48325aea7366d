//! Who writes the next record of an episode, and how one learns that it is
//! there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::chain::Link;
use super::error::JournalError;
use super::format;
use super::history::History;
use super::id::EpisodeId;
use super::queue::Sender;
use super::record::Record;
use super::store::{Change, Entry, Opening};
use super::veil::Veil;

/// Writes the records of one episode, one after another. After an error
/// nothing that it writes gets in: whoever wants to go on reads the history
/// and takes a new one.
#[derive(Debug)]
pub struct Pen {
    episode: EpisodeId,
    next: u64,
    tip: Link,
    /// Bytes of all its records.
    bytes: u64,
    /// None if nothing is kept.
    queue: Option<Sender>,
    veil: Veil,
}

impl Pen {
    /// One for a new episode.
    pub(super) fn new(episode: EpisodeId, queue: Option<Sender>, veil: Veil) -> Pen {
        Pen {
            episode,
            next: 0,
            tip: Link::beginning(episode),
            bytes: 0,
            queue,
            veil,
        }
    }

    /// One that goes on after this.
    pub(super) fn after(history: &History, queue: Option<Sender>, veil: Veil) -> Pen {
        Pen {
            episode: history.episode(),
            next: history.next(),
            tip: history.tip(),
            bytes: history.bytes(),
            queue,
            veil,
        }
    }

    /// Puts a record into the next slot. Does not wait: the ticket does.
    pub fn append(&mut self, record: &Record) -> Ticket {
        let (entry, queue) = match self.entry(record) {
            Ok(Some(queued)) => queued,
            Ok(None) => return Ticket::of(Ok(())),
            Err(error) => return Ticket::of(Err(error)),
        };
        let (reply, ticket) = oneshot::channel();
        if queue.send(entry, reply) {
            Ticket(State::Waiting(ticket))
        } else {
            Ticket::of(Err(ended()))
        }
    }

    /// Puts a record into the next slot that nobody waits for. It is written
    /// with the next one that somebody waits for, of this episode or another,
    /// or a moment later; where it could not be, the next one is not either.
    pub fn append_soon(&mut self, record: &Record) {
        if let Ok(Some((entry, queue))) = self.entry(record) {
            queue.send_later(entry);
        }
    }

    /// The record as it is queued; none if nothing is kept. Where it cannot be
    /// sealed there is a gap in its place, and nothing else gets in.
    fn entry(&mut self, record: &Record) -> Result<Option<(Entry, &Sender)>, JournalError> {
        let seq = self.next;
        self.next += 1;
        let Some(queue) = &self.queue else {
            return Ok(None);
        };
        let record = self.veil.over(record, self.episode, seq)?;
        let entry = Entry::new(self.episode, seq, self.tip, &record);
        self.tip = entry.link;
        self.bytes = self.bytes.saturating_add(entry.bytes.len() as u64);
        Ok(Some((entry, queue)))
    }

    /// The episode.
    pub fn episode(&self) -> EpisodeId {
        self.episode
    }

    /// The slot of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Bytes of all records of the episode.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the chain has come to.
    pub fn tip(&self) -> Link {
        self.tip
    }
}

impl Entry {
    /// Encodes a record for its slot, chained to the records before it.
    pub fn new(episode: EpisodeId, seq: u64, previous: Link, record: &Record) -> Entry {
        let bytes = format::encode(record);
        Entry {
            episode,
            seq,
            link: previous.then(seq, &bytes),
            bytes,
            change: change(record),
        }
    }
}

/// What a record does to the index.
pub(super) fn change(record: &Record) -> Change {
    match record {
        Record::Created(created) => Change::Begin(Box::new(Opening {
            owner: created.owner.clone(),
            session: created.session.clone(),
            environment: created.environment.clone(),
            component: created.component,
            created: created.start,
        })),
        Record::Asked(_) | Record::Answered(_) => Change::None,
        Record::Ended(ended) => Change::End(ended.at),
    }
}

fn ended() -> JournalError {
    JournalError::Stopped("its thread has ended".to_owned())
}

/// Resolves when the record is as durable as was asked for. Dropping it does
/// not keep the record from being written.
#[derive(Debug)]
pub struct Ticket(State);

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Result<(), JournalError>>),
    Known(Result<(), JournalError>),
}

impl Ticket {
    fn of(known: Result<(), JournalError>) -> Ticket {
        Ticket(State::Known(known))
    }
}

impl Future for Ticket {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Waiting(waiting) => Pin::new(waiting)
                .poll(context)
                .map(|told| told.unwrap_or_else(|_| Err(ended()))),
            State::Known(known) => Poll::Ready(known.clone()),
        }
    }
}
