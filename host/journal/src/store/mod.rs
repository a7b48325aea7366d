//! Stores of records: the interface, the store in SQLite, and one in memory for
//! tests.

mod api;
mod import_origin;
mod indexed_episode;
#[cfg(test)]
mod memory;
mod record_map;
mod space;
mod sqlite;
mod usage;

pub use api::{
    AppendEntry, AppendResult, EpisodeFilter, IndexChange, JournalStore, StoreError, StoredRecord,
};
pub use import_origin::{ImportOrigin, ImportedReceipt};
pub use indexed_episode::{EpisodeHeader, EpisodeState, IndexedEpisode};
pub use record_map::{RecordMap, RecordRange};
pub use space::DiskSpace;
pub use sqlite::SqliteStore;
pub use usage::UsageLedger;

pub(crate) use usage::{EPISODE_SIZE, record_size};

#[cfg(test)]
pub(crate) use memory::MemoryStore;
