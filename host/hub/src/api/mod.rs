//! The routes of the management API.

pub(crate) mod accounts;
pub(crate) mod billing;
pub(crate) mod deletion;
pub(crate) mod deployments;
pub(crate) mod environments;
pub(crate) mod facts;
pub(crate) mod files;
pub(crate) mod links;
pub(crate) mod rollouts;
