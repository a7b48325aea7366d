//! The protocol's view of a session.

use orwd_model::{EnvName, RunId, ToolListing};

use crate::actor::command::Command;
use crate::actor::state::Phase;
use crate::api::charged::Charged;
use crate::api::error::SessionError;
use crate::api::request::{RequestFingerprint, RunRequest};
use crate::api::service::{Conversation, Session};
use crate::handle::session_handle::SessionHandle;
use crate::runs::run::Run;

impl Session for SessionHandle {
    fn environment(&self) -> &EnvName {
        &self.shared.identity.environment
    }

    async fn ready(&self) -> Result<(), SessionError> {
        let (hibernated, failed, readiness) = {
            let phase = self.shared.phase.borrow();
            let (hibernated, failed) = match &*phase {
                Phase::Hibernated => (true, 0),
                Phase::DataDiffers { attempts, .. } => (true, *attempts),
                _ => (false, 0),
            };
            (hibernated, failed, phase.readiness())
        };
        if let Some(readiness) = readiness {
            return readiness;
        }
        let mut phase = self.shared.phase.subscribe();
        if hibernated {
            self.resume();
        }
        let mut began = false;
        let settled = phase.wait_for(|phase| match phase {
            Phase::Resuming | Phase::Starting => {
                began = true;
                false
            }
            // The attempt to resume it has failed for now.
            Phase::Hibernated => began,
            Phase::DataDiffers { attempts, .. } => *attempts > failed,
            settled => settled.readiness().is_some(),
        });
        match tokio::time::timeout(self.context.settings.setup_wait, settled).await {
            Ok(Ok(phase)) => match &*phase {
                Phase::DataDiffers { reason, .. } => Err(SessionError::DataDiffers(reason.clone())),
                phase => phase.readiness().unwrap_or(Err(SessionError::Starting)),
            },
            Ok(Err(_)) => Err(SessionError::Deleted),
            Err(_) => Err(SessionError::Starting),
        }
    }

    async fn task_tools(&self) -> Result<ToolListing, SessionError> {
        if self.shared.runtime().is_none() {
            self.ready().await?;
        }
        let readiness = self.shared.phase.borrow().readiness();
        if let Some(Err(error)) = readiness {
            return Err(error);
        }
        let runtime = self.shared.runtime().ok_or(SessionError::Starting)?;
        let description = runtime.environment.description();
        let starting = matches!(*self.shared.phase.borrow(), Phase::Starting);
        let tools = if description.supports.task_tools && !starting {
            self.request(Command::TaskTools).await?
        } else {
            runtime.first_task_tools.clone()
        };
        Ok(description.listing(tools, runtime.toolset.as_deref()))
    }

    async fn prompt(&self) -> Result<Charged<Conversation>, SessionError> {
        self.request(Command::Prompt).await
    }

    async fn messages(&self) -> Result<Charged<Conversation>, SessionError> {
        self.request(Command::Messages).await
    }

    fn supports_score_group(&self) -> bool {
        let runtime = self.shared.runtime();
        runtime.is_some_and(|runtime| runtime.environment.description().supports.score_group)
    }

    async fn begin_run(
        &self,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> Result<Run, SessionError> {
        self.new_or_known_run(request, fingerprint).await
    }

    async fn resume_run(
        &self,
        run_id: &str,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> Result<Option<Run>, SessionError> {
        match RunId::parse(run_id) {
            Some(id) => self.run_of_id(id, request, fingerprint).await,
            None => Ok(None),
        }
    }
}
