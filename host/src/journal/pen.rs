//! Who writes the next record of an episode, and how one learns that it is
//! there.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::chain::Link;
use super::error::JournalError;
use super::format;
use super::id::EpisodeId;
use super::record::Record;
use super::store::{Change, Entry, Opening};
use super::veil::Veil;
use super::writer::Command;

/// Writes the records of one episode, one after another. After an error
/// nothing that it writes gets in: whoever wants to go on reads the history
/// and takes a new one.
#[derive(Debug)]
pub struct Pen {
    episode: EpisodeId,
    next: u64,
    tip: Link,
    /// None if nothing is kept.
    queue: Option<Sender<Command>>,
    veil: Veil,
}

impl Pen {
    pub(super) fn new(
        episode: EpisodeId,
        next: u64,
        tip: Link,
        queue: Option<Sender<Command>>,
        veil: Veil,
    ) -> Pen {
        Pen {
            episode,
            next,
            tip,
            queue,
            veil,
        }
    }

    /// Puts a record into the next slot. Does not wait: the ticket does.
    pub fn append(&mut self, record: &Record) -> Ticket {
        let seq = self.next;
        self.next += 1;
        let Some(queue) = &self.queue else {
            return Ticket::of(Ok(()));
        };
        let bytes = match self.veil.over(record, self.episode, seq) {
            Ok(record) => format::encode(&record),
            // There is a gap in this place now: nothing else gets in.
            Err(error) => return Ticket::of(Err(error)),
        };
        self.tip = self.tip.then(seq, &bytes);
        let entry = Entry {
            episode: self.episode,
            seq,
            bytes,
            link: self.tip,
            change: change(record),
        };
        let (reply, ticket) = oneshot::channel();
        match queue.send(Command::Append(entry, reply)) {
            Ok(()) => Ticket(State::Waiting(ticket)),
            Err(_) => Ticket::of(Err(ended())),
        }
    }

    /// The episode.
    pub fn episode(&self) -> EpisodeId {
        self.episode
    }

    /// The slot of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// What the chain has come to.
    pub fn tip(&self) -> Link {
        self.tip
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
