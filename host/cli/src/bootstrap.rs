//! Starts what commands run on: environments, the journal, hardening, the server.

mod compiler;
pub(crate) mod environments;
pub(crate) mod fd_limit;
pub(crate) mod hardening;
pub(crate) mod persistence;
pub(crate) mod runtime;
pub(crate) mod server;
pub(crate) mod source_tree;
pub(crate) mod state_choice;
mod temp_dir;

pub(crate) use compiler::{Compile, compiler};
pub(crate) use environments::network::NetworkBroker;
pub(crate) use persistence::Persistence;
pub(crate) use server::AccessConfig;
pub(crate) use temp_dir::TempDirectory;
