//! A guest in memory, together with the journal of its episode.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use orwd_engine::{EntryError, HttpMode, LiveHttp, ResultGate};
use orwd_journal::{EndReason, GuestOutcome, JournalError, RequestRecord, RunIdentity};
use orwd_limiter::BytePermit;
use orwd_model::{Fault, FaultCode, HttpExchange, Timestamp};
use tokio::sync::mpsc;

use crate::api::principal::Principal;
use crate::episode::episode_log::EpisodeLog;
use crate::episode::guest::Guest;
use crate::episode::typed_request::{Teardown, TypedRequest, TypedResponse, enter};
use crate::metrics::counters::CallCounters;
use crate::runs::result_room::ResultRoom;

/// A guest and its log: every request goes to both.
pub(crate) struct LiveGuest {
    pub(crate) guest: Guest,
    pub(crate) log: EpisodeLog,
}

/// A request that is journaled, or about to be, and that has no response yet.
pub(crate) struct PendingEntry<R> {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) request: R,
    /// The HTTP requests that the guest made in an earlier attempt; none if this
    /// is the first one.
    pub(crate) made: Option<Vec<HttpExchange>>,
}

/// A response, with its charge.
pub(crate) struct ChargedResponse<T> {
    pub(crate) response: T,
    pub(crate) memory: BytePermit<Principal>,
}

/// Why a request has no response. The guest must be dropped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoResponse {
    /// The response could not be journaled.
    #[error("journal write failed: {0}")]
    Journal(JournalError),
    /// The host had no capacity for the guest.
    #[error("{0}")]
    Overloaded(Fault),
}

impl LiveGuest {
    /// Journals a request that arrives now.
    pub(crate) fn begin<R: TypedRequest>(
        &mut self,
        request: R,
        run: Option<RunIdentity>,
    ) -> PendingEntry<R> {
        let at = Timestamp::now();
        let seq = self.log.append_request(|| RequestRecord {
            at,
            request: request.to_record(),
            run,
            sealed: None,
        });
        PendingEntry {
            seq,
            at,
            request,
            made: None,
        }
    }

    /// Performs a request, and returns the response once it is committed. If the
    /// host had no capacity for it, nothing is recorded, so that the request is
    /// performed again when the session resumes. The response is charged to `room`.
    pub(crate) async fn perform<R: TypedRequest>(
        &mut self,
        pending: &PendingEntry<R>,
        counters: &CallCounters,
        room: &Arc<ResultRoom>,
    ) -> Result<ChargedResponse<R::Response>, NoResponse> {
        let gate = R::RETURNS.then(|| -> Arc<dyn ResultGate> { room.clone() });
        self.guest.set_result_gate(gate);
        let response = match self.log.limit_fault() {
            Some(fault) => R::Response::faulted(fault),
            None => enter_recorded(&mut self.guest, &mut self.log, pending)
                .await
                .map_err(NoResponse::Journal)?,
        };
        if let Some(fault) = response.fault()
            && fault.code == FaultCode::Overloaded
        {
            return Err(NoResponse::Overloaded(fault.clone()));
        }
        // The copy for the journal is within the journal's own budget.
        let memory = room.charge(response.size());
        let cpu_time = self.guest.cpu_time();
        counters.used(cpu_time);
        let outcome = || response.clone().into_outcome();
        let observed = self.guest.observed();
        let written = self
            .log
            .append_response(pending.seq, outcome, cpu_time, observed);
        let start = Instant::now();
        written.await.map_err(NoResponse::Journal)?;
        counters.appended(start.elapsed());
        Ok(ChargedResponse { response, memory })
    }

    /// Ends the episode: tears the guest down, publishes what it may publish,
    /// and journals both as one response. Returns the result of the teardown,
    /// and whether the end is journaled.
    pub(crate) async fn tear_down(
        mut self,
        reason: EndReason,
    ) -> (Result<(), EntryError>, Result<(), JournalError>) {
        let pending = self.begin(Teardown, None);
        self.finish(&pending, reason).await
    }

    /// Ends the episode whose teardown is journaled as a request.
    pub(crate) async fn finish(
        self,
        pending: &PendingEntry<Teardown>,
        reason: EndReason,
    ) -> (Result<(), EntryError>, Result<(), JournalError>) {
        let LiveGuest { mut guest, mut log } = self;
        guest.set_result_gate(None);
        let done = match enter_recorded(&mut guest, &mut log, pending).await {
            Ok(done) => done,
            Err(error) => return (Ok(()), Err(error)),
        };
        let cpu_time = guest.cpu_time();
        // Before the host reads the files in order to publish them.
        let observed = guest.observed();
        let published = guest.publish().await;
        let outcome = || match (&done, published) {
            (Ok(()), Some(files)) => GuestOutcome::Published {
                files: u64::try_from(files).unwrap_or(u64::MAX),
            },
            _ => done.clone().into_outcome(),
        };
        let appended = log.append_response(pending.seq, outcome, cpu_time, observed);
        let written = match appended.await {
            Ok(()) => log.append_end(reason).await,
            Err(error) => Err(error),
        };
        (done, written)
    }
}

/// Performs a request, and journals the guest's HTTP requests while it runs. After
/// an error, the guest is gone.
async fn enter_recorded<R: TypedRequest>(
    guest: &mut Guest,
    log: &mut EpisodeLog,
    pending: &PendingEntry<R>,
) -> Result<R::Response, JournalError> {
    log.request_is_safe().await?;
    let (recorder, mut results) = mpsc::channel(1);
    let http = HttpMode::Live(LiveHttp {
        made: pending.made.clone().unwrap_or_default().into(),
        in_doubt: pending.made.is_some(),
        recorder,
    });
    let mut entered = pin!(enter(guest, &pending.request, pending.at, http));
    loop {
        let to_record = tokio::select! {
            biased;
            response = &mut entered => return Ok(response),
            Some(to_record) = results.recv() => to_record,
        };
        if let Some(fault) = log.limit_fault() {
            return Ok(R::Response::faulted(fault));
        }
        log.append_exchange(pending.seq, to_record.exchange).await?;
        // The guest waits for it, unless it is stopped.
        let _ = to_record.recorded.send(());
    }
}
