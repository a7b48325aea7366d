//! Brings the guest of a session back into memory, and continues from there.

use std::time::Instant;

use orwd_journal::{EndReason, JournalError, RunIdentity};
use orwd_model::RunId;

use crate::actor::data_wait::{DataMismatch, DataWait};
use crate::actor::session_actor::{GuestState, SessionActor};
use crate::actor::state::{ActivityGuard, Phase};
use crate::api::error::SessionError;
use crate::api::request::RunRequest;
use crate::episode::live_guest::{LiveGuest, PendingEntry};
use crate::episode::restore::{NextAction, RestoreError, restore};
use crate::episode::typed_request::Setup;
use crate::handle::begin_run::TOO_LARGE_RESULTS;
use crate::limits::history_reader::HistoriesBusy;
use crate::runs::recorded_runs::{self, RunLookup, RunSearch};
use crate::runs::run::Run;

/// Why a run is not looked up at the moment.
const HISTORIES_BUSY: &str = "too many sessions are read from the journal; try again \
                              (--history-memory)";

impl SessionActor {
    /// Brings a hibernated guest into memory.
    ///
    /// The future of a resumption is several times as large as that of a call,
    /// and rare. It is boxed, since every idle session holds the memory of the
    /// largest future that its actor may await.
    pub(super) async fn resume(&mut self) -> Result<(), SessionError> {
        if !matches!(self.guest, GuestState::Hibernated) {
            return Ok(());
        }
        Box::pin(self.resume_hibernated()).await
    }

    async fn resume_hibernated(&mut self) -> Result<(), SessionError> {
        if let Phase::SetupFailed(message) = &*self.shared.phase.borrow() {
            return Err(SessionError::SetupFailed(message.clone()));
        }
        if let Some(wait) = &mut self.data_wait
            && !wait.may_retry().await
        {
            wait.skip();
            return Err(self.wait_for_data());
        }
        let start = Instant::now();
        self.shared.advance(Phase::Resuming);
        let identity = &self.shared.identity;
        let (session, episode) = (identity.id.clone(), identity.episode);
        match restore(&self.context, &self.shared).await {
            Ok(restored) => {
                if self.data_wait.take().is_some() {
                    tracing::info!(%session, %episode, "session data is as it was");
                }
                self.context.counters.resumed.inc();
                self.shared.set_runtime(restored.runtime);
                let milliseconds = start.elapsed().as_millis() as u64;
                tracing::debug!(
                    %session, %episode, steps = restored.steps, milliseconds,
                    "session resumed"
                );
                self.continue_with(restored.live, restored.next).await;
                Ok(())
            }
            Err(RestoreError::Temporary(reason)) => {
                tracing::warn!(%session, %episode, "session cannot be resumed yet: {reason}");
                self.shared.advance(Phase::Hibernated);
                Err(SessionError::Starting)
            }
            Err(RestoreError::DataOutgrown {
                reason,
                for_clients,
            }) => {
                tracing::warn!(%session, %episode, "session cannot be resumed yet: {reason}");
                Err(self.wait_for_limits(for_clients))
            }
            Err(RestoreError::DataDiffers(mismatch)) => {
                self.note_mismatch(*mismatch);
                Err(self.wait_for_data())
            }
            Err(RestoreError::Lost(reason)) => Err(self.lose(reason)),
            Err(RestoreError::Faulted(fault)) => {
                self.guest = GuestState::Gone;
                self.shared.advance(Phase::Faulted(fault.clone()));
                Err(SessionError::Gone(fault))
            }
            Err(RestoreError::Ended) => {
                self.guest = GuestState::Gone;
                self.shared.advance(Phase::Deleted);
                Err(SessionError::Deleted)
            }
        }
    }

    /// Remembers that the session was replayed over other data.
    fn note_mismatch(&mut self, mismatch: DataMismatch) {
        let now = Instant::now();
        match &mut self.data_wait {
            Some(wait) => wait.again(mismatch, now),
            None => {
                let identity = &self.shared.identity;
                tracing::warn!(
                    session = %identity.id, episode = %identity.episode,
                    "session waits for its data: {}", mismatch.reason
                );
                self.data_wait = Some(Box::new(DataWait::new(mismatch, now)));
            }
        }
    }

    /// Keeps the session waiting for its data, or gives it up if it has waited
    /// as long as it may. Returns what its requests get.
    fn wait_for_data(&mut self) -> SessionError {
        let Some(wait) = &self.data_wait else {
            return SessionError::Starting;
        };
        let reason = wait.reason().to_owned();
        if wait.has_lasted(self.context.settings.data_change_wait, Instant::now()) {
            return self.lose(reason);
        }
        self.shared.advance(Phase::DataDiffers {
            reason: reason.clone(),
            attempts: wait.attempts() + self.outgrown,
        });
        SessionError::DataDiffers(reason)
    }

    /// Keeps the session waiting while its data exceeds a limit, however long. Returns
    /// what its requests get.
    fn wait_for_limits(&mut self, reason: String) -> SessionError {
        self.outgrown += 1;
        let attempts = self.data_wait.as_ref().map_or(0, |wait| wait.attempts());
        self.shared.advance(Phase::DataDiffers {
            reason: reason.clone(),
            attempts: attempts + self.outgrown,
        });
        SessionError::DataDiffers(reason)
    }

    /// Gives the session up.
    fn lose(&mut self, reason: String) -> SessionError {
        let identity = &self.shared.identity;
        tracing::error!(
            session = %identity.id, episode = %identity.episode,
            "session lost: {reason}"
        );
        self.guest = GuestState::Gone;
        self.data_wait = None;
        self.shared.advance(Phase::Lost(reason.clone()));
        SessionError::Lost(reason)
    }

    /// Does what is left after the history of the session.
    async fn continue_with(&mut self, mut live: LiveGuest, next: NextAction) {
        match next {
            NextAction::Wait => {
                self.guest = GuestState::Live(Box::new(live));
                self.set_ready();
            }
            NextAction::SetUp => {
                let pending = live.begin(Setup, None);
                self.continue_setup(live, &pending).await;
            }
            NextAction::FinishSetup(pending) => self.continue_setup(live, &pending).await,
            NextAction::ReportSetupFailure(message) => {
                self.guest = GuestState::Live(Box::new(live));
                self.allow_eviction();
                self.shared.advance(Phase::SetupFailed(message));
            }
            NextAction::FinishRun(pending, mark) => self.continue_run(live, &pending, &mark).await,
            NextAction::FinishRequest(pending) => {
                self.guest = GuestState::Live(Box::new(live));
                self.set_ready();
                // The client that asked is gone.
                let _ = self.perform(&pending).await;
            }
            NextAction::FinishTeardown(pending) => {
                let (_, written) = live.finish(&pending, EndReason::Deleted).await;
                self.finish_end(written);
            }
            NextAction::End => {
                let written = live.log.append_end(EndReason::Deleted).await;
                self.finish_end(written);
            }
        }
    }

    async fn continue_setup(&mut self, live: LiveGuest, pending: &PendingEntry<Setup>) {
        self.guest = GuestState::Live(Box::new(live));
        self.shared.advance(Phase::Starting);
        self.set_up(pending).await;
    }

    /// Executes a run that was requested before.
    async fn continue_run(
        &mut self,
        live: LiveGuest,
        pending: &PendingEntry<RunRequest>,
        mark: &RunIdentity,
    ) {
        self.guest = GuestState::Live(Box::new(live));
        let (run, sender) = Run::started(mark.id);
        // The connection of its request is gone.
        drop(run.reader());
        self.shared.runs().insert(run.clone());
        let fingerprint = recorded_runs::fingerprint(mark);
        self.shared.retries().record(&run, &fingerprint);
        self.set_ready();
        let owner = &self.shared.identity.owner;
        let quota = self.context.call_quota.acquire_over_limit(owner);
        let arrived = Instant::now();
        let outcome = self.perform(pending).await;
        let activity = ActivityGuard::new(&self.shared);
        self.finish_run(mark.id, outcome, sender, (activity, quota), arrived);
    }

    /// Ends a session whose teardown was requested before the restart.
    fn finish_end(&mut self, written: Result<(), JournalError>) {
        self.guest = GuestState::Gone;
        if let Err(error) = written {
            self.report_missing_end(&error);
        }
        self.shared.advance(Phase::Deleted);
    }

    /// Looks up a run in the journal.
    pub(super) async fn find_recorded_run(&mut self, id: RunId) -> Result<RunLookup, SessionError> {
        if !self.context.is_journaled() {
            return Ok(RunLookup::ResultUnavailable);
        }
        let episode = self.shared.identity.episode;
        let owner = &self.shared.identity.owner;
        if !self.context.results.has_space(owner) {
            return Err(SessionError::Busy(TOO_LARGE_RESULTS));
        }
        let permit = self.context.histories.scan(owner).await;
        let permit = permit.map_err(|HistoriesBusy| SessionError::Busy(HISTORIES_BUSY))?;
        let search = RunSearch::new(id);
        let scan = self
            .context
            .journal
            .scan(episode, search, move |search, record| {
                // Kept until the scan ends.
                let _ = &permit;
                search.add(record);
            });
        let search = scan.await.map_err(|error| {
            tracing::error!(%episode, "run cannot be looked up: {error}");
            SessionError::Starting
        })?;
        let results = &self.context.results;
        Ok(search.finish(self.context.settings.result_ttl, |outcome| {
            results.hold(owner, outcome)
        }))
    }
}
