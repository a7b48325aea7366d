//! The store over its connections: one that writes, a pool that reads, and one that
//! copies the write-ahead log.

mod checkpoint;
mod close;
mod journal_store;
mod purging;
mod sqlite_store;
mod write_connection;

pub use sqlite_store::SqliteStore;
