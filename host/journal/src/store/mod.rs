//! Stores of records: the interface, the store in SQLite, and one in memory for
//! tests.

mod api;
mod import_origin;
#[cfg(test)]
mod memory;
mod sqlite;

pub use api::{
    AppendEntry, AppendResult, EpisodeFilter, EpisodeHeader, EpisodeState, IndexChange,
    IndexedEpisode, JournalStore, StoreError, StoredRecord,
};
pub use import_origin::{ImportOrigin, ImportedReceipt};
pub use sqlite::SqliteStore;

#[cfg(test)]
pub(crate) use memory::MemoryStore;
