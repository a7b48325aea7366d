//! The journal: durable records of sessions, so that they survive a restart.
//!
//! One life of a session is an *episode*: a chain of records. The first says how
//! the session was created; the others hold a request to its guest, the outcome
//! of a request, or the end. Everything is built on one primitive,
//! [`JournalStore::append`]: put a record at its slot if the slot is empty.
//! [`Journal`] calls it from one thread that commits queued records together.
//!
//! The journal does not replay anything. Each record is chained to those before
//! it ([`ChainLink`]). A reader checks the chain and refuses a record that does
//! not fit, naming the episode and the record.

mod archive;
mod disk;
mod error;
mod history;
mod journal;
mod receipt;
mod record;
mod sealing;
mod state_dir;
mod store;
mod writer;

pub use archive::{ArchiveError, EpisodeArchive, ImportOptions, ImportOutcome};
pub use disk::{DiskLimits, DiskPermit, DiskQuota, DiskRefusal};
pub use error::JournalError;
pub use history::{
    EpisodeHistory, EpisodePages, EpisodeStep, ScannedRecord, StepExchange, StepOutcome,
    drop_content, drop_request,
};
pub use journal::Journal;
pub use orwd_model::Durability;
pub use receipt::{Receipt, ReceiptBody, ReceiptCall, ReceiptError, ReceiptKey, ReceiptSigner};
pub use record::{
    ChainLink, CreatedRecord, CreationContent, EndReason, EndedRecord, EpisodeId, ExchangeRecord,
    ForkOrigin, GuestOutcome, GuestRequest, Hash, OutcomeRecord, Record, RequestRecord,
    RunIdentity, SealedSecrets,
};
pub use sealing::SealKey;
pub use state_dir::{StateDir, StateLock};
pub use store::{
    AppendEntry, AppendResult, DiskSpace, EpisodeFilter, EpisodeHeader, EpisodeState, ImportOrigin,
    ImportedReceipt, IndexChange, IndexedEpisode, JournalStore, RecordMap, RecordRange,
    SqliteStore, StoreError, StoredRecord, UsageLedger,
};
pub use writer::{EpisodeWriter, PendingCommit};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
