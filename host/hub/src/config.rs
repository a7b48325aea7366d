//! The configuration of the platform.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::forwarded::ProxyNetwork;
use crate::deploy::remotes::address::RepositoryHost;

/// The configuration, which the supervisor hands to the control process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HubConfig {
    /// The directory of everything that is kept.
    pub state: PathBuf,
    /// The file of the first accounts.
    pub bootstrap: Option<PathBuf>,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The address under which clients reach the platform, without a slash at its
    /// end; if absent, that of each request.
    pub public_url: Option<String>,
    /// The proxies that are trusted to tell the addresses of clients.
    pub trusted_proxies: Vec<ProxyNetwork>,
    /// Bytes of the files of an environment.
    pub file_quota: u64,
    /// Bytes of everything that is kept for a user or an organisation.
    pub owner_quota: u64,
    /// The time in which a deleted environment can be restored.
    pub deleted_retention: Duration,
    /// The time between two looks at a repository elsewhere.
    pub repository_poll: Duration,
    /// The hosts of repositories that are no public ones, or have no TLS.
    pub repository_hosts: Vec<RepositoryHost>,
    /// Whether components are built from their sources.
    pub allow_native_builds: bool,
    /// The arguments of the log for each process.
    pub log_arguments: Vec<String>,
    /// The arguments of the hardening for each host process.
    pub host_arguments: Vec<String>,
}
