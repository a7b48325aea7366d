//! Purging an episode in steps.
//!
//! The first transaction removes its row of the index: from then on the episode
//! does not exist, and its session id is free. The same transaction saves where
//! its last record is. Small transactions then remove the records, so that
//! appends do not wait. A host that is killed in between resumes the purge when
//! it opens the journal again.

use rusqlite::{OptionalExtension as _, Transaction};

use super::error::store_error;
use super::open::immediate;
use super::{imports, index};
use crate::record::EpisodeId;
use crate::store::api::StoreError;

/// Records of one transaction.
const MAX_RECORDS: usize = 200;

/// The prefix of the names of saved positions.
const PREFIX: &str = "remains ";

/// Removes an episode from the index. Returns false if it is not there.
pub(super) fn begin(
    connection: &mut rusqlite::Connection,
    episode: EpisodeId,
) -> Result<bool, StoreError> {
    let sqlite = |error: rusqlite::Error| store_error(&error);
    let transaction = immediate(connection).map_err(sqlite)?;
    let Some(row) = index::row(&transaction, episode)? else {
        return Ok(false);
    };
    let last = Position {
        place: row.last,
        seq: row.episode.head,
    };
    save(&transaction, episode, Some(last)).map_err(sqlite)?;
    imports::remove_receipts(&transaction, episode).map_err(sqlite)?;
    index::remove(&transaction, &row)?;
    transaction.commit().map_err(sqlite)?;
    Ok(true)
}

/// Removes some records of an episode that is no longer in the index. Returns
/// whether there are more.
pub(super) fn step(
    connection: &mut rusqlite::Connection,
    episode: EpisodeId,
) -> Result<bool, StoreError> {
    let mut step = || -> rusqlite::Result<bool> {
        let transaction = immediate(connection)?;
        let mut last = saved(&transaction, episode)?;
        for _ in 0..MAX_RECORDS {
            let Some(position) = last else {
                break;
            };
            last = remove(&transaction, episode, position)?;
        }
        save(&transaction, episode, last)?;
        transaction.commit()?;
        Ok(last.is_some())
    };
    step().map_err(|error| store_error(&error))
}

/// Returns the episodes whose purge has begun.
pub(super) fn begun(connection: &mut rusqlite::Connection) -> Result<Vec<EpisodeId>, StoreError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement =
            connection.prepare("SELECT name FROM meta WHERE name GLOB ?1 || '*'")?;
        statement.query_map([PREFIX], |row| row.get(0))?.collect()
    };
    let names = read().map_err(|error| store_error(&error))?;
    let ids = names.iter().filter_map(|name| name.strip_prefix(PREFIX));
    Ok(ids.filter_map(EpisodeId::parse).collect())
}

/// The position of an episode's last remaining record.
#[derive(Clone, Copy)]
struct Position {
    place: i64,
    seq: u64,
}

/// Removes a record and returns the one before it. A damaged episode is removed
/// as far as its records can be found.
fn remove(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    Position { place, seq }: Position,
) -> rusqlite::Result<Option<Position>> {
    let mut statement = transaction
        .prepare_cached("DELETE FROM records WHERE place = ?1 AND episode = ?2 RETURNING before")?;
    let before: Option<i64> = statement
        .query_row((place, episode.as_bytes()), |row| row.get(0))
        .optional()?;
    let before = before.zip(seq.checked_sub(1));
    Ok(before.map(|(place, seq)| Position { place, seq }))
}

fn name(episode: EpisodeId) -> String {
    format!("{PREFIX}{episode}")
}

/// Saves the last remaining record of an episode.
fn save(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    last: Option<Position>,
) -> rusqlite::Result<()> {
    let name = name(episode);
    let Some(Position { place, seq }) = last else {
        transaction.execute("DELETE FROM meta WHERE name = ?1", [name])?;
        return Ok(());
    };
    let mut value = [0; 16];
    let (first, second) = value.split_at_mut(8);
    first.copy_from_slice(&place.to_be_bytes());
    second.copy_from_slice(&seq.to_be_bytes());
    let mut statement = transaction.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    statement.execute((name, value))?;
    Ok(())
}

/// Reads the saved position.
fn saved(transaction: &Transaction<'_>, episode: EpisodeId) -> rusqlite::Result<Option<Position>> {
    let value = index::meta(transaction, &name(episode))?;
    Ok(value.and_then(|value| {
        let (place, seq) = value.split_first_chunk::<8>()?;
        Some(Position {
            place: i64::from_be_bytes(*place),
            seq: u64::from_be_bytes(*seq.first_chunk::<8>()?),
        })
    }))
}
