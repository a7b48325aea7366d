//! Ends a session: the teardown, and the end in the journal.

use orwd_engine::EntryError;
use orwd_journal::{EndReason, JournalError};
use orwd_model::TrapKind;

use crate::actor::command::EndCause;
use crate::actor::session_actor::{GuestState, SessionActor};
use crate::episode::episode_log::{write_end, write_end_later};
use crate::episode::live_guest::LiveGuest;

impl SessionActor {
    /// Ends the session; if the server stops and the journal can rebuild it,
    /// ends it in this process only.
    pub(super) async fn end(&mut self, cause: EndCause) {
        let can_hibernate = self.shared.can_hibernate();
        let journaled = self.context.is_journaled();
        match (cause, &self.guest) {
            (EndCause::Stopped, GuestState::Hibernated | GuestState::Gone) if journaled => return,
            (EndCause::Stopped, GuestState::Live(_)) if can_hibernate => return,
            // Only a guest in memory can publish.
            (_, GuestState::Hibernated) if self.publishes() => {
                let _ = self.resume().await;
            }
            _ => {}
        }
        let reason = EndReason::from(cause);
        let episode = self.shared.identity.episode;
        let written = match std::mem::replace(&mut self.guest, GuestState::Gone) {
            GuestState::Live(live) => self.tear_down(*live, reason).await,
            GuestState::Hibernated | GuestState::Gone => {
                write_end(&self.context.journal, episode, reason).await
            }
        };
        if let Err(error) = written {
            self.report_missing_end(&error);
            if error.is_transient() {
                let journal = self.context.journal.clone();
                let later = write_end_later(journal, episode, reason);
                self.context.engine.spawn(later);
            }
        }
    }

    /// Logs that the journal does not hold the end of the session.
    pub(super) fn report_missing_end(&self, error: &JournalError) {
        let identity = &self.shared.identity;
        tracing::error!(
            session = %identity.id, episode = %identity.episode,
            "session end not journaled: {error}"
        );
    }

    /// Returns whether the session publishes what it wrote. While it has never
    /// been in memory, only the served version of its environment tells.
    fn publishes(&self) -> bool {
        match self.shared.runtime() {
            Some(runtime) => runtime.publishes,
            // An imported session is none of the served environment's.
            None if self.shared.identity.import.is_some() => false,
            None => {
                let environment = &self.shared.identity.environment;
                let served = self.context.versions.served(environment);
                served.is_some_and(|env| env.mode().publishes())
            }
        }
    }

    /// Tears the guest down. A failure is only logged: the session is over in
    /// any case.
    async fn tear_down(&mut self, live: LiveGuest, reason: EndReason) -> Result<(), JournalError> {
        let (done, written) = live.tear_down(reason).await;
        let identity = &self.shared.identity;
        let (session, environment) = (&identity.id, &identity.environment);
        match done {
            Ok(()) => {}
            // The environment's own message is in its own log.
            Err(EntryError::Failed(_)) => {
                tracing::info!(%session, %environment, "teardown failed");
            }
            Err(EntryError::Fault(fault)) => {
                let (code, trap) = (fault.code.as_str(), fault.trap.map(TrapKind::as_str));
                tracing::info!(%session, %environment, code, trap, "teardown failed: {fault}");
            }
        }
        written
    }
}
