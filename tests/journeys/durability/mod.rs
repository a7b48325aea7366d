//! Sessions that outlive the server's process.

mod admin_api;
mod disk_quota;
mod idempotency;
mod imports;
mod restart;
mod restartable_server;
mod state_directory;
