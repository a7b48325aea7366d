//! Finds out whether the journal can be written, for `/ready`.
//!
//! Only a write shows it. One that is due is made in a task of its own, whether
//! its client waits or not, and all requests of the next seconds share its
//! result: the route needs no API key, so strangers must not cause writes at
//! will.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_journal::Journal;

/// The time for which a result is shared.
const SHARED_FOR: Duration = Duration::from_secs(2);

/// The time after which a write that has not ended counts as failed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The last result, shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct JournalProbe(Arc<Mutex<ProbeState>>);

#[derive(Debug, Default)]
struct ProbeState {
    /// When the last write began.
    began: Option<Instant>,
    running: bool,
    failed: bool,
}

impl JournalProbe {
    /// Returns whether the journal can be written.
    pub(crate) async fn is_writable(&self, journal: &Journal) -> bool {
        {
            let mut state = lock(&self.0);
            let fresh = state.began.is_some_and(|at| at.elapsed() < SHARED_FOR);
            if fresh || state.running {
                return !state.failed && !state.is_overdue();
            }
            state.began = Some(Instant::now());
            state.running = true;
        }
        let write = tokio::spawn({
            let (state, journal) = (Arc::clone(&self.0), journal.clone());
            async move {
                let written = journal.check_writable().await;
                let mut state = lock(&state);
                match &written {
                    Err(error) if !state.failed => {
                        tracing::warn!(%error, "server not ready: journal cannot be written");
                    }
                    Ok(()) if state.failed => tracing::info!("journal can be written again"),
                    _ => {}
                }
                state.failed = written.is_err();
                state.running = false;
            }
        });
        let ended = tokio::time::timeout(WRITE_TIMEOUT, write).await;
        matches!(ended, Ok(Ok(()))) && !lock(&self.0).failed
    }
}

impl ProbeState {
    fn is_overdue(&self) -> bool {
        self.running && self.began.is_some_and(|at| at.elapsed() >= WRITE_TIMEOUT)
    }
}

/// A panic elsewhere leaves the state consistent.
fn lock(state: &Mutex<ProbeState>) -> MutexGuard<'_, ProbeState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
