//! Purging an episode in steps.
//!
//! The first transaction removes its row of the index: from then on the episode
//! does not exist, and its session id is free. The same transaction saves where
//! its last record is. Small transactions then remove the records, so that
//! appends do not wait. A host that is killed in between resumes the purge when
//! it opens the journal again.
//!
//! Records that a fork refers to remain. When the last fork is gone, the purge
//! continues with the episode that it referred to.

use rusqlite::{OptionalExtension as _, Transaction};

use super::forks;
use crate::record::EpisodeId;
use crate::store::api::StoreError;
use crate::store::sqlite::error::store_error;
use crate::store::sqlite::open::immediate;
use crate::store::sqlite::records;
use crate::store::sqlite::{imports, index};
use crate::store::usage::{EPISODE_SIZE, record_size};

/// Records of one transaction.
const MAX_RECORDS: usize = 200;

/// Bytes of the records of one transaction, at most, apart from the last one.
const MAX_BYTES: u64 = 1 << 20;

/// Bytes that were freed, and whose they were.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Freed {
    pub(in crate::store::sqlite) owner: Option<String>,
    pub(in crate::store::sqlite) bytes: u64,
}

/// What follows a step of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::sqlite) enum Next {
    /// Another step.
    More,
    /// A step of the episode whose past this one shared.
    Parent(EpisodeId),
    /// Nothing: the rest is removed, or a fork refers to it.
    Done,
}

/// What remains of a purged episode: its records up to this one.
#[derive(Debug)]
struct Remains {
    owner: Option<String>,
    place: i64,
    seq: u64,
    bytes: u64,
}

/// Removes an episode from the index. Returns `None` if it is not there.
pub(in crate::store::sqlite) fn begin(
    connection: &mut rusqlite::Connection,
    episode: EpisodeId,
) -> Result<Option<Freed>, StoreError> {
    let sqlite = |error: rusqlite::Error| store_error(&error);
    let transaction = immediate(connection).map_err(sqlite)?;
    let Some(row) = index::row(&transaction, episode)? else {
        return Ok(None);
    };
    let remains = Remains {
        owner: row.episode.header.owner.clone(),
        place: row.last,
        seq: row.episode.head,
        bytes: row.bytes.saturating_sub(EPISODE_SIZE),
    };
    save(&transaction, episode, &remains).map_err(sqlite)?;
    imports::remove_receipts(&transaction, episode).map_err(sqlite)?;
    index::remove(&transaction, &row)?;
    transaction.commit().map_err(sqlite)?;
    Ok(Some(Freed {
        bytes: row.bytes - remains.bytes,
        owner: remains.owner,
    }))
}

/// Removes some records of an episode that is no longer in the index.
pub(in crate::store::sqlite) fn step(
    connection: &mut rusqlite::Connection,
    episode: EpisodeId,
) -> Result<(Freed, Next), StoreError> {
    let mut step = || -> rusqlite::Result<(Freed, Next)> {
        let transaction = immediate(connection)?;
        let Some(mut remains) = saved(&transaction, episode)? else {
            let nothing = Freed {
                owner: None,
                bytes: 0,
            };
            return Ok((nothing, Next::Done));
        };
        let past = forks::past(&transaction, episode)?;
        let bytes = remains.bytes;
        let next = match remove_records(&transaction, episode, past.as_ref(), &mut remains)? {
            Progress::Finished => {
                remains.bytes = 0;
                delete(&transaction, episode)?;
                forks::remove(&transaction, episode)?;
                past.map_or(Next::Done, |past| Next::Parent(past.parent))
            }
            Progress::Unfinished => {
                save(&transaction, episode, &remains)?;
                Next::More
            }
            Progress::Retained => {
                save(&transaction, episode, &remains)?;
                Next::Done
            }
        };
        transaction.commit()?;
        let freed = Freed {
            bytes: bytes.saturating_sub(remains.bytes),
            owner: remains.owner,
        };
        Ok((freed, next))
    };
    step().map_err(|error| store_error(&error))
}

/// How far a step came.
enum Progress {
    /// The first record is removed.
    Finished,
    /// There are more.
    Unfinished,
    /// A fork refers to the others.
    Retained,
}

/// Removes records, from the last one on. A damaged episode is removed as far as
/// its records can be found.
fn remove_records(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    past: Option<&forks::SharedPast>,
    remains: &mut Remains,
) -> rusqlite::Result<Progress> {
    let last_shared = forks::last_shared(transaction, episode)?;
    let (mut records, mut freed) = (0, 0);
    loop {
        if let Some(past) = past
            && remains.seq > 0
            && remains.seq <= past.upto
        {
            // The records before are the parent's, except for the first.
            (remains.place, remains.seq) = (past.first, 0);
        }
        if last_shared.is_some_and(|last| remains.seq <= last) {
            return Ok(Progress::Retained);
        }
        if records == MAX_RECORDS || freed >= MAX_BYTES {
            return Ok(Progress::Unfinished);
        }
        let Some((before, length)) = records::remove(transaction, episode, remains.place)? else {
            return Ok(Progress::Finished);
        };
        let size = record_size(length);
        records += 1;
        freed += size;
        remains.bytes = remains.bytes.saturating_sub(size);
        let Some(seq) = remains.seq.checked_sub(1) else {
            return Ok(Progress::Finished);
        };
        (remains.place, remains.seq) = (before, seq);
    }
}

/// Returns the episodes whose purge can continue.
pub(in crate::store::sqlite) fn begun(
    connection: &mut rusqlite::Connection,
) -> Result<Vec<EpisodeId>, StoreError> {
    let read = || -> rusqlite::Result<Vec<[u8; 16]>> {
        let mut statement = connection.prepare(
            "SELECT episode FROM remains WHERE seq > \
             ifnull((SELECT max(upto) FROM forks WHERE parent = remains.episode), -1)",
        )?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let ids = read().map_err(|error| store_error(&error))?;
    Ok(ids.into_iter().map(EpisodeId::from_bytes).collect())
}

/// Whether records of a purged episode remain.
pub(in crate::store::sqlite) fn remains(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached("SELECT 1 FROM remains WHERE episode = ?1")?;
    statement.exists([episode.as_bytes()])
}

fn save(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    remains: &Remains,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO remains (episode, owner, place, seq, bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (episode) DO UPDATE SET \
         place = excluded.place, seq = excluded.seq, bytes = excluded.bytes",
    )?;
    statement.execute((
        episode.as_bytes(),
        &remains.owner,
        remains.place,
        remains.seq.cast_signed(),
        remains.bytes.cast_signed(),
    ))?;
    Ok(())
}

fn saved(transaction: &Transaction<'_>, episode: EpisodeId) -> rusqlite::Result<Option<Remains>> {
    let mut statement = transaction
        .prepare_cached("SELECT owner, place, seq, bytes FROM remains WHERE episode = ?1")?;
    let found = statement.query_row([episode.as_bytes()], |row| {
        Ok(Remains {
            owner: row.get(0)?,
            place: row.get(1)?,
            seq: row.get::<_, i64>(2)?.cast_unsigned(),
            bytes: row.get::<_, i64>(3)?.cast_unsigned(),
        })
    });
    found.optional()
}

fn delete(transaction: &Transaction<'_>, episode: EpisodeId) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("DELETE FROM remains WHERE episode = ?1")?;
    statement.execute([episode.as_bytes()])?;
    Ok(())
}
