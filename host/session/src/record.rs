//! A guest together with the journal of its episode: what is asked goes into
//! the one and into the other.
//!
//! The ask is on its way to the journal while the guest is at it; the outcome
//! is handed on when both are committed. Where they cannot be, the guest has
//! seen what no journal holds: nobody may be told of it, and whoever holds
//! this drops it and goes by the journal.

use std::time::Duration;

use super::guest::Guest;
use orwd_journal::{
    EndReason, EndedRecord, EpisodeWriter, GuestOutcome, GuestRequest, JournalError, OutcomeRecord,
    Record, RequestRecord, RunIdentity,
};
use orwd_model::{Fault, FaultCode, Timestamp};

/// Where an episode is written down, if it is.
pub(super) struct Book {
    pen: Option<EpisodeWriter>,
    /// Bytes after which nothing more is done.
    limit: u64,
}

impl Book {
    /// One that is kept, of about so many bytes at most.
    pub(super) fn kept(pen: EpisodeWriter, limit: u64) -> Book {
        Book {
            pen: Some(pen),
            limit,
        }
    }

    /// One that holds nothing.
    pub(super) fn none() -> Book {
        Book {
            pen: None,
            limit: u64::MAX,
        }
    }

    /// The fault that ends the session, once the book has had all it may.
    fn full(&self) -> Option<Fault> {
        let bytes = self.pen.as_ref().map_or(0, EpisodeWriter::bytes);
        (bytes > self.limit).then(|| {
            let message = "more written down of the session than the journal takes";
            Fault::new(FaultCode::LimitDisk, message)
        })
    }

    /// Writes the end of the episode.
    pub(super) async fn end(&mut self, reason: EndReason) -> Result<(), JournalError> {
        match &mut self.pen {
            Some(pen) => {
                let at = Timestamp::now();
                pen.append(&Record::Ended(EndedRecord { at, reason })).await
            }
            None => Ok(()),
        }
    }

    /// Writes an answer, and gives the outcome back once it is committed.
    async fn answered(
        &mut self,
        of: u64,
        outcome: GuestOutcome,
        spent: Duration,
    ) -> Result<GuestOutcome, JournalError> {
        let Some(pen) = &mut self.pen else {
            return Ok(outcome);
        };
        let record = Record::Outcome(Box::new(OutcomeRecord::new(of, outcome, micros(spent))));
        // With this one all those before it are there.
        pen.append(&record).await?;
        match record {
            Record::Outcome(answered) => answered.outcome.ok_or(JournalError::Disabled),
            _ => Err(JournalError::Disabled),
        }
    }
}

/// A guest in memory.
pub(super) struct Awake {
    pub(super) guest: Guest,
    pub(super) book: Book,
}

/// An ask that is on its way to the journal.
pub(super) struct Pending {
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) ask: GuestRequest,
}

impl Pending {
    /// One that the journal has had for long.
    pub(super) fn written(seq: u64, asked: RequestRecord) -> Pending {
        Pending {
            seq,
            at: asked.at,
            ask: asked.request,
        }
    }
}

impl Awake {
    /// Writes down that this is asked now.
    pub(super) fn ask(&mut self, ask: GuestRequest, run: Option<RunIdentity>) -> Pending {
        let now = Timestamp::now();
        let Some(pen) = &mut self.book.pen else {
            return Pending {
                seq: 0,
                at: now,
                ask,
            };
        };
        let seq = pen.next();
        let record = Record::Request(Box::new(RequestRecord {
            at: now,
            request: ask,
            run,
            sealed: None,
        }));
        // Nobody has to wait for it: an answer is committed after its ask or
        // not at all.
        pen.append_deferred(&record);
        let ask = match record {
            Record::Request(asked) => asked.request,
            // It was made above.
            _ => GuestRequest::Teardown,
        };
        Pending { seq, at: now, ask }
    }

    /// Does what is asked, and tells what came of it once that is written.
    pub(super) async fn perform(
        &mut self,
        pending: &Pending,
    ) -> Result<GuestOutcome, JournalError> {
        let outcome = match self.book.full() {
            Some(fault) => GuestOutcome::Faulted(fault),
            None => self.guest.perform(&pending.ask, pending.at).await,
        };
        let spent = self.guest.spent();
        self.book.answered(pending.seq, outcome, spent).await
    }

    /// Ends the episode: the guest is torn down, what it may publish is
    /// published, and both are written down as one outcome.
    pub(super) async fn tear_down(
        mut self,
        reason: EndReason,
    ) -> (GuestOutcome, Result<(), JournalError>) {
        let pending = self.ask(GuestRequest::Teardown, None);
        self.finish(&pending, reason).await
    }

    /// Ends the episode whose teardown is asked for.
    pub(super) async fn finish(
        self,
        pending: &Pending,
        reason: EndReason,
    ) -> (GuestOutcome, Result<(), JournalError>) {
        let Awake {
            mut guest,
            mut book,
        } = self;
        let mut outcome = guest.perform(&pending.ask, pending.at).await;
        let spent = guest.spent();
        let published = guest.publish().await;
        if let (GuestOutcome::Done, Some(files)) = (&outcome, published) {
            let files = u64::try_from(files).unwrap_or(u64::MAX);
            outcome = GuestOutcome::Published { files };
        }
        let told = outcome.clone();
        let written = match book.answered(pending.seq, outcome, spent).await {
            Ok(_) => book.end(reason).await,
            Err(error) => Err(error),
        };
        (told, written)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
