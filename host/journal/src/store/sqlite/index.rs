//! The index of episodes: a row for each, with its hash, and the checksum over
//! all hashes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use orwd_model::{Digest, EnvName, SessionId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction};

use super::error::store_error;
use crate::record::{ChainLink, EpisodeId};
use crate::store::api::{AppendEntry, EpisodeFilter, IndexChange, StoreError};
use crate::store::import_origin::ImportOrigin;
use crate::store::indexed_episode::{EpisodeHeader, EpisodeState, IndexedEpisode};
use crate::store::usage::{EPISODE_SIZE, record_size};

/// The name of the checksum in the database.
const CHECKSUM: &str = "census";

const COLUMNS: &str = "id, owner, session, environment, component, created, ended, head, tip, last, hash, \
     imported, mapped, bytes";

/// The row of an episode.
#[derive(Clone, Debug)]
pub(super) struct IndexRow {
    pub(super) episode: IndexedEpisode,
    /// The row id of its last record.
    pub(super) last: i64,
    /// The bytes that the episode takes on disk, without those that it shares. No
    /// part of the hash: only quotas depend on them.
    pub(super) bytes: u64,
}

/// The exclusive or of the hashes of all rows, and the number of commits that
/// changed the index. Toggling a hash twice has no effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexChecksum {
    sum: [u8; 32],
    /// Zero in a journal of an earlier version.
    pub(super) commits: u64,
}

impl IndexChecksum {
    pub(super) fn toggle(&mut self, hash: &[u8; 32]) {
        let sums = self.sum.iter_mut();
        sums.zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }
}

impl IndexRow {
    /// Creates the row of an episode with this first record.
    pub(super) fn new(entry: &AppendEntry, header: &EpisodeHeader, last: i64) -> IndexRow {
        IndexRow {
            episode: IndexedEpisode {
                id: entry.episode,
                header: header.clone(),
                state: EpisodeState::Live,
                head: entry.seq,
                tip: entry.link,
            },
            last,
            bytes: EPISODE_SIZE + record_size(entry.bytes.len()),
        }
    }

    /// Adds a record, apart from its row id.
    pub(super) fn add(&mut self, entry: &AppendEntry) {
        self.episode.head = entry.seq;
        self.episode.tip = entry.link;
        self.bytes = self.bytes.saturating_add(record_size(entry.bytes.len()));
        if let IndexChange::End(at) = entry.change {
            self.episode.state = EpisodeState::Ended(at);
        }
    }

    fn ended(&self) -> Option<i64> {
        match self.episode.state {
            EpisodeState::Live => None,
            EpisodeState::Ended(at) => Some(at.as_nanos().cast_signed()),
        }
    }

    /// Hashes the row.
    pub(super) fn hash(&self) -> [u8; 32] {
        let IndexedEpisode {
            id,
            header,
            head,
            tip,
            ..
        } = &self.episode;
        let mut hasher = blake3::Hasher::new_derive_key("orwd journal 2026 v1 line of the index");
        // Each part is preceded by its length, so that no two rows have the same
        // bytes.
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        part(id.as_bytes());
        part(&[u8::from(header.owner.is_some())]);
        part(header.owner.as_deref().unwrap_or_default().as_bytes());
        part(header.session.as_str().as_bytes());
        part(header.environment.as_str().as_bytes());
        part(header.component.as_bytes());
        part(&header.created.as_nanos().to_be_bytes());
        part(&[u8::from(self.ended().is_some())]);
        part(&self.ended().unwrap_or_default().to_be_bytes());
        part(&head.to_be_bytes());
        part(tip.as_bytes());
        part(&self.last.to_be_bytes());
        // Earlier versions wrote rows without these parts.
        if let Some(import) = &header.import {
            part(&import.records.to_be_bytes());
            part(&[u8::from(import.data.is_some())]);
            part(data_bytes(import).unwrap_or_default());
        }
        *hasher.finalize().as_bytes()
    }

    /// Reads a row and checks its hash.
    fn read(row: &Row<'_>) -> Result<IndexRow, StoreError> {
        let id = row.get(0).map_err(|error| store_error(&error))?;
        let id = EpisodeId::from_bytes(id);
        let damaged = |what: &str| StoreError::Damaged {
            episode: Some(id),
            seq: None,
            what: what.to_owned(),
        };
        let read = || -> rusqlite::Result<Option<(IndexRow, [u8; 32])>> {
            let session: String = row.get(2)?;
            let environment: String = row.get(3)?;
            let session = SessionId::try_from(session);
            let (Ok(session), Ok(environment)) = (session, EnvName::new(&environment)) else {
                return Ok(None);
            };
            let ended: Option<i64> = row.get(6)?;
            let data: Option<Vec<u8>> = row.get(12)?;
            let import = match row.get::<_, i64>(11)? {
                0 => None,
                records => Some(ImportOrigin {
                    records: records.cast_unsigned(),
                    data: data.map(|bytes| PathBuf::from(OsString::from_vec(bytes))),
                }),
            };
            let indexed = IndexRow {
                episode: IndexedEpisode {
                    id,
                    header: EpisodeHeader {
                        owner: row.get(1)?,
                        session,
                        environment,
                        component: Digest::from_bytes(row.get(4)?),
                        created: Timestamp::from_nanos(row.get::<_, i64>(5)?.cast_unsigned()),
                        import,
                    },
                    state: ended.map_or(EpisodeState::Live, |at| {
                        EpisodeState::Ended(Timestamp::from_nanos(at.cast_unsigned()))
                    }),
                    head: row.get::<_, i64>(7)?.cast_unsigned(),
                    tip: ChainLink::from_bytes(row.get(8)?),
                },
                last: row.get(9)?,
                bytes: row.get::<_, i64>(13)?.cast_unsigned(),
            };
            Ok(Some((indexed, row.get(10)?)))
        };
        match read() {
            Ok(Some((indexed, hash))) if indexed.hash() == hash => Ok(indexed),
            Ok(_) => Err(damaged("its line in the index has another hash")),
            Err(error) => match store_error(&error) {
                StoreError::Damaged { what, .. } => Err(damaged(&what)),
                other => Err(other),
            },
        }
    }
}

/// Reads the rows of a query.
fn rows(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<IndexRow>, StoreError> {
    let sqlite = |error: rusqlite::Error| store_error(&error);
    let mut statement = transaction.prepare_cached(sql).map_err(sqlite)?;
    let mut found = statement.query(parameters).map_err(sqlite)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(sqlite)? {
        rows.push(IndexRow::read(row)?);
    }
    Ok(rows)
}

/// Reads the row of an episode.
pub(super) fn row(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
) -> Result<Option<IndexRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM episodes WHERE id = ?1");
    let mut found = rows(transaction, &sql, [episode.as_bytes()])?;
    // A damaged page may return the row of another episode.
    match found.pop() {
        Some(row) if row.episode.id != episode => Err(StoreError::Damaged {
            episode: Some(episode),
            seq: None,
            what: "the index has another in its place".to_owned(),
        }),
        found => Ok(found),
    }
}

/// Finds the newest episode of this owner and session id.
pub(super) fn find(
    transaction: &Transaction<'_>,
    owner: Option<&str>,
    session: &SessionId,
) -> Result<Option<IndexedEpisode>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM episodes WHERE session = ?1 AND owner IS ?2 ORDER BY id DESC LIMIT 1"
    );
    let found = rows(transaction, &sql, (session.as_str(), owner))?;
    let fits = |episode: &IndexedEpisode| {
        episode.header.owner.as_deref() == owner && episode.header.session == *session
    };
    let mut episodes = found.into_iter().map(|row| row.episode);
    Ok(episodes.next().filter(fits))
}

/// Lists the matching episodes.
pub(super) fn list(
    transaction: &Transaction<'_>,
    filter: &EpisodeFilter,
) -> Result<Vec<IndexedEpisode>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM episodes WHERE (NOT ?1 OR ended IS NULL) \
         AND (NOT ?2 OR owner IS ?3) AND (?4 IS NULL OR id < ?4) \
         AND (?6 IS NULL OR ended < ?6) ORDER BY id DESC LIMIT ?5"
    );
    let owner = filter.owner.clone().flatten();
    let before = filter.before.map(|id| id.as_bytes().to_vec());
    // SQLite takes a negative limit as none.
    let limit = filter.limit.map_or(-1, i64::from);
    let ended_before = filter
        .ended_before
        .map(|time| time.as_nanos().cast_signed());
    let parameters = (
        filter.live,
        filter.owner.is_some(),
        owner,
        before,
        limit,
        ended_before,
    );
    let found = rows(transaction, &sql, parameters)?;
    let episodes = found.into_iter().map(|row| row.episode);
    Ok(episodes.filter(|episode| filter.matches(episode)).collect())
}

/// Whether there is a live episode of this owner and session id.
pub(super) fn has_live(
    transaction: &Transaction<'_>,
    header: &EpisodeHeader,
) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached(
        "SELECT 1 FROM episodes WHERE session = ?1 AND ifnull(owner, '') = ifnull(?2, '') \
         AND (owner IS NULL) = (?2 IS NULL) AND ended IS NULL",
    )?;
    statement.exists((header.session.as_str(), &header.owner))
}

/// Inserts a row with its hash.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    row: &IndexRow,
    hash: &[u8; 32],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO episodes (id, owner, session, environment, component, created, ended, head, \
         tip, last, hash, imported, mapped, bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let IndexedEpisode {
        id,
        header,
        head,
        tip,
        ..
    } = &row.episode;
    statement.execute((
        id.as_bytes(),
        &header.owner,
        header.session.as_str(),
        header.environment.as_str(),
        header.component.as_bytes(),
        header.created.as_nanos().cast_signed(),
        row.ended(),
        head.cast_signed(),
        tip.as_bytes(),
        row.last,
        hash,
        header
            .import
            .as_ref()
            .map_or(0, |import| import.records.cast_signed()),
        header.import.as_ref().and_then(data_bytes),
        row.bytes.cast_signed(),
    ))?;
    Ok(())
}

/// Returns the bytes of the path of an imported episode's data.
fn data_bytes(import: &ImportOrigin) -> Option<&[u8]> {
    let data = import.data.as_ref();
    data.map(|path| path.as_os_str().as_bytes())
}

/// Updates a row and its hash.
pub(super) fn update(
    transaction: &Transaction<'_>,
    row: &IndexRow,
    hash: &[u8; 32],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE episodes SET ended = ?2, head = ?3, tip = ?4, last = ?5, hash = ?6, bytes = ?7 \
         WHERE id = ?1",
    )?;
    statement.execute((
        row.episode.id.as_bytes(),
        row.ended(),
        row.episode.head.cast_signed(),
        row.episode.tip.as_bytes(),
        row.last,
        hash,
        row.bytes.cast_signed(),
    ))?;
    Ok(())
}

/// Deletes a row, and removes it from the checksum.
pub(super) fn remove(transaction: &Transaction<'_>, row: &IndexRow) -> Result<(), StoreError> {
    let mut checksum = checksum(transaction)?;
    checksum.toggle(&row.hash());
    checksum.commits += 1;
    let remove = || -> rusqlite::Result<()> {
        let id = row.episode.id;
        transaction.execute("DELETE FROM episodes WHERE id = ?1", [id.as_bytes()])?;
        set_checksum(transaction, &checksum)
    };
    remove().map_err(|error| store_error(&error))
}

/// Reads the value of this name.
pub(super) fn meta(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = transaction.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

/// Writes the checksum of an empty index.
pub(super) fn init_checksum(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    set_checksum(transaction, &IndexChecksum::default())
}

/// Reads the checksum.
pub(super) fn checksum(transaction: &Transaction<'_>) -> Result<IndexChecksum, StoreError> {
    let written = meta(transaction, CHECKSUM).map_err(|error| store_error(&error))?;
    let read = |bytes: Vec<u8>| -> Option<IndexChecksum> {
        let (sum, commits) = bytes.split_first_chunk::<32>()?;
        let commits = match commits {
            [] => 0,
            commits => u64::from_be_bytes(commits.try_into().ok()?),
        };
        Some(IndexChecksum { sum: *sum, commits })
    };
    written
        .and_then(read)
        .ok_or_else(|| damaged_index("there is no census of the index"))
}

/// Writes the checksum.
pub(super) fn set_checksum(
    transaction: &Transaction<'_>,
    checksum: &IndexChecksum,
) -> rusqlite::Result<()> {
    let mut value = checksum.sum.to_vec();
    value.extend_from_slice(&checksum.commits.to_be_bytes());
    set_meta(transaction, CHECKSUM, &value)
}

/// Writes the value of this name.
pub(super) fn set_meta(
    transaction: &Transaction<'_>,
    name: &str,
    value: &[u8],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    statement.execute((name, value))?;
    Ok(())
}

/// Reads all rows and compares them with the checksum. Returns the number of
/// commits.
pub(super) fn verify(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let written = checksum(transaction)?;
    let sql = format!("SELECT {COLUMNS} FROM episodes ORDER BY id");
    let mut found = IndexChecksum::default();
    for row in rows(transaction, &sql, [])? {
        found.toggle(&row.hash());
    }
    if found.sum == written.sum {
        Ok(written.commits)
    } else {
        Err(damaged_index(
            "the lines of the index are not those that were written",
        ))
    }
}

/// Reads the bytes of each owner: those of its episodes, and of purged ones whose
/// records are not removed yet.
pub(super) fn usage(
    transaction: &Transaction<'_>,
) -> rusqlite::Result<HashMap<Option<String>, u64>> {
    let mut statement = transaction.prepare_cached(
        "SELECT owner, sum(bytes) FROM \
         (SELECT owner, bytes FROM episodes UNION ALL SELECT owner, bytes FROM remains) \
         GROUP BY owner",
    )?;
    let sums = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    sums.filter(|sum| !matches!(sum, Ok((_, 0)))).collect()
}

/// Returns the episodes of an owner that have ended, the one that ended first
/// first.
pub(super) fn oldest_ended(
    transaction: &Transaction<'_>,
    owner: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<EpisodeId>> {
    let mut statement = transaction.prepare_cached(
        "SELECT id FROM episodes WHERE owner IS ?1 AND ended IS NOT NULL ORDER BY ended LIMIT ?2",
    )?;
    let ids = statement.query_map((owner, limit), |row| row.get(0).map(EpisodeId::from_bytes))?;
    ids.collect()
}

fn damaged_index(what: &str) -> StoreError {
    StoreError::Damaged {
        episode: None,
        seq: None,
        what: what.to_owned(),
    }
}
