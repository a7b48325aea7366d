//! Sessions that have an id and do not exist yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use orwd_hub_store::sessions::SessionVersion;

/// The time without requests after which an id without a session is forgotten.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Ids that are kept. Above it, new ones are not, and their requests use the
/// version that is served then.
const MAX_IDS: usize = 200_000;

/// The version of each session between `/create_session` and `/create`, by
/// principal and id. A query is such a session for its whole life.
#[derive(Default)]
pub(crate) struct PendingSessions(Mutex<HashMap<(String, String), (SessionVersion, Instant)>>);

impl PendingSessions {
    /// Notes the version of an id.
    pub(crate) fn insert(&self, principal: &str, id: &str, version: SessionVersion) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() >= MAX_IDS {
            ids.retain(|_, (_, since)| since.elapsed() < LIFETIME);
        }
        if ids.len() < MAX_IDS {
            let key = (principal.to_owned(), id.to_owned());
            ids.insert(key, (version, Instant::now()));
        }
    }

    /// Returns the version of an id.
    pub(crate) fn get(&self, principal: &str, id: &str) -> Option<SessionVersion> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (principal.to_owned(), id.to_owned());
        let (version, since) = ids.get_mut(&key)?;
        *since = Instant::now();
        Some(version.clone())
    }

    /// Forgets the ids that were not used for too long, and returns the versions
    /// of the others.
    pub(crate) fn versions(&self) -> HashSet<SessionVersion> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|_, (_, since)| since.elapsed() < LIFETIME);
        ids.values().map(|(version, _)| version.clone()).collect()
    }

    /// Forgets an id.
    pub(crate) fn remove(&self, principal: &str, id: &str) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.remove(&(principal.to_owned(), id.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_belongs_to_its_principal() {
        let pending = PendingSessions::default();
        let version = SessionVersion {
            deployment: "d".to_owned(),
            generation: 3,
        };
        pending.insert("alice", "s", version.clone());
        assert_eq!(pending.get("alice", "s"), Some(version));
        assert_eq!(pending.get("bob", "s"), None);
        pending.remove("bob", "s");
        assert!(pending.get("alice", "s").is_some());
        pending.remove("alice", "s");
        assert_eq!(pending.get("alice", "s"), None);
    }
}
