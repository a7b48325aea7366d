//! What is written down of sessions, so that they outlive the host's process.
//!
//! A life of a session is an *episode*: a chain of records, of which the first
//! says how it began and each other what was asked of it or what that came to.
//! Everything here rests on one primitive, [`Store::append`]: put a record at
//! its slot if the slot is empty. [`Journal`] drives it from one thread that
//! commits what is queued together.
//!
//! The room keeps records and knows nothing of how they are replayed. Each
//! record is chained to those before it ([`Link`]); a reader checks the chain
//! and refuses what does not hold, with the episode and the record named.

mod chain;
mod error;
mod facade;
mod format;
mod history;
mod id;
mod memory;
mod pen;
mod portable;
mod queue;
mod receipt;
mod record;
mod seal;
mod sqlite;
mod state;
mod store;
mod veil;
mod writer;

pub use chain::Link;
pub use error::JournalError;
pub use facade::{Durability, Journal, JournalConfig};
pub use history::{Answer, History, Step};
pub use id::{EpisodeId, Hash};
pub use memory::MemoryStore;
pub use pen::{Pen, Ticket};
pub use portable::{Imported, Portable, PortableError};
pub use receipt::{Body, CallLine, Receipt, ReceiptError, ReceiptKey, Signer};
pub use record::{
    Answered, Ask, Asked, At, ClockMode, Created, EndReason, Ended, HostFacts, Outcome, Parent,
    Record, RunMark, SealedSecrets,
};
pub use seal::SealKey;
pub use sqlite::SqliteStore;
pub use state::{StateDir, StateLock};
pub use store::{
    Change, Entry, Episode, EpisodeState, Filter, Opening, Put, Row, Store, StoreError,
};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
