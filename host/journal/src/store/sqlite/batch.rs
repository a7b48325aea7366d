//! Appending a batch of records to the database.
//!
//! Records are inserted one by one, and each changed row of the index is written
//! once at the end. A cache of index rows is kept between batches, so that the
//! next record of an episode needs no read of the index. The cache is cleared
//! after an error, and when another connection has written to the database.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction};

use super::error::TransactionError;
use super::index::{self, IndexChecksum, IndexRow};
use super::open::immediate;
use super::past::purge;
use super::records::{self, pieces::StagedPieces};
use crate::record::EpisodeId;
use crate::store::api::{AppendEntry, AppendResult, IndexChange, StoreError};
use crate::store::indexed_episode::EpisodeHeader;
use crate::store::usage::{EPISODE_SIZE, UsageLedger, record_size};

/// Cached rows, about. A row takes about 400 bytes.
const MAX_CACHED: usize = 8192;

/// Rows of the index as the last batch left them.
#[derive(Debug, Default)]
pub(super) struct IndexCache {
    rows: HashMap<EpisodeId, CachedRow>,
    /// The `data_version` of the database then.
    version: Option<i64>,
}

#[derive(Debug)]
struct CachedRow {
    row: IndexRow,
    /// The hash of the row in the database.
    hash: [u8; 32],
    changed: bool,
}

impl IndexCache {
    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Removes rows that another connection may have changed, and then reads the
    /// bytes of the owners again.
    fn validate(
        &mut self,
        transaction: &Transaction<'_>,
        usage: &UsageLedger,
    ) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached("PRAGMA data_version")?;
        let version = statement.query_row([], |row| row.get(0))?;
        if self.version != Some(version) {
            self.rows.clear();
            usage.reset(index::usage(transaction)?);
            self.version = Some(version);
        }
        if self.rows.len() > MAX_CACHED {
            self.rows.clear();
        }
        Ok(())
    }
}

/// Appends all entries in one transaction. Returns the results and the number of
/// commits. After an error nothing is stored, and the cache must be cleared.
pub(super) fn append(
    connection: &mut Connection,
    cache: &mut IndexCache,
    usage: &UsageLedger,
    staged: &StagedPieces,
    batch: &[AppendEntry],
) -> Result<(Vec<AppendResult>, u64), TransactionError> {
    let transaction = immediate(connection)?;
    cache.validate(&transaction, usage)?;
    let before = index::checksum(&transaction)?;
    let (results, added, mut checksum) = {
        let mut appender = BatchAppender {
            transaction: &transaction,
            cached: &mut cache.rows,
            staged,
            changed: Vec::new(),
            added: HashMap::new(),
            checksum: before,
        };
        let mut results = Vec::with_capacity(batch.len());
        for entry in batch {
            results.push(appender.append(entry)?);
        }
        appender.finish(results)?
    };
    if checksum != before {
        checksum.commits += 1;
        index::set_checksum(&transaction, &checksum)?;
        transaction.commit()?;
        for (owner, bytes) in &added {
            usage.add(owner.as_deref(), *bytes);
        }
    }
    Ok((results, checksum.commits))
}

/// The results of a batch, the bytes added by owner, and the new checksum.
type Appended = (
    Vec<AppendResult>,
    HashMap<Option<String>, u64>,
    IndexChecksum,
);

struct BatchAppender<'t> {
    transaction: &'t Transaction<'t>,
    cached: &'t mut HashMap<EpisodeId, CachedRow>,
    staged: &'t StagedPieces,
    /// The episodes whose rows must be written at the end.
    changed: Vec<EpisodeId>,
    /// Bytes added by owner.
    added: HashMap<Option<String>, u64>,
    checksum: IndexChecksum,
}

impl BatchAppender<'_> {
    fn append(&mut self, entry: &AppendEntry) -> Result<AppendResult, TransactionError> {
        let Some(row) = self.row(entry.episode)? else {
            let IndexChange::Begin(header) = &entry.change else {
                return Ok(AppendResult::Gap);
            };
            return self.begin(entry, header);
        };
        let head = row.episode.head;
        if entry.seq <= head {
            let row = row.clone();
            let stored = records::read_one(self.transaction, &row, entry.seq)?;
            let equal = stored.link == entry.link && stored.bytes == entry.bytes;
            return Ok(if equal {
                AppendResult::AlreadyPresent
            } else {
                AppendResult::SlotTaken
            });
        }
        if !row.episode.is_live() {
            return Ok(AppendResult::SlotTaken);
        }
        if entry.seq != head + 1 {
            return Ok(AppendResult::Gap);
        }
        let before = row.last;
        let last = self.insert(entry, before)?;
        if let Some(cached) = self.cached.get_mut(&entry.episode) {
            cached.row.last = last;
            cached.row.add(entry);
            let size = record_size(entry.bytes.len());
            match self.added.get_mut(&cached.row.episode.header.owner) {
                Some(added) => *added += size,
                None => {
                    let owner = cached.row.episode.header.owner.clone();
                    self.added.insert(owner, size);
                }
            }
            if !std::mem::replace(&mut cached.changed, true) {
                self.changed.push(entry.episode);
            }
        }
        if matches!(entry.change, IndexChange::End(_)) {
            // Another episode with its session id may begin in this batch.
            self.write(entry.episode)?;
        }
        Ok(AppendResult::Appended)
    }

    fn begin(
        &mut self,
        entry: &AppendEntry,
        header: &EpisodeHeader,
    ) -> Result<AppendResult, TransactionError> {
        if index::has_live(self.transaction, header)? {
            return Ok(AppendResult::SessionExists);
        }
        // Forks refer to its earlier records.
        if purge::remains(self.transaction, entry.episode)? {
            return Ok(AppendResult::SlotTaken);
        }
        let last = self.insert(entry, 0)?;
        let row = IndexRow::new(entry, header, last);
        *self.added.entry(header.owner.clone()).or_default() +=
            EPISODE_SIZE + record_size(entry.bytes.len());
        let hash = row.hash();
        index::insert(self.transaction, &row, &hash)?;
        self.checksum.toggle(&hash);
        let cached = CachedRow {
            row,
            hash,
            changed: false,
        };
        self.cached.insert(entry.episode, cached);
        Ok(AppendResult::Appended)
    }

    /// Returns the row of an episode, including the changes of this batch.
    fn row(&mut self, episode: EpisodeId) -> Result<Option<&IndexRow>, StoreError> {
        if !self.cached.contains_key(&episode) {
            let Some(row) = index::row(self.transaction, episode)? else {
                return Ok(None);
            };
            let cached = CachedRow {
                hash: row.hash(),
                row,
                changed: false,
            };
            self.cached.insert(episode, cached);
        }
        Ok(self.cached.get(&episode).map(|cached| &cached.row))
    }

    /// Inserts the record, in pieces if they are staged. Returns its row id.
    fn insert(&self, entry: &AppendEntry, before: i64) -> rusqlite::Result<i64> {
        let staged = self
            .staged
            .complete(entry.episode, entry.seq, entry.bytes.len());
        records::insert(self.transaction, entry, before, staged)
    }

    /// Writes a changed row.
    fn write(&mut self, episode: EpisodeId) -> rusqlite::Result<()> {
        let cached = self.cached.get_mut(&episode);
        let Some(cached) = cached.filter(|cached| cached.changed) else {
            return Ok(());
        };
        let hash = cached.row.hash();
        index::update(self.transaction, &cached.row, &hash)?;
        self.checksum.toggle(&cached.hash);
        self.checksum.toggle(&hash);
        cached.hash = hash;
        cached.changed = false;
        if !cached.row.episode.is_live() {
            self.cached.remove(&episode);
        }
        Ok(())
    }

    /// Writes the remaining changed rows.
    fn finish(mut self, results: Vec<AppendResult>) -> rusqlite::Result<Appended> {
        for episode in std::mem::take(&mut self.changed) {
            self.write(episode)?;
        }
        Ok((results, self.added, self.checksum))
    }
}
