//! The protocol's view of a server: its environments, tasks and sessions.

use orwd_catalog::{Environment, TaskList};
use orwd_engine::ENGINE_VERSION;
use orwd_model::{EnvName, Json, SessionId, Split, ToolListing};

use crate::actor::command::EndCause;
use crate::api::create::{CreatedSession, NewSession};
use crate::api::error::{CatalogError, CreateError};
use crate::api::principal::Principal;
use crate::api::service::{Readiness, SessionService};
use crate::handle::session_handle::SessionHandle;
use crate::lifecycle::manager::{SessionManager, find_task};
use crate::lifecycle::table::SessionKey;

impl SessionManager {
    fn served(&self, env: &EnvName) -> Result<&Environment, CatalogError> {
        self.0.context.versions.served(env).ok_or_else(|| {
            let message = format!("the environment {env} is not served any more");
            CatalogError::Failed(message)
        })
    }
}

impl SessionService for SessionManager {
    type Session = SessionHandle;

    fn environments(&self) -> &[EnvName] {
        &self.0.names
    }

    fn environment(&self, name: &str) -> Option<EnvName> {
        let env = self.find_environment(Some(name))?;
        Some(env.name().clone())
    }

    async fn readiness(&self) -> Readiness {
        if self.0.is_stopping() {
            return Readiness::Draining;
        }
        let journal = &self.0.context.journal;
        match self.0.journal_probe.is_writable(journal).await {
            true => Readiness::Ready,
            false => Readiness::JournalUnavailable,
        }
    }

    fn engine(&self) -> &'static str {
        ENGINE_VERSION
    }

    fn limits(&self, env: &EnvName) -> Vec<(&'static str, String)> {
        self.served(env)
            .map_or_else(|_| Vec::new(), Environment::limits_in_words)
    }

    fn network(&self, env: &EnvName) -> Vec<String> {
        self.served(env)
            .map_or_else(|_| Vec::new(), |env| env.network().granted.clone())
    }

    fn required_secrets(&self, env: &EnvName) -> Vec<String> {
        self.served(env)
            .map_or_else(|_| Vec::new(), |env| env.secrets().to_vec())
    }

    fn splits(&self, env: &EnvName) -> Vec<Split> {
        self.served(env)
            .map_or_else(|_| Vec::new(), |env| env.description().splits.clone())
    }

    fn tools(&self, env: &EnvName) -> ToolListing {
        self.served(env).map_or_else(
            |_| ToolListing {
                tools: Vec::new(),
                terminal: None,
                supports_score_group: false,
            },
            |env| env.description().listing(Vec::new(), None),
        )
    }

    async fn num_tasks(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
    ) -> Result<u64, CatalogError> {
        let env = self.served(env)?;
        Ok(env.num_tasks(&owner.cpu_owner(), split).await?)
    }

    async fn tasks(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
    ) -> Result<TaskList, CatalogError> {
        let env = self.served(env)?;
        let count = env.num_tasks(&owner.cpu_owner(), split).await?;
        if !env.description().supports.listing {
            return Err(CatalogError::ListingUnsupported);
        }
        let listings = &self.0.context.listings;
        listings.list(env, owner, split, (0, count)).await
    }

    async fn task(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
        index: Option<i64>,
    ) -> Result<Json, CatalogError> {
        find_task(self.served(env)?, owner, split, index).await
    }

    async fn task_range(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
        (start, stop): (Option<i64>, Option<i64>),
    ) -> Result<TaskList, CatalogError> {
        let env = self.served(env)?;
        let count = env.num_tasks(&owner.cpu_owner(), split).await?;
        let start = start.map_or(0, |bound| slice_index(bound, count));
        let stop = stop.map_or(count, |bound| slice_index(bound, count));
        let listings = &self.0.context.listings;
        listings.list(env, owner, split, (start, stop)).await
    }

    async fn create(
        &self,
        owner: &Principal,
        id: SessionId,
        new: NewSession,
    ) -> Result<CreatedSession, CreateError> {
        self.create_session(owner, id, new).await
    }

    fn session(&self, owner: &Principal, id: &SessionId) -> Option<SessionHandle> {
        let handle = self.0.table.find(&SessionKey::new(owner, id))?;
        handle.shared.touch();
        // A client that uses a session knows that it was created.
        handle.shared.delivery.set();
        Some(handle)
    }

    async fn delete(&self, owner: &Principal, id: &SessionId) {
        if let Some(handle) = self.0.table.remove(&SessionKey::new(owner, id)) {
            handle.end(EndCause::Deleted).await;
        }
    }
}

/// Returns the index of a bound of a Python slice. Negative bounds count from
/// the end; those outside are moved to the edge.
fn slice_index(bound: i64, count: u64) -> u64 {
    if bound < 0 {
        count.saturating_sub(bound.unsigned_abs())
    } else {
        bound.unsigned_abs().min(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_slice_of_five() {
        for (bound, index) in [
            (0, 0),
            (3, 3),
            (5, 5),
            (99, 5),
            (-1, 4),
            (-5, 0),
            (-99, 0),
            (i64::MIN, 0),
            (i64::MAX, 5),
        ] {
            assert_eq!(slice_index(bound, 5), index, "{bound}");
        }
    }
}
