//! The store in SQLite: a database in the host's state directory.
//!
//! Records are stored in the order in which they arrive. Each has the row id of
//! the previous record of its episode, and the index has the row id of the last
//! one. So a batch of many sessions writes a few neighbouring pages, and a
//! history is read backwards.
//!
//! SQLite checks its write-ahead log but not its pages. So each row of the index
//! has a hash, and the checksum over those hashes detects missing rows. Readers
//! verify records by their chain.
//!
//! Checkpoints are run here and not by SQLite, which would not report a failed
//! sync in one.

mod batch;
mod error;
mod imports;
mod index;
mod migrate;
mod open;
mod past;
mod records;
mod recovery;
mod store;

pub use store::SqliteStore;
