//! Whether the platform can serve requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use orwd_hub_store::{Database, check_writable};
use tokio::time::timeout;

use super::instances::Instances;

/// The time for which the result of a check is used.
const VALID: Duration = Duration::from_secs(2);

/// The time for a check.
const LIMIT: Duration = Duration::from_secs(3);

/// Whether the platform can serve requests.
#[derive(Default)]
pub(crate) struct Readiness {
    is_stopping: AtomicBool,
    last: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

impl Readiness {
    /// Notes that the platform stops.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Returns why the platform is not ready. The database is written to and the
    /// supervisor is asked once in a while, by whatever number of requests.
    pub(crate) async fn check(
        &self,
        database: &Database,
        instances: &Instances,
    ) -> Result<(), &'static str> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err("the platform is stopping");
        }
        if let Some(last) = self.last() {
            return last;
        }
        let checked = check(database, instances).await;
        if let Err(reason) = checked {
            tracing::warn!(reason, "platform not ready");
        }
        *self.lock() = Some((Instant::now(), checked));
        checked
    }

    /// Returns the last result if it is still valid. If not, it is used by others
    /// until the caller has a new one; the first check has none, and all wait.
    fn last(&self) -> Option<Result<(), &'static str>> {
        let mut last = self.lock();
        let (at, result) = last.as_mut()?;
        if at.elapsed() < VALID {
            return Some(*result);
        }
        *at = Instant::now();
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Result<(), &'static str>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn check(database: &Database, instances: &Instances) -> Result<(), &'static str> {
    match timeout(LIMIT, database.run(check_writable)).await {
        Err(_) => return Err("the database does not reply"),
        Ok(Err(error)) => {
            tracing::error!(%error, "database not written");
            return Err("the database cannot be written; the log has the reason");
        }
        Ok(Ok(())) => {}
    }
    match timeout(LIMIT, instances.check()).await {
        Ok(Ok(())) => Ok(()),
        _ => Err("the supervisor of the host processes does not reply"),
    }
}
