//! A handle on a session, through which its actor gets commands.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::actor::command::{Command, EndCause, ReplySender};
use crate::actor::state::{ActivityGuard, Phase, SharedState};
use crate::api::error::SessionError;
use crate::context::SessionContext;

/// A cheap handle on a session; clones share it.
#[derive(Clone)]
pub struct SessionHandle {
    pub(crate) shared: Arc<SharedState>,
    pub(super) context: Arc<SessionContext>,
    pub(super) commands: mpsc::Sender<Command>,
}

impl SessionHandle {
    pub(crate) fn new(
        context: Arc<SessionContext>,
        shared: Arc<SharedState>,
        commands: mpsc::Sender<Command>,
    ) -> SessionHandle {
        SessionHandle {
            shared,
            context,
            commands,
        }
    }

    /// Ends the session. Waits for the teardown only if no call is in flight;
    /// otherwise the calls finish first, in the background.
    pub(crate) async fn end(self, cause: EndCause) {
        let busy = self.shared.is_busy();
        let ended = self.end_and_wait(cause);
        if busy {
            tokio::spawn(ended);
        } else {
            ended.await;
        }
    }

    /// Ends the session, and waits for its calls in flight and its teardown.
    pub(crate) async fn end_and_wait(self, cause: EndCause) {
        self.shared.phase.send_replace(match cause {
            EndCause::Deleted | EndCause::Expired => Phase::Deleted,
            EndCause::Stopped => Phase::Stopping,
        });
        let (reply, ended) = oneshot::channel();
        let end = Command::End(cause, reply);
        if self.commands.send(end).await.is_ok() {
            let _ = ended.await;
        }
    }

    /// Hibernates the session unless commands are queued. Does not wait.
    pub(crate) fn hibernate(&self) {
        let (reply, _) = oneshot::channel();
        let _ = self.commands.try_send(Command::Hibernate(reply));
    }

    /// Resumes the session. Does not wait.
    pub(crate) fn resume(&self) {
        let activity = ActivityGuard::new(&self.shared);
        // If the queue is full, what it holds resumes the session.
        let _ = self.commands.try_send(Command::Resume(activity));
    }

    /// Sends a command and waits for its reply.
    pub(super) async fn request<T>(
        &self,
        command: impl FnOnce(ReplySender<T>, ActivityGuard) -> Command,
    ) -> Result<T, SessionError> {
        let (reply, response) = oneshot::channel();
        let command = command(reply, ActivityGuard::new(&self.shared));
        self.commands
            .send(command)
            .await
            .map_err(|_| self.actor_gone())?;
        response.await.map_err(|_| self.actor_gone())?
    }

    /// Returns why the actor has ended.
    fn actor_gone(&self) -> SessionError {
        match &*self.shared.phase.borrow() {
            Phase::Stopping => SessionError::Starting,
            _ => SessionError::Deleted,
        }
    }
}
