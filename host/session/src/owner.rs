//! The task that owns a session: it alone enters the guest.
//!
//! What is asked of a session comes through a queue and is done one thing
//! after another, in the order of arrival. A fault ends the guest and with
//! it the session; the task then only waits to be deleted. Deleting cancels a
//! setup, but never a call: those that have begun or wait finish first.
//!
//! A guest that can be rebuilt from the journal may be dropped at any time
//! between two things that are asked of it: when it has had nothing to do for
//! long, when another session needs its place, and when the journal could not
//! be written, so that the guest has seen what nobody may know of.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::WeakSender;
use tokio::sync::{mpsc, oneshot};

use super::ask;
use super::house::House;
use super::record::{Awake, Pending};
use super::resend::Resends;
use super::run::{Go, Promise};
use super::service::{Conversation, Imprint, SessionError};
use super::shares::Share;
use super::state::{Busy, Phase, Shared};
use super::wake::{self, Recalled};
use orwd_journal::{EndReason, GuestOutcome, GuestRequest, Hash, JournalError, RunIdentity};
use orwd_model::{EncodedSize, Fault, RunId, ToolSpec, TrapKind};

/// Something asked of a session.
pub(super) enum Command {
    Prompt(Reply<Conversation>, Busy),
    Messages(Reply<Conversation>, Busy),
    TaskTools(Reply<Vec<ToolSpec>>, Busy),
    Run(Box<Job>, Busy),
    /// Be in memory.
    Wake(Busy),
    /// Leave the memory, if the journal can bring the guest back.
    Hibernate(oneshot::Sender<()>),
    /// Look a run up in the journal.
    Recall(RunId, Reply<Recalled>, Busy),
    /// Finish what is queued, then end; the reply comes after.
    End(Ending, oneshot::Sender<()>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, SessionError>>;

/// Why a session is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client said so.
    Deleted,
    /// Nobody has asked for it for too long.
    Expired,
    /// The host stops. What the journal can bring back goes on some day.
    Stopped,
}

/// A run that was announced.
pub(super) struct Job {
    pub(super) id: RunId,
    pub(super) ask: GuestRequest,
    pub(super) imprint: Imprint,
    pub(super) promise: Promise,
    /// Comes once the run's id is on its way to the client.
    pub(super) go: Go,
    /// Its part of what its key may have in flight.
    pub(super) share: Option<Share>,
}

/// The owner.
pub(super) struct Owner {
    pub(super) house: Arc<House>,
    pub(super) shared: Arc<Shared>,
    /// Its own queue, for those who may want its place.
    commands: WeakSender<Command>,
    pub(super) holding: Holding,
    /// Its part of what its key may hold.
    _share: Option<Share>,
}

/// What the owner has of the guest.
pub(super) enum Holding {
    /// All of it.
    Awake(Box<Awake>),
    /// Nothing: it is in the journal.
    Asleep,
    /// Nothing, and it never comes back.
    Gone,
}

impl Owner {
    pub(super) fn new(
        house: Arc<House>,
        shared: Arc<Shared>,
        commands: WeakSender<Command>,
        holding: Holding,
        share: Option<Share>,
    ) -> Owner {
        Owner {
            house,
            shared,
            commands,
            holding,
            _share: share,
        }
    }

    /// Sets a new episode up, then does what is asked until the session ends.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        if let Holding::Awake(awake) = &mut self.holding {
            let pending = awake.ask(GuestRequest::Setup, None);
            self.set_up(&pending).await;
        }
        let mut end = None;
        while let Some(command) = commands.recv().await {
            match command {
                Command::End(ending, reply) => {
                    // What is queued is still received, and then the end.
                    commands.close();
                    end = Some((ending, reply));
                }
                command => self.obey(command).await,
            }
        }
        let ending = end.as_ref().map_or(Ending::Stopped, |(ending, _)| *ending);
        self.end(ending).await;
        self.house.residents.leave(self.shared.identity.episode);
        *self.shared.resends() = Resends::default();
        // Its share is free before anybody is told. Whoever waits may also want
        // to be the last to hold the journal.
        drop(self);
        if let Some((_, reply)) = end {
            let _ = reply.send(());
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Prompt(reply, busy) => {
                let prompt = self.converse(true).await;
                drop(busy);
                let _ = reply.send(prompt);
            }
            Command::Messages(reply, busy) => {
                let messages = self.converse(false).await;
                drop(busy);
                let _ = reply.send(messages);
            }
            Command::TaskTools(reply, busy) => {
                let tools = self.answer(GuestRequest::TaskTools, None).await;
                drop(busy);
                let _ = reply.send(tools.and_then(ask::tools));
            }
            Command::Run(job, busy) => {
                let Job {
                    id,
                    ask,
                    imprint,
                    promise,
                    go,
                    share,
                } = *job;
                // Whoever announced the run starts it, come what may.
                let _ = go.await;
                let mark = RunIdentity {
                    id,
                    body: Hash::from_bytes(imprint.body),
                    idempotency_key: imprint.key,
                };
                let outcome = self.answer(ask, Some(mark)).await;
                self.keep(id, outcome, promise, (busy, share));
            }
            // It is told by the phase how this went.
            Command::Wake(busy) => {
                let _ = self.wake().await;
                drop(busy);
            }
            Command::Hibernate(reply) => {
                self.hibernate();
                let _ = reply.send(());
            }
            Command::Recall(id, reply, busy) => {
                let recalled = self.recall(id).await;
                drop(busy);
                let _ = reply.send(recalled);
            }
            // Taken out before.
            Command::End(..) => {}
        }
    }

    /// Tells the readers of a run how it went.
    pub(super) fn keep(
        &self,
        id: RunId,
        outcome: Result<GuestOutcome, SessionError>,
        promise: Promise,
        held: (Busy, Option<Share>),
    ) {
        let outcome = match outcome {
            Ok(outcome) => {
                let outcome = ask::run(outcome);
                let bytes = outcome.encoded_size();
                self.shared.runs().finish(id, bytes, Instant::now());
                outcome
            }
            Err(error) => {
                // Nothing came of it that anybody may know of: who asks for
                // the run again has it run, or finds it in the journal.
                self.shared.runs().discard(id);
                self.shared.resends().discard(id);
                ask::not_run(error)
            }
        };
        // Whoever has the answer may ask for the next thing.
        drop(held);
        promise.keep(outcome);
    }

    /// How the conversation begins, by whichever of the two the environment
    /// has.
    async fn converse(&mut self, prompt: bool) -> Result<Conversation, SessionError> {
        self.wake().await?;
        let supports = self.shared.ground().map(|ground| {
            let supports = &ground.environment.description().supports;
            (supports.prompts, supports.messages)
        });
        let ask = match (prompt, supports) {
            (true, Some((false, _))) | (false, Some((_, true)) | None) => GuestRequest::Messages,
            (true, _) | (false, Some((_, false))) => GuestRequest::Prompt,
        };
        self.answer(ask, None).await.and_then(ask::conversation)
    }

    /// Does the setup.
    pub(super) async fn set_up(&mut self, pending: &Pending) {
        let Holding::Awake(awake) = &mut self.holding else {
            return;
        };
        let mut phase = self.shared.phase.subscribe();
        let ended = phase.wait_for(|phase| matches!(phase, Phase::Deleted | Phase::Stopping));
        let outcome = tokio::select! {
            outcome = awake.perform(pending) => Some(outcome),
            // The guest stands where it stood; it goes unentered.
            _ = ended => None,
        };
        match outcome {
            None => self.holding = Holding::Gone,
            Some(Ok(GuestOutcome::Faulted(fault))) => self.fault(&fault),
            Some(Ok(GuestOutcome::Failed(message))) => {
                let identity = &self.shared.identity;
                tracing::info!(
                    session = %identity.id,
                    environment = %identity.environment,
                    "setup failed"
                );
                // The guest is kept, so that a teardown can still tidy up, but
                // not where another needs its place.
                self.may_sleep();
                self.shared.advance(Phase::SetupFailed(message));
            }
            Some(Ok(_)) => self.ready(),
            Some(Err(error)) => self.unwritten(&error),
        }
    }

    /// The session answers from now on.
    pub(super) fn ready(&self) {
        self.may_sleep();
        self.shared.advance(Phase::Ready);
    }

    /// Its place can be had by others from now on, if the journal can bring it
    /// back.
    pub(super) fn may_sleep(&self) {
        let ground = self.shared.ground();
        if ground.is_some_and(|ground| ground.can_sleep()) {
            self.house.residents.enter(&self.shared, &self.commands);
        }
    }

    /// The guest is gone: so is the session, but for its results.
    pub(super) fn fault(&mut self, fault: &Fault) {
        self.let_go(Holding::Gone);
        let identity = &self.shared.identity;
        let (session, environment) = (&identity.id, &identity.environment);
        let (code, trap) = (fault.code.as_str(), fault.trap.map(TrapKind::as_str));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    %session,
                    %environment,
                    code,
                    trap,
                    teardown = "skipped",
                    "a session ended: {}",
                    fault.message
                )
            };
        }
        if fault.code.is_host_fault() {
            line!(error);
        } else {
            line!(warn);
        }
        self.shared.advance(Phase::Faulted(fault.clone()));
    }

    /// The journal does not have what the guest has seen.
    pub(super) fn unwritten(&mut self, error: &JournalError) {
        let identity = &self.shared.identity;
        tracing::error!(session = %identity.id, episode = %identity.episode, "{error}");
        if self
            .shared
            .ground()
            .is_some_and(|ground| ground.can_sleep())
        {
            self.let_go(Holding::Asleep);
            self.shared.advance(Phase::Asleep);
        } else {
            self.let_go(Holding::Gone);
            let why = "the journal could not be written, and it cannot be rebuilt";
            self.shared.advance(Phase::Lost(why.to_owned()));
        }
    }

    fn let_go(&mut self, holding: Holding) {
        self.house.residents.leave(self.shared.identity.episode);
        self.holding = holding;
    }

    fn hibernate(&mut self) {
        let phase = self.shared.phase.borrow().clone();
        let can = self
            .shared
            .ground()
            .is_some_and(|ground| ground.can_sleep());
        if phase.is_at_rest() && can && matches!(self.holding, Holding::Awake(_)) {
            self.let_go(Holding::Asleep);
            // What a failed setup said is known without its guest.
            if matches!(phase, Phase::Ready) {
                self.shared.advance(Phase::Asleep);
            }
        }
    }

    /// Asks the guest, in memory or not. A fault ends the session.
    async fn answer(
        &mut self,
        ask: GuestRequest,
        run: Option<RunIdentity>,
    ) -> Result<GuestOutcome, SessionError> {
        self.wake().await?;
        let verdict = self.shared.phase.borrow().verdict();
        let awake = match (verdict, &mut self.holding) {
            // One that ends still does what was asked before.
            (
                Some(Ok(()) | Err(SessionError::Deleted | SessionError::Starting)),
                Holding::Awake(awake),
            ) => awake,
            (Some(Err(error)), _) => return Err(error),
            (None | Some(Ok(())), _) => return Err(SessionError::Starting),
        };
        let pending = awake.ask(ask, run);
        let outcome = awake.perform(&pending).await;
        self.settle(outcome)
    }

    /// Sorts out what a question came to.
    pub(super) fn settle(
        &mut self,
        outcome: Result<GuestOutcome, JournalError>,
    ) -> Result<GuestOutcome, SessionError> {
        match outcome {
            Ok(outcome) => {
                if let GuestOutcome::Faulted(fault) = &outcome {
                    self.fault(fault);
                }
                Ok(outcome)
            }
            Err(error) => {
                self.unwritten(&error);
                Err(SessionError::Starting)
            }
        }
    }

    /// The session is over, or over in this process.
    async fn end(&mut self, ending: Ending) {
        let can_sleep = self.shared.ground().map(|ground| ground.can_sleep());
        // Of one that never was in memory it is known only by what is served.
        let publishes = match self.shared.ground() {
            Some(ground) => ground.publishes,
            None => {
                let served = self
                    .house
                    .versions
                    .served(&self.shared.identity.environment);
                served.is_some_and(|env| env.mode().publishes())
            }
        };
        let kept = self.house.is_kept();
        match (ending, &self.holding) {
            // It is in the journal, and goes on from there.
            (Ending::Stopped, Holding::Asleep | Holding::Gone) if kept => return,
            (Ending::Stopped, Holding::Awake(_)) if can_sleep == Some(true) => return,
            // What it wrote is to be seen by others.
            (_, Holding::Asleep) if publishes => {
                let _ = self.wake().await;
            }
            _ => {}
        }
        let reason = match ending {
            Ending::Deleted => EndReason::Deleted,
            Ending::Expired => EndReason::Expired,
            Ending::Stopped => EndReason::Stopped,
        };
        let holding = std::mem::replace(&mut self.holding, Holding::Gone);
        let written = match holding {
            Holding::Awake(awake) => self.tear_down(*awake, reason).await,
            Holding::Asleep | Holding::Gone => {
                wake::write_end(&self.house, self.shared.identity.episode, reason).await
            }
        };
        if let Err(error) = written {
            let identity = &self.shared.identity;
            tracing::error!(
                session = %identity.id, episode = %identity.episode,
                "the end of a session is not in the journal: {error}"
            );
            if error.is_transient() {
                let later = wake::write_end_later(self.house.clone(), identity.episode, reason);
                self.house.engine.spawn(later);
            }
        }
    }

    /// Whatever comes of it, the session is over: it is only told to the log.
    /// What an episode wrote that began is published at last.
    async fn tear_down(&mut self, awake: Awake, reason: EndReason) -> Result<(), JournalError> {
        let (outcome, written) = awake.tear_down(reason).await;
        let identity = &self.shared.identity;
        let (session, environment) = (&identity.id, &identity.environment);
        match outcome {
            // Its own words are in its own log.
            GuestOutcome::Failed(_) => tracing::info!(%session, %environment, "teardown failed"),
            GuestOutcome::Faulted(fault) => {
                let (code, trap) = (fault.code.as_str(), fault.trap.map(TrapKind::as_str));
                tracing::info!(%session, %environment, code, trap, "teardown failed: {fault}");
            }
            _ => {}
        }
        written
    }
}
