//! What a store of records has to be able to do.
//!
//! One primitive carries the rest: put a record at its slot if that slot is
//! the next one of its episode. With it two hosts that believe they own one
//! session cannot both write its future, and an append whose answer was lost
//! can be repeated. `journal::tests::conformance` holds every store to the
//! same behaviour.

use super::chain::Link;
use super::id::EpisodeId;
use super::record::At;
use orwd_model::{Digest, EnvName, SessionId};

/// Where records lie. Appends come from one thread, everything else from any.
///
/// A store keeps bytes and links as they are given and checks neither; what it
/// keeps of its own accord, the index, it checks when it reads.
pub trait Store: Send + Sync + 'static {
    /// Puts every entry at its slot if it may be there, all in one
    /// transaction, and says of each what became of it. When it returns, the
    /// batch is as durable as the store was opened for. After an error nothing
    /// of the batch is there.
    fn append(&self, batch: &[Entry]) -> Result<Vec<Put>, StoreError>;

    /// The records of an episode from this slot on, in order, without a gap;
    /// none if there is no such episode.
    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<Row>, StoreError>;

    /// What the index says of an episode.
    fn episode(&self, episode: EpisodeId) -> Result<Option<Episode>, StoreError>;

    /// The newest episode of this owner and session id, live or ended.
    fn find(&self, owner: Option<&str>, session: &SessionId)
    -> Result<Option<Episode>, StoreError>;

    /// The episodes that fit, newest first.
    fn list(&self, filter: &Filter) -> Result<Vec<Episode>, StoreError>;

    /// The value kept under this name; `fresh` if there is none yet, which is
    /// then kept. Of two that ask at once both get the same.
    fn keep(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Removes an episode with all its records. None of this id is no error.
    /// Takes its time with a long one, so that appends come in between.
    fn forget(&self, episode: EpisodeId) -> Result<(), StoreError>;

    /// Tidies up, when there is time for it; after each batch.
    fn rest(&self) -> Result<(), StoreError>;

    /// Puts everything in order for a long time without a host. After this
    /// there is nothing to be had from it.
    fn close(&self) -> Result<(), StoreError>;
}

/// A record on its way into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose record it is.
    pub episode: EpisodeId,
    /// Its slot; the first is 0.
    pub seq: u64,
    /// The record.
    pub bytes: Vec<u8>,
    /// What the chain comes to with it.
    pub link: Link,
    /// What the record does to the index.
    pub change: Change,
}

/// What a record does to the index, in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The episode begins; goes with slot 0 and no other.
    Begin(Box<Opening>),
    /// The episode has one record more.
    None,
    /// The episode has ended, and this is its last record.
    End(At),
}

/// What the index keeps of an episode from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The name of the owner; none where no keys are asked for.
    pub owner: Option<String>,
    /// The session's id on the wire.
    pub session: SessionId,
    /// The environment.
    pub environment: EnvName,
    /// Its version.
    pub component: Digest,
    /// When it began.
    pub created: At,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Done,
    /// It was there already, byte for byte.
    Already,
    /// Another record is there, or the episode has ended.
    Taken,
    /// The slot before it is empty.
    Gap,
    /// It would begin an episode, and a live one has the same owner and
    /// session id.
    Exists,
}

/// A record as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its slot.
    pub seq: u64,
    /// The record.
    pub bytes: Vec<u8>,
    /// What the chain comes to with it.
    pub link: Link,
}

/// An episode in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Its id.
    pub id: EpisodeId,
    /// How it began.
    pub opening: Opening,
    /// Whether it goes on.
    pub state: EpisodeState,
    /// The slot of its last record.
    pub head: u64,
    /// The link of its last record.
    pub tip: Link,
}

/// Whether an episode goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpisodeState {
    /// It does.
    Live,
    /// It ended then.
    Ended(At),
}

impl Episode {
    /// Whether it goes on.
    pub fn is_live(&self) -> bool {
        self.state == EpisodeState::Live
    }
}

/// Which episodes are wanted. By default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only live ones.
    pub live: bool,
    /// Only those of this owner; `Some(None)` are those of nobody.
    pub owner: Option<Option<String>>,
    /// Only those that ended before this moment.
    pub ended_before: Option<At>,
    /// Only those older than this one, for the next page.
    pub before: Option<EpisodeId>,
    /// No more than these.
    pub limit: Option<u32>,
}

impl Filter {
    /// Whether the episode fits, the limit aside.
    pub fn admits(&self, episode: &Episode) -> bool {
        let ended_before = |moment: At| match episode.state {
            EpisodeState::Live => false,
            EpisodeState::Ended(at) => at.0 < moment.0,
        };
        (!self.live || episode.is_live())
            && self.ended_before.is_none_or(ended_before)
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| *owner == episode.opening.owner)
            && self.before.is_none_or(|before| episode.id < before)
    }
}

/// Why a store could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no space.
    #[error("there is no space left")]
    Full,
    /// A sync failed: what was committed before may be gone from the disk and
    /// from the system's memory of it. Nothing may be written after this.
    #[error("{0}")]
    Sync(String),
    /// What was read is not what was written.
    #[error("damaged: {what}")]
    Damaged {
        /// The episode, where it is known.
        episode: Option<EpisodeId>,
        /// The record, where it is known.
        seq: Option<u64>,
        /// What does not hold.
        what: String,
    },
    /// Anything else.
    #[error("{0}")]
    Io(String),
}
