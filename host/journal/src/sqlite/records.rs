//! Records as they are found: from the last of an episode backwards, since each
//! has the place of the one before it.

use rusqlite::{OptionalExtension as _, Transaction};

use super::failure;
use super::index::Line;
use crate::chain::Link;
use crate::id::EpisodeId;
use crate::store::{Row, StoreError};

/// The records of an episode from this slot on, in order.
pub(super) fn from(
    transaction: &Transaction<'_>,
    line: &Line,
    from: u64,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut at = Some((line.last, line.episode.head));
    while let Some((place, seq)) = at.filter(|(_, seq)| *seq >= from) {
        let found = record(transaction, line.episode.id, place, seq)?;
        at = seq.checked_sub(1).map(|seq| (found.before, seq));
        rows.push(found.row);
    }
    rows.reverse();
    Ok(rows)
}

/// The record in this slot, which is not behind the last one.
pub(super) fn walk(
    transaction: &Transaction<'_>,
    line: &Line,
    wanted: u64,
) -> Result<Row, StoreError> {
    let (mut place, mut seq) = (line.last, line.episode.head);
    loop {
        let found = record(transaction, line.episode.id, place, seq)?;
        match seq.checked_sub(1) {
            Some(before) if seq > wanted => (place, seq) = (found.before, before),
            _ => return Ok(found.row),
        }
    }
}

struct Found {
    row: Row,
    before: i64,
}

/// The record at this place, which has to be the one that is expected there.
fn record(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    place: i64,
    seq: u64,
) -> Result<Found, StoreError> {
    let damaged = |what: String| StoreError::Damaged {
        episode: Some(episode),
        seq: Some(seq),
        what,
    };
    let read = || -> rusqlite::Result<Option<([u8; 16], i64, Found)>> {
        let mut statement = transaction.prepare_cached(
            "SELECT episode, seq, before, link, bytes FROM records WHERE place = ?1",
        )?;
        statement
            .query_row([place], |row| {
                let found = Found {
                    row: Row {
                        seq,
                        link: Link::from_bytes(row.get(3)?),
                        bytes: row.get(4)?,
                    },
                    before: row.get(2)?,
                };
                Ok((row.get(0)?, row.get(1)?, found))
            })
            .optional()
    };
    match read() {
        Ok(Some((of, at, found))) if of == *episode.as_bytes() && at == seq.cast_signed() => {
            Ok(found)
        }
        Ok(Some(_)) => Err(damaged("another stands in its place".to_owned())),
        Ok(None) => Err(damaged("it is missing".to_owned())),
        Err(error) => Err(match failure(&error) {
            StoreError::Damaged { what, .. } => damaged(what),
            other => other,
        }),
    }
}
