//! What the listener for operators knows of the server, which starts after it and
//! ends before it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orwd_ors::Operations;
use orwd_session::{Readiness, SessionManager, SessionService};
use tokio::sync::Semaphore;

use super::metrics::ServerMetrics;

/// The server as an operator sees it. Clones share it.
#[derive(Clone)]
pub(crate) struct ServerOperations(Arc<Shared>);

struct Shared {
    state: Mutex<ServerState>,
    /// One scrape at a time reads the process.
    scrape: Arc<Semaphore>,
}

enum ServerState {
    Starting,
    Running(SessionManager, Arc<ServerMetrics>),
    Ended,
}

impl ServerOperations {
    /// Creates the view of a server that starts.
    pub(crate) fn starting() -> ServerOperations {
        ServerOperations(Arc::new(Shared {
            state: Mutex::new(ServerState::Starting),
            scrape: Arc::new(Semaphore::new(1)),
        }))
    }

    /// Notes that the server runs.
    pub(crate) fn run(&self, metrics: ServerMetrics, sessions: &SessionManager) {
        *self.state() = ServerState::Running(sessions.clone(), Arc::new(metrics));
    }

    /// Notes that the server takes no work any more, and lets go of its sessions.
    pub(crate) fn end(&self) {
        *self.state() = ServerState::Ended;
    }

    fn state(&self) -> MutexGuard<'_, ServerState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operations for ServerOperations {
    async fn readiness(&self) -> Option<Readiness> {
        let sessions = match &*self.state() {
            ServerState::Starting => return None,
            ServerState::Ended => return Some(Readiness::Draining),
            ServerState::Running(sessions, _) => sessions.clone(),
        };
        Some(sessions.readiness().await)
    }

    async fn metrics(&self) -> Result<String, std::fmt::Error> {
        let metrics = match &*self.state() {
            ServerState::Starting | ServerState::Ended => return Ok("# EOF\n".to_owned()),
            ServerState::Running(_, metrics) => metrics.clone(),
        };
        // It is never closed.
        let place = self.0.scrape.clone().acquire_owned().await;
        let text = tokio::task::spawn_blocking(move || {
            let text = metrics.text();
            // Kept until here, also if the client has left.
            drop(place);
            text
        })
        .await;
        text.unwrap_or(Err(std::fmt::Error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_is_not_ready_before_it_runs_and_after_it() {
        let operations = ServerOperations::starting();
        assert_eq!(operations.readiness().await, None);
        assert_eq!(operations.metrics().await.unwrap(), "# EOF\n");
        operations.end();
        assert_eq!(operations.readiness().await, Some(Readiness::Draining));
        assert_eq!(operations.metrics().await.unwrap(), "# EOF\n");
    }
}
