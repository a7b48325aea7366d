//! The interface of a record store.
//!
//! It is built on one primitive: put a record at its slot if the slot is the
//! next one of its episode. So two hosts that both believe they own a session
//! cannot both append to it, and an append whose result was lost can be
//! repeated. The conformance tests hold every store to the same behaviour.

use orwd_model::{SessionId, Timestamp};

use crate::error::JournalError;
use crate::record::{self, ChainLink, EpisodeId, Record};
use crate::store::import_origin::ImportedReceipt;
use crate::store::indexed_episode::{EpisodeHeader, EpisodeState, IndexedEpisode};
use crate::store::record_map::{RecordMap, RecordRange};
use crate::store::space::DiskSpace;
use crate::store::usage::UsageLedger;

/// A store of records. Appends come from one thread, all other calls from any.
///
/// A store keeps bytes and links as given and verifies neither. It verifies its
/// own index when it reads it.
pub trait JournalStore: Send + Sync + 'static {
    /// Appends all entries in one transaction and returns one result for each.
    /// When it returns, the batch has the durability that the store was opened
    /// with. After an error nothing of the batch is stored.
    fn append(&self, batch: &[AppendEntry]) -> Result<Vec<AppendResult>, StoreError>;

    /// Reads the records of an episode from this slot on, in order and without a
    /// gap; none if there is no such episode.
    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<StoredRecord>, StoreError>;

    /// Passes the records of an episode to `visit` in order, until it returns
    /// `false`; none if there is no such episode. A store that holds one record
    /// at a time overrides this.
    fn scan(
        &self,
        episode: EpisodeId,
        visit: &mut dyn FnMut(StoredRecord) -> bool,
    ) -> Result<(), StoreError> {
        for record in self.read(episode, 0)? {
            if !visit(record) {
                break;
            }
        }
        Ok(())
    }

    /// Finds the records of an episode, without reading them; `None` if there is no
    /// such episode.
    fn map(&self, episode: EpisodeId) -> Result<Option<RecordMap>, StoreError> {
        let index = self.episode(episode)?;
        Ok(index.map(|index| RecordMap {
            index,
            places: Vec::new(),
            shared_until: 0,
        }))
    }

    /// Reads some records of a map, in order and without a gap: at least one, if
    /// there is any in this range.
    fn read_range(
        &self,
        map: &RecordMap,
        range: RecordRange,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let mut records = self.read(map.index.id, range.from)?;
        let mut bytes = 0;
        let fits = |record: &&StoredRecord| {
            let more = bytes < range.bytes && record.seq <= map.index.head;
            bytes += record.bytes.len();
            more
        };
        let count = records.iter().take_while(fits).count();
        records.truncate(count);
        Ok(records)
    }

    /// Returns the link of a record of a map; `None` if it follows from earlier
    /// records.
    fn link(&self, map: &RecordMap, seq: u64) -> Result<Option<ChainLink>, StoreError> {
        let records = self.read(map.index.id, seq)?;
        Ok(records.first().map(|record| record.link))
    }

    /// Looks up an episode in the index.
    fn episode(&self, episode: EpisodeId) -> Result<Option<IndexedEpisode>, StoreError>;

    /// Finds the newest episode of this owner and session id, live or ended.
    fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<IndexedEpisode>, StoreError>;

    /// Lists the matching episodes, newest first.
    fn list(&self, filter: &EpisodeFilter) -> Result<Vec<IndexedEpisode>, StoreError>;

    /// Returns the value of this name. Stores `fresh` first if there is none.
    /// Concurrent callers get the same value.
    fn get_or_insert(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Stores a value under this name, in place of an earlier one.
    fn set_value(&self, name: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Stores the receipts that came with an imported episode, in place of
    /// earlier ones.
    fn set_receipts(
        &self,
        episode: EpisodeId,
        receipts: &[ImportedReceipt],
    ) -> Result<(), StoreError>;

    /// Returns the receipts that came with an imported episode.
    fn receipts(&self, episode: EpisodeId) -> Result<Vec<ImportedReceipt>, StoreError>;

    /// Returns the keys that signed them.
    fn receipt_keys(&self, episode: EpisodeId) -> Result<Vec<String>, StoreError>;

    /// Removes an episode with all its records; no error if there is none. A
    /// long episode is removed in steps, so that appends can run in between.
    fn purge(&self, episode: EpisodeId) -> Result<(), StoreError>;

    /// Begins episodes that share the records of another, from slot 1 up to
    /// `upto`, which is at least 1. An entry is the first record of a child.
    /// Returns one result for each, or `None` if the parent has no such records.
    /// The shared records stay until no child needs them, even if the parent is
    /// purged.
    fn fork(
        &self,
        parent: EpisodeId,
        upto: u64,
        children: &[AppendEntry],
    ) -> Result<Option<Vec<AppendResult>>, StoreError>;

    /// Returns the ended episodes of an owner, the one that ended first first.
    fn oldest_ended(&self, owner: Option<&str>, limit: u32) -> Result<Vec<EpisodeId>, StoreError>;

    /// Returns the bytes on disk of each owner's episodes, live and ended. A
    /// record that several episodes share counts once.
    fn usage(&self) -> &UsageLedger;

    /// Returns the bytes on disk of this owner's episodes as the store has them now,
    /// also if another process writes to it.
    fn usage_of(&self, owner: Option<&str>) -> Result<u64, StoreError> {
        Ok(self.usage().of(owner))
    }

    /// Measures the disk space. Space of the store that is not used is available.
    fn space(&self) -> Result<DiskSpace, StoreError>;

    /// Stores part of a record that is too large for one transaction, before the
    /// record is appended. The parts of a record are in order, and the first one
    /// begins at `offset` 0. After an error none of them is stored.
    fn stage(
        &self,
        episode: EpisodeId,
        seq: u64,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let _ = (episode, seq, offset, bytes);
        Ok(())
    }

    /// Whether large records have to wait for a checkpoint.
    fn is_congested(&self) -> bool {
        false
    }

    /// Whether maintenance is due.
    fn is_checkpoint_due(&self) -> bool {
        true
    }

    /// Runs maintenance that is due, beside appends.
    fn checkpoint(&self) -> Result<(), StoreError>;

    /// Closes the store. Nothing can be read or written afterwards.
    fn close(&self) -> Result<(), StoreError>;
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendEntry {
    /// The episode.
    pub episode: EpisodeId,
    /// The slot; the first is 0.
    pub seq: u64,
    /// The encoded record.
    pub bytes: Vec<u8>,
    /// The chain after the record.
    pub link: ChainLink,
    /// The effect on the index.
    pub change: IndexChange,
}

impl AppendEntry {
    /// Encodes a record for its slot, chained to the records before it.
    pub fn new(episode: EpisodeId, seq: u64, previous: ChainLink, record: &Record) -> AppendEntry {
        let bytes = record::encode(record);
        AppendEntry {
            episode,
            seq,
            link: previous.extend(seq, &bytes),
            bytes,
            change: IndexChange::of(record),
        }
    }

    /// Converts the result of appending this entry.
    pub(crate) fn check(&self, result: AppendResult) -> Result<(), JournalError> {
        let (episode, seq) = (self.episode, self.seq);
        match result {
            AppendResult::Appended | AppendResult::AlreadyPresent => Ok(()),
            AppendResult::SlotTaken => Err(JournalError::Fenced { episode, seq }),
            AppendResult::Gap => Err(JournalError::Gap { episode, seq }),
            AppendResult::SessionExists => Err(JournalError::Exists { episode }),
        }
    }
}

/// The effect of a record on the index, in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexChange {
    /// The episode begins; only with slot 0.
    Begin(Box<EpisodeHeader>),
    /// The episode has one more record.
    None,
    /// The episode has ended with this record.
    End(Timestamp),
}

impl IndexChange {
    /// Returns the effect of a record.
    pub(crate) fn of(record: &Record) -> IndexChange {
        match record {
            Record::Created(created) => IndexChange::Begin(Box::new(EpisodeHeader {
                owner: created.owner.clone(),
                session: created.session.clone(),
                environment: created.environment.clone(),
                component: created.component,
                created: created.start,
                import: None,
            })),
            Record::Request(_) | Record::Outcome(_) | Record::Exchange(_) => IndexChange::None,
            Record::Ended(ended) => IndexChange::End(ended.at),
        }
    }
}

/// The result of appending one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendResult {
    /// The record is stored.
    Appended,
    /// The same record was stored before.
    AlreadyPresent,
    /// The slot holds another record, or the episode has ended.
    SlotTaken,
    /// The slot before it is empty.
    Gap,
    /// The entry would begin an episode, and a live one has the same owner and
    /// session id.
    SessionExists,
}

/// A record in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The slot.
    pub seq: u64,
    /// The encoded record.
    pub bytes: Vec<u8>,
    /// The chain after the record.
    pub link: ChainLink,
}

/// Selects episodes; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpisodeFilter {
    /// Only live episodes.
    pub live: bool,
    /// Only episodes of this owner; `Some(None)` selects those without one.
    pub owner: Option<Option<String>>,
    /// Only episodes that ended before this time.
    pub ended_before: Option<Timestamp>,
    /// Only episodes older than this one, for the next page.
    pub before: Option<EpisodeId>,
    /// At most this many.
    pub limit: Option<u32>,
}

impl EpisodeFilter {
    /// Whether the episode matches, apart from the limit.
    pub fn matches(&self, episode: &IndexedEpisode) -> bool {
        let ended_before = |time: Timestamp| match episode.state {
            EpisodeState::Live => false,
            EpisodeState::Ended(at) => at < time,
        };
        (!self.live || episode.is_live())
            && self.ended_before.is_none_or(ended_before)
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| *owner == episode.header.owner)
            && self.before.is_none_or(|before| episode.id < before)
    }
}

/// A store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no space.
    #[error("there is no space left")]
    Full,
    /// A sync failed: committed records may be missing on the disk and in the
    /// page cache. Nothing may be written afterwards.
    #[error("{0}")]
    Sync(String),
    /// The bytes read are not those that were written.
    #[error("damaged: {what}")]
    Damaged {
        /// The episode, if known.
        episode: Option<EpisodeId>,
        /// The record, if known.
        seq: Option<u64>,
        /// The failed check.
        what: String,
    },
    /// Any other failure.
    #[error("{0}")]
    Io(String),
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> JournalError {
        match error {
            StoreError::Full => JournalError::Full,
            StoreError::Sync(what) => JournalError::Stopped(what),
            StoreError::Damaged { episode, seq, what } => {
                JournalError::Damaged { episode, seq, what }
            }
            StoreError::Io(what) => JournalError::Io(what),
        }
    }
}
