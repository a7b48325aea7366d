//! Deployments: from a commit or an upload to a version that is served.

mod admit;
pub(crate) mod program;
pub(crate) mod queue;
pub(crate) mod remotes;
pub(crate) mod repositories;
mod sources;
