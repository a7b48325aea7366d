//! Processes the commands of a session in the order of arrival.
//!
//! A deletion cancels a setup, but never a call: the calls that run or wait
//! finish first.

use orwd_engine::EntryError;
use orwd_journal::{Hash, RunIdentity};
use tokio::sync::{mpsc, oneshot};

use crate::actor::command::{Command, EndCause, QueuedRun};
use crate::actor::session_actor::{GuestState, SessionActor};
use crate::api::charged::Charged;
use crate::api::error::SessionError;
use crate::api::service::Conversation;
use crate::episode::live_guest::ChargedResponse;
use crate::episode::typed_request::{Messages, Prompt, Setup, TaskTools, TypedRequest};
use crate::runs::idempotency::RetryTracker;

/// A command to end the session, and where its completion is reported.
type End = (EndCause, oneshot::Sender<()>);

/// Bytes of a request in the journal, about.
const REQUEST_BYTES: u64 = 64 << 10;

/// The form of a conversation that a client asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Prompt,
    Messages,
}

impl SessionActor {
    /// Sets a new episode up, then processes commands until the session ends.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        if let GuestState::Live(live) = &mut self.guest {
            let pending = live.begin(Setup, None);
            self.set_up(&pending).await;
        }
        let mut end = None;
        while let Some(command) = commands.recv().await {
            if let Some(request) = self.handle_command(command).await {
                // What is queued is still received.
                commands.close();
                end = Some(request);
            }
        }
        let cause = end.as_ref().map_or(EndCause::Stopped, |(cause, _)| *cause);
        // Boxed for the same reason as a resumption.
        Box::pin(self.end(cause)).await;
        self.context.residents.remove(self.shared.identity.episode);
        *self.shared.retries() = RetryTracker::default();
        // Its quota is released before the reply. Those that wait for the reply
        // may also expect to hold the last reference to the journal.
        drop(self);
        if let Some((_, reply)) = end {
            let _ = reply.send(());
        }
    }

    async fn handle_command(&mut self, command: Command) -> Option<End> {
        match command {
            Command::Prompt(reply, activity) => {
                let prompt = self.conversation(Form::Prompt).await;
                drop(activity);
                let _ = reply.send(prompt);
            }
            Command::Messages(reply, activity) => {
                let messages = self.conversation(Form::Messages).await;
                drop(activity);
                let _ = reply.send(messages);
            }
            Command::TaskTools(reply, activity) => {
                let tools = self.request(TaskTools, None).await;
                drop(activity);
                let _ = reply.send(tools.and_then(|tools| value(tools.response)));
            }
            Command::Run(run, activity) => {
                let QueuedRun {
                    id,
                    request,
                    fingerprint,
                    outcome,
                    start,
                    quota,
                    memory,
                    arrived,
                } = *run;
                // A run that was announced is always started.
                let _ = start.await;
                self.shared.counters.begun(arrived.elapsed());
                let mark = RunIdentity {
                    id,
                    body: Hash::from_bytes(fingerprint.body),
                    idempotency_key: fingerprint.key,
                };
                let response = self.request(request, Some(mark)).await;
                drop(memory);
                self.finish_run(id, response, outcome, (activity, quota), arrived);
            }
            // The result is published as the phase.
            Command::Resume(activity) => {
                let _ = self.resume().await;
                drop(activity);
            }
            Command::Hibernate(reply) => {
                let _ = reply.send(self.hibernate());
            }
            Command::FindRun(id, reply, activity) => {
                let found = self.find_recorded_run(id).await;
                drop(activity);
                let _ = reply.send(found);
            }
            Command::End(cause, reply) => return Some((cause, reply)),
        }
        None
    }

    /// Returns the beginning of the conversation in the form that the
    /// environment supports.
    async fn conversation(&mut self, wanted: Form) -> Result<Charged<Conversation>, SessionError> {
        self.resume().await?;
        let supports = self
            .shared
            .runtime()
            .map(|runtime| &runtime.environment.description().supports);
        let messages = match (wanted, supports) {
            (Form::Prompt, Some(supports)) => !supports.prompts,
            (Form::Messages, Some(supports)) => supports.messages,
            (wanted, None) => wanted == Form::Messages,
        };
        if messages {
            let ChargedResponse { response, memory } = self.request(Messages, None).await?;
            let messages = value(response).map(Conversation::Messages)?;
            Ok(Charged::new(messages, memory))
        } else {
            let ChargedResponse { response, memory } = self.request(Prompt, None).await?;
            let blocks = value(response).map(Conversation::Prompt)?;
            Ok(Charged::new(blocks, memory))
        }
    }

    /// Performs a request, and resumes the session first if necessary. A fault
    /// ends the session.
    async fn request<R: TypedRequest>(
        &mut self,
        request: R,
        run: Option<RunIdentity>,
    ) -> Result<ChargedResponse<R::Response>, SessionError> {
        self.resume().await?;
        let readiness = self.shared.phase.borrow().readiness();
        match (readiness, &self.guest) {
            // A session that is being ended still processes what was queued.
            (
                Some(Ok(()) | Err(SessionError::Deleted | SessionError::Starting)),
                GuestState::Live(_),
            ) => {}
            (Some(Err(error)), _) => return Err(error),
            (None | Some(Ok(())), _) => return Err(SessionError::Starting),
        }
        // Held until the outcome is written. The guest's time has not begun.
        let owner = self.shared.identity.owner.name();
        let disk = self.context.disk_quota.admit(owner, self.outcome_bytes());
        let _disk = disk.await.map_err(SessionError::Disk)?;
        let GuestState::Live(live) = &mut self.guest else {
            return Err(SessionError::Starting);
        };
        let pending = live.begin(request, run);
        self.perform(&pending).await
    }

    /// Returns the bytes that a request and its outcome may take on disk, about.
    fn outcome_bytes(&self) -> u64 {
        let runtime = self.shared.runtime();
        let limit = runtime.map_or(0, |runtime| runtime.environment.limits().result);
        REQUEST_BYTES.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX))
    }
}

/// Returns the value of a response, or why there is none.
fn value<T>(response: Result<T, EntryError>) -> Result<T, SessionError> {
    response.map_err(|error| match error {
        EntryError::Failed(message) => SessionError::Failed(message),
        EntryError::Fault(fault) => SessionError::Faulted(fault),
    })
}
