//! What the handlers share.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use blake3::Hash;
use orwd_hub_store::Database;
use tokio::sync::Notify;

use crate::admission::shares::Shares;
use crate::config::HubConfig;
use crate::git::locks::RepositoryLocks;
use crate::layout::Layout;
use crate::sessions::instances::Instances;
use crate::sessions::pending::PendingSessions;
use crate::sessions::readiness::Readiness;
use crate::storage::blobs::Blobs;
use crate::storage::reservations::Reservations;

/// What the handlers share.
pub(crate) struct HubState {
    pub(crate) config: HubConfig,
    pub(crate) layout: Layout,
    pub(crate) database: Database,
    pub(crate) blobs: Blobs,
    /// The key of upload addresses.
    pub(crate) upload_key: Hash,
    /// The key of the secrets of webhooks.
    pub(crate) webhook_key: Hash,
    pub(crate) instances: Instances,
    /// Sessions that have an id and do not exist yet.
    pub(crate) pending: PendingSessions,
    /// What uploads in progress may still bring.
    pub(crate) reserved: Reservations,
    pub(crate) readiness: Readiness,
    /// Places for costly work.
    pub(crate) shares: Shares,
    /// Which repositories clients use.
    pub(crate) repositories: RepositoryLocks,
    /// Wakes the builders.
    pub(crate) queued: Notify,
    /// Wakes the checks of repositories elsewhere.
    pub(crate) remotes: Notify,
    /// Wakes the upkeep.
    pub(crate) upkeep: Notify,
}

impl HubState {
    /// Returns the bytes that may be kept for one owner, as the database counts.
    pub(crate) fn owner_quota(&self) -> i64 {
        i64::try_from(self.config.owner_quota).unwrap_or(i64::MAX)
    }

    /// Returns the address under which the client reaches the platform, without a
    /// slash at its end.
    pub(crate) fn base_url(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.config.public_url {
            return url.clone();
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        match host.filter(|host| host.bytes().all(plain)) {
            Some(host) => format!("http://{host}"),
            None => format!("http://{}", self.config.listen),
        }
    }
}

/// Handle of the state.
pub(crate) type Shared = Arc<HubState>;
