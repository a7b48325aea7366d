//! Stores of records: the interface, the store in SQLite, and one in memory for
//! tests.

mod api;
mod import_origin;
#[cfg(test)]
mod memory;
mod space;
mod sqlite;
mod usage;

pub use api::{
    AppendEntry, AppendResult, EpisodeFilter, EpisodeHeader, EpisodeState, IndexChange,
    IndexedEpisode, JournalStore, StoreError, StoredRecord,
};
pub use import_origin::{ImportOrigin, ImportedReceipt};
pub use space::DiskSpace;
pub use sqlite::SqliteStore;
pub use usage::UsageLedger;

#[cfg(test)]
pub(crate) use usage::{EPISODE_SIZE, record_size};

#[cfg(test)]
pub(crate) use memory::MemoryStore;
