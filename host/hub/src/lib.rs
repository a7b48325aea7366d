//! The platform of `orwd hub`: environments that users create, deploy, version
//! and share.
//!
//! Three kinds of processes of one program work together. The *supervisor*
//! starts the others and restarts them. The *control process* has the accounts,
//! the database, the repositories and the files, and serves HTTP. A *host*
//! process is `orwd serve` for one version of an environment: only there do
//! guests run, hardened, and it has no access to anything else. The control
//! process forwards the requests of sessions to the host of their version.

mod admission;
mod api;
mod config;
mod deploy;
mod error;
mod git;
mod http;
mod layout;
mod sessions;
mod storage;
mod supervisor;
mod upkeep;
mod web;

pub use admission::forwarded::{NotANetwork, ProxyNetwork};
pub use config::HubConfig;
pub use deploy::remotes::address::{NotAHost, RepositoryHost};
pub use error::HubError;
pub use http::server::run_control;
pub use supervisor::run::run_supervisor;
