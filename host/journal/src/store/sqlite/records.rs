//! Reading records: backwards from the last one of an episode, since each has the
//! row id of the one before it.

use rusqlite::{OptionalExtension as _, Transaction};

use super::error::store_error;
use super::index::IndexRow;
use crate::record::{ChainLink, EpisodeId};
use crate::store::api::{StoreError, StoredRecord};

/// Reads the records of an episode from this slot on, in order.
pub(super) fn read_from(
    transaction: &Transaction<'_>,
    row: &IndexRow,
    from: u64,
) -> Result<Vec<StoredRecord>, StoreError> {
    let mut records = Vec::new();
    let mut at = Some((row.last, row.episode.head));
    while let Some((place, seq)) = at.filter(|(_, seq)| *seq >= from) {
        let found = record(transaction, row.episode.id, place, seq)?;
        at = seq.checked_sub(1).map(|seq| (found.before, seq));
        records.push(found.stored);
    }
    records.reverse();
    Ok(records)
}

/// Reads the record in this slot, which must not be after the last one.
pub(super) fn read_one(
    transaction: &Transaction<'_>,
    row: &IndexRow,
    wanted: u64,
) -> Result<StoredRecord, StoreError> {
    let (mut place, mut seq) = (row.last, row.episode.head);
    loop {
        let found = record(transaction, row.episode.id, place, seq)?;
        match seq.checked_sub(1) {
            Some(before) if seq > wanted => (place, seq) = (found.before, before),
            _ => return Ok(found.stored),
        }
    }
}

struct Found {
    stored: StoredRecord,
    before: i64,
}

/// Reads the record with this row id and checks that it is the expected one.
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
                    stored: StoredRecord {
                        seq,
                        link: ChainLink::from_bytes(row.get(3)?),
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
        Err(error) => Err(match store_error(&error) {
            StoreError::Damaged { what, .. } => damaged(what),
            other => other,
        }),
    }
}
