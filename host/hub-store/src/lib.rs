//! The database of the platform: accounts, environments, deployments, the files
//! of environments, and rollouts.
//!
//! A [`Database`] runs each piece of work in one transaction, so every change
//! is whole or absent after a crash. The functions of the other modules take a
//! [`Transaction`] and speak plain SQL, so a second database server needs only
//! a second implementation of [`Backend`]. Nothing here knows HTTP, git or
//! processes.

pub mod accounts;
mod clock;
mod database;
pub mod deployments;
pub mod environments;
mod error;
pub mod files;
pub mod rollouts;
pub mod sessions;
mod sql;
pub mod usage;

pub use clock::{now, time_before, unix_seconds};
pub use database::{Database, check_writable};
pub use error::HubStoreError;
pub use sql::backend::{Backend, RowBound, Transaction};
pub use sql::value::{SqlRow, SqlValue};
