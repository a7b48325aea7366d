//! The repositories of environments, and git over HTTP.

pub(crate) mod checkout;
mod command;
pub(crate) mod http_backend;
pub(crate) mod locks;
pub(crate) mod maintenance;
pub(crate) mod remote;
pub(crate) mod repository;
