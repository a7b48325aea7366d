//! What a request is forwarded to.

use orwd_hub_store::sessions::SessionVersion;

use crate::supervisor::protocol::HostSpec;

/// A version, and what its host process needs.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) version: SessionVersion,
    /// The id of the environment.
    pub(crate) environment: String,
    pub(crate) commit: String,
    /// The environment that answers where a request names none.
    pub(crate) default_variant: String,
    pub(crate) host: HostSpec,
    /// Whether the host process stays loaded without requests.
    pub(crate) is_kept: bool,
}
