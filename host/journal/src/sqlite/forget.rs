//! Removing an episode a little at a time.
//!
//! Its line in the index goes first: from then on there is no such episode, and
//! its name is free. Where its records lie is noted in the same transaction, and
//! they follow in small ones, so that nobody who appends waits for long. A host
//! that is killed in between goes on when it opens the journal again.

use rusqlite::{OptionalExtension as _, Transaction};

use super::{failure, immediate, index};
use crate::id::EpisodeId;
use crate::store::StoreError;

/// Records of one transaction.
const SLICE: usize = 200;

/// Stands before the episode in the name of a note.
const REMAINS: &str = "remains ";

/// Takes an episode out of the index; false if it is not there.
pub(super) fn begin(
    connection: &mut rusqlite::Connection,
    episode: EpisodeId,
) -> Result<bool, StoreError> {
    let sqlite = |error: rusqlite::Error| failure(&error);
    let transaction = immediate(connection).map_err(sqlite)?;
    let Some(line) = index::line(&transaction, episode)? else {
        return Ok(false);
    };
    let rest = Rest {
        place: line.last,
        seq: line.episode.head,
    };
    note(&transaction, episode, Some(rest)).map_err(sqlite)?;
    index::remove(&transaction, &line)?;
    transaction.commit().map_err(sqlite)?;
    Ok(true)
}

/// Removes some records of an episode that was taken out of the index; whether
/// there are more.
pub(super) fn go_on(
    connection: &mut rusqlite::Connection,
    episode: EpisodeId,
) -> Result<bool, StoreError> {
    let mut go_on = || -> rusqlite::Result<bool> {
        let transaction = immediate(connection)?;
        let mut rest = noted(&transaction, episode)?;
        for _ in 0..SLICE {
            let Some(at) = rest else {
                break;
            };
            rest = remove(&transaction, episode, at)?;
        }
        note(&transaction, episode, rest)?;
        transaction.commit()?;
        Ok(rest.is_some())
    };
    go_on().map_err(|error| failure(&error))
}

/// The episodes that were taken out of the index, and have records still.
pub(super) fn remains(connection: &mut rusqlite::Connection) -> Result<Vec<EpisodeId>, StoreError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement =
            connection.prepare("SELECT name FROM meta WHERE name GLOB ?1 || '*'")?;
        statement.query_map([REMAINS], |row| row.get(0))?.collect()
    };
    let names = read().map_err(|error| failure(&error))?;
    let ids = names.iter().filter_map(|name| name.strip_prefix(REMAINS));
    Ok(ids.filter_map(EpisodeId::parse).collect())
}

/// The last record that is left of an episode.
#[derive(Clone, Copy)]
struct Rest {
    place: i64,
    seq: u64,
}

/// Removes a record; gives the one before it. What is damaged is removed as far
/// as it can be found.
fn remove(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    Rest { place, seq }: Rest,
) -> rusqlite::Result<Option<Rest>> {
    let mut statement = transaction
        .prepare_cached("DELETE FROM records WHERE place = ?1 AND episode = ?2 RETURNING before")?;
    let before: Option<i64> = statement
        .query_row((place, episode.as_bytes()), |row| row.get(0))
        .optional()?;
    let before = before.zip(seq.checked_sub(1));
    Ok(before.map(|(place, seq)| Rest { place, seq }))
}

fn name(episode: EpisodeId) -> String {
    format!("{REMAINS}{episode}")
}

/// Notes what is left of an episode.
fn note(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    rest: Option<Rest>,
) -> rusqlite::Result<()> {
    let name = name(episode);
    let Some(Rest { place, seq }) = rest else {
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

/// What was noted.
fn noted(transaction: &Transaction<'_>, episode: EpisodeId) -> rusqlite::Result<Option<Rest>> {
    let value = index::meta(transaction, &name(episode))?;
    Ok(value.and_then(|value| {
        let (place, seq) = value.split_first_chunk::<8>()?;
        Some(Rest {
            place: i64::from_be_bytes(*place),
            seq: u64::from_be_bytes(*seq.first_chunk::<8>()?),
        })
    }))
}
