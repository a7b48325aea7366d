//! The journal of one episode, if one is kept.

use std::time::Duration;

use orwd_journal::{
    Durability, EndReason, EndedRecord, EpisodeId, EpisodeWriter, GuestOutcome, Hash, Journal,
    JournalError, PendingCommit, Record, RequestRecord,
};
use orwd_model::{Fault, FaultCode, HttpExchange, Timestamp};

/// How often [`write_end`] tries again after it was fenced off.
const MAX_RETRIES: u32 = 3;

/// The first and the longest pause of [`write_end_later`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Writes the journal of an episode.
///
/// A request is queued for the journal while the guest processes it. Its
/// response is returned once both are committed. If they cannot be, the guest
/// has seen what no journal holds: nobody may get the response, and the guest
/// must be dropped.
///
/// A guest that may send HTTP requests processes a request once it is committed.
/// Otherwise a killed host would not know that something may have been sent, and
/// would send it again.
pub(crate) struct EpisodeLog {
    writer: Option<EpisodeWriter>,
    /// Whether the guest may send HTTP requests.
    sends: bool,
    /// The request that the guest is to process, until it is committed.
    request: Option<PendingCommit>,
    /// The bytes after which the session is ended.
    limit: u64,
    /// What the journal holds of what the guest has seen of its data.
    observed: Option<Hash>,
}

impl EpisodeLog {
    /// Creates a log of about this many bytes at most, of a guest whose
    /// observations are journaled up to `observed`, and that may send HTTP requests
    /// or not.
    pub(crate) fn new(
        writer: EpisodeWriter,
        limit: u64,
        observed: Option<Hash>,
        sends: bool,
    ) -> EpisodeLog {
        EpisodeLog {
            writer: Some(writer),
            sends,
            request: None,
            limit,
            observed,
        }
    }

    /// Creates a log that writes nothing.
    pub(crate) fn disabled() -> EpisodeLog {
        EpisodeLog {
            writer: None,
            sends: false,
            request: None,
            limit: u64::MAX,
            observed: None,
        }
    }

    /// Returns the fault that ends the session if the log has reached its
    /// limit.
    pub(crate) fn limit_fault(&self) -> Option<Fault> {
        let bytes = self.writer.as_ref().map_or(0, EpisodeWriter::bytes);
        (bytes > self.limit).then(|| {
            let message = "more written down of the session than the journal takes";
            Fault::new(FaultCode::LimitDisk, message)
        })
    }

    /// Queues a request, and returns its sequence number. A response is committed
    /// after its request or not at all, so only a guest that may send HTTP requests
    /// waits for it.
    pub(crate) fn append_request(&mut self, request: impl FnOnce() -> RequestRecord) -> u64 {
        let Some(writer) = &mut self.writer else {
            return 0;
        };
        let seq = writer.next();
        let record = Record::Request(Box::new(request()));
        if self.sends {
            self.request = Some(writer.append(&record));
        } else {
            writer.append_deferred(&record);
        }
        seq
    }

    /// Waits until the guest may process the request that was queued last.
    pub(crate) async fn request_is_safe(&mut self) -> Result<(), JournalError> {
        match self.request.take() {
            Some(commit) => commit.await,
            None => Ok(()),
        }
    }

    /// Writes the response to a request, and waits until both are committed.
    pub(crate) async fn append_response(
        &mut self,
        request: u64,
        response: impl FnOnce() -> GuestOutcome,
        cpu_time: Duration,
        observed: Option<Hash>,
    ) -> Result<(), JournalError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let micros = u64::try_from(cpu_time.as_micros()).unwrap_or(u64::MAX);
        // A guest that is gone has none, and is never resumed.
        let new = observed.filter(|_| observed != self.observed);
        self.observed = new.or(self.observed);
        writer
            .append_outcome(request, response(), micros, new)
            .await
    }

    /// Writes an HTTP request that the guest made during a request, and waits until
    /// it is committed.
    pub(crate) async fn append_exchange(
        &mut self,
        request: u64,
        exchange: HttpExchange,
    ) -> Result<(), JournalError> {
        match &mut self.writer {
            Some(writer) => writer.append_exchange(request, exchange).await,
            None => Ok(()),
        }
    }

    /// Writes the end of the episode.
    pub(crate) async fn append_end(&mut self, reason: EndReason) -> Result<(), JournalError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let at = Timestamp::now();
        writer
            .append(&Record::Ended(EndedRecord { at, reason }))
            .await
    }
}

/// Writes the end of an episode that is not in memory.
pub(crate) async fn write_end(
    journal: &Journal,
    episode: EpisodeId,
    reason: EndReason,
) -> Result<(), JournalError> {
    if journal.durability() == Durability::None {
        return Ok(());
    }
    let mut retries = 0..MAX_RETRIES;
    loop {
        let at = Timestamp::now();
        match journal.end(episode, EndedRecord { at, reason }).await {
            // Another record of this process was still in the queue.
            Err(JournalError::Fenced { .. }) if retries.next().is_some() => {}
            written => return written,
        }
    }
}

/// Writes an end that could not be written, as soon as it can be. Until then
/// the id is taken, and a restarted server would resume the session.
pub(crate) async fn write_end_later(journal: Journal, episode: EpisodeId, reason: EndReason) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match write_end(&journal, episode, reason).await {
            Err(error) if error.is_transient() => {}
            Ok(()) => return tracing::info!(%episode, "session end journaled"),
            // The server stops, or the journal of the episode is unusable.
            Err(_) => return,
        }
    }
}
