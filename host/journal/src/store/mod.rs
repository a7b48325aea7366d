//! Stores of records: the interface, one in memory, and one in SQLite.

mod api;
mod memory;
mod sqlite;

pub use api::{
    AppendEntry, AppendResult, EpisodeFilter, EpisodeHeader, EpisodeState, IndexChange,
    IndexedEpisode, JournalStore, StoreError, StoredRecord,
};
pub use memory::MemoryStore;
pub use sqlite::SqliteStore;
