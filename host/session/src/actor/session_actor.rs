//! The actor of a session, and how its guest comes and goes.
//!
//! A fault ends the guest and with it the session; the actor then only waits
//! for the deletion. A guest that the journal can rebuild may be dropped between
//! any two requests: after `hibernate_after`, when another session
//! needs its permit, and after a failed journal write, since the guest has then
//! seen what no journal holds.

use std::sync::Arc;
use std::time::Instant;

use orwd_engine::EntryError;
use orwd_model::{Fault, FaultCode, RunId, RunOutcome, TrapKind};
use tokio::sync::mpsc::WeakSender;

use crate::actor::command::Command;
use crate::actor::data_wait::DataWait;
use crate::actor::state::{ActivityGuard, Phase, SharedState};
use crate::api::error::SessionError;
use crate::context::SessionContext;
use crate::episode::live_guest::{ChargedResponse, LiveGuest, NoResponse, PendingEntry};
use crate::episode::typed_request::{Setup, TypedRequest, TypedResponse};
use crate::limits::quota::QuotaPermit;
use crate::runs::run::{HeldOutcome, OutcomeSender};

/// The actor of a session.
pub(crate) struct SessionActor {
    pub(super) context: Arc<SessionContext>,
    pub(super) shared: Arc<SharedState>,
    /// Its own queue, by which the session is evicted.
    commands: WeakSender<Command>,
    pub(super) guest: GuestState,
    /// Set while it waits for its data.
    pub(super) data_wait: Option<Box<DataWait>>,
    /// How often it could not be resumed because its data exceeded a limit.
    pub(super) outgrown: u64,
    /// Its part of the owner's session quota.
    _quota: Option<QuotaPermit>,
}

/// Where the guest of a session is.
pub(crate) enum GuestState {
    /// In memory.
    Live(Box<LiveGuest>),
    /// In the journal, from which it can be rebuilt.
    Hibernated,
    /// Nowhere, for good.
    Gone,
}

impl SessionActor {
    pub(crate) fn new(
        context: Arc<SessionContext>,
        shared: Arc<SharedState>,
        commands: WeakSender<Command>,
        guest: GuestState,
        quota: Option<QuotaPermit>,
    ) -> SessionActor {
        SessionActor {
            context,
            shared,
            commands,
            guest,
            data_wait: None,
            outgrown: 0,
            _quota: quota,
        }
    }

    /// Runs the setup of the episode. A deletion cancels it.
    pub(super) async fn set_up(&mut self, pending: &PendingEntry<Setup>) {
        let GuestState::Live(live) = &mut self.guest else {
            return;
        };
        let mut phase = self.shared.phase.subscribe();
        let ended = phase.wait_for(|phase| matches!(phase, Phase::Deleted | Phase::Stopping));
        let room = self.context.result_room(&self.shared);
        let response = tokio::select! {
            response = live.perform(pending, &self.shared.counters, &room) => {
                Some(response.map(|charged| charged.response))
            }
            // The guest was stopped halfway and is not entered again.
            _ = ended => None,
        };
        match response {
            None => self.guest = GuestState::Gone,
            Some(Ok(Ok(()))) => self.set_ready(),
            Some(Ok(Err(EntryError::Fault(fault)))) => self.end_by_fault(&fault),
            Some(Ok(Err(EntryError::Failed(message)))) => {
                let identity = &self.shared.identity;
                tracing::info!(
                    session = %identity.id,
                    environment = %identity.environment,
                    "setup failed"
                );
                // The guest is kept for the teardown, but can be evicted.
                self.allow_eviction();
                self.shared.advance(Phase::SetupFailed(message));
            }
            Some(Err(reason)) => self.end_without_response(reason),
        }
    }

    /// Accepts requests from now on.
    pub(super) fn set_ready(&self) {
        self.allow_eviction();
        self.shared.advance(Phase::Ready);
    }

    /// Allows others to evict the session, if the journal can rebuild it.
    pub(super) fn allow_eviction(&self) {
        if self.shared.can_hibernate() {
            self.context.residents.insert(&self.shared, &self.commands);
        }
    }

    /// Drops the guest if the session is idle and the journal can rebuild it.
    /// Returns whether it did.
    pub(super) fn hibernate(&mut self) -> bool {
        let phase = self.shared.phase.borrow().clone();
        let is_live = matches!(self.guest, GuestState::Live(_));
        let hibernates = phase.is_idle() && self.shared.can_hibernate() && is_live;
        if hibernates {
            self.drop_guest(GuestState::Hibernated);
            // A failed setup is reported without the guest.
            if matches!(phase, Phase::Ready) {
                self.shared.advance(Phase::Hibernated);
            }
        }
        hibernates
    }

    /// Performs a journaled request. A fault, a failed journal write or a host
    /// without capacity ends the guest.
    pub(super) async fn perform<R: TypedRequest>(
        &mut self,
        pending: &PendingEntry<R>,
    ) -> Result<ChargedResponse<R::Response>, SessionError> {
        let GuestState::Live(live) = &mut self.guest else {
            return Err(SessionError::Starting);
        };
        let room = self.context.result_room(&self.shared);
        match live.perform(pending, &self.shared.counters, &room).await {
            Ok(charged) => {
                if let Some(fault) = charged.response.fault() {
                    self.end_by_fault(fault);
                }
                Ok(charged)
            }
            Err(reason) => {
                self.end_without_response(reason);
                Err(SessionError::Starting)
            }
        }
    }

    /// Sends the outcome of a run to its readers.
    pub(super) fn finish_run(
        &self,
        id: RunId,
        outcome: Result<ChargedResponse<RunOutcome>, SessionError>,
        sender: OutcomeSender,
        held: (ActivityGuard, Option<QuotaPermit>),
        arrived: Instant,
    ) {
        let now = Instant::now();
        let time = now.saturating_duration_since(arrived);
        let finished = outcome.as_ref().ok().map(|charged| &charged.response);
        self.shared.counters.ended(finished, time);
        let outcome = match outcome {
            Ok(ChargedResponse { response, memory }) => {
                let outcome = HeldOutcome::charged(response, memory);
                self.context.results.keep(&self.shared, id, &outcome);
                let bytes = outcome.bytes();
                self.shared.runs().finish(id, bytes, now);
                outcome
            }
            Err(error) => {
                // The run has no result that anybody may see. A client that
                // asks for it again has it executed, or found in the journal.
                self.shared.runs().remove(id);
                self.shared.retries().remove(id);
                HeldOutcome::from(not_run(error))
            }
        };
        // Released first, since a client that has the outcome may call again.
        drop(held);
        sender.send(outcome);
        self.context.results.make_room();
    }

    fn drop_guest(&mut self, state: GuestState) {
        if matches!(state, GuestState::Hibernated) {
            self.context.counters.hibernated.inc();
        }
        self.context.residents.remove(self.shared.identity.episode);
        self.guest = state;
    }

    /// Drops the guest and ends the session, except for its results.
    fn end_by_fault(&mut self, fault: &Fault) {
        self.drop_guest(GuestState::Gone);
        self.context.counters.faulted(fault.code);
        let identity = &self.shared.identity;
        let (session, environment) = (&identity.id, &identity.environment);
        let (code, trap) = (fault.code.as_str(), fault.trap.map(TrapKind::as_str));
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    %session,
                    %environment,
                    code,
                    trap,
                    teardown = "skipped",
                    "session faulted: {}",
                    fault.message
                )
            };
        }
        if fault.code.is_host_fault() {
            log!(error);
        } else {
            log!(warn);
        }
        self.shared.advance(Phase::Faulted(fault.clone()));
    }

    /// Drops the guest, which has seen what the journal does not hold. If it can
    /// be rebuilt, the session only hibernates.
    fn end_without_response(&mut self, reason: NoResponse) {
        let identity = &self.shared.identity;
        tracing::error!(
            session = %identity.id, episode = %identity.episode,
            "request has no response: {reason}"
        );
        if self.shared.can_hibernate() {
            self.drop_guest(GuestState::Hibernated);
            self.shared.advance(Phase::Hibernated);
            return;
        }
        match reason {
            NoResponse::Overloaded(fault) => self.end_by_fault(&fault),
            NoResponse::Journal(_) => {
                self.drop_guest(GuestState::Gone);
                let reason = "the journal could not be written, and it cannot be rebuilt";
                self.shared.advance(Phase::Lost(reason.to_owned()));
            }
        }
    }
}

/// Returns the outcome of a run that was not executed.
fn not_run(error: SessionError) -> RunOutcome {
    match error {
        SessionError::Gone(fault) | SessionError::Faulted(fault) => RunOutcome::Faulted(fault),
        SessionError::SetupFailed(message) | SessionError::Failed(message) => {
            RunOutcome::Failed(message)
        }
        // The host is the cause: the stream is broken off, and the client
        // learns the reason when it asks again.
        SessionError::Deleted
        | SessionError::Starting
        | SessionError::DataDiffers(_)
        | SessionError::Lost(_)
        | SessionError::KeyReused
        | SessionError::Busy(_)
        | SessionError::TooManyCalls
        | SessionError::Disk(_) => RunOutcome::Faulted(Fault::new(
            FaultCode::Interrupted,
            "the session ended before the call began",
        )),
    }
}
