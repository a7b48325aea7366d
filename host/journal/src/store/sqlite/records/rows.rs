//! Records of an episode: each has the row id of the one before it, and the index
//! has that of the last one.
//!
//! The first record of a fork is its own, and those that it shares are its
//! parent's. The links of shared records are computed for the fork, since its
//! chain begins with its own id.

use rusqlite::{OptionalExtension as _, Transaction};

use super::pieces::{self, Pieces};
use crate::record::{ChainLink, EpisodeId};
use crate::store::api::{AppendEntry, StoreError, StoredRecord};
use crate::store::record_map::{RecordMap, RecordRange};
use crate::store::sqlite::error::store_error;
use crate::store::sqlite::index::IndexRow;
use crate::store::sqlite::past::forks::{self, SharedPast};

/// Reads the records of an episode from this slot on, in order.
pub(in crate::store::sqlite) fn read_from(
    transaction: &Transaction<'_>,
    row: &IndexRow,
    from: u64,
) -> Result<Vec<StoredRecord>, StoreError> {
    let past = shared_past(transaction, row)?;
    // Links of shared records follow from the first record.
    let first = match &past {
        Some(past) if from <= past.upto => 0,
        _ => from,
    };
    let mut records = Vec::new();
    let mut at = Some((row.last, row.episode.head));
    while let Some((place, seq)) = at.filter(|(_, seq)| *seq >= first) {
        let (place, of) = owner_of(row, past.as_ref(), place, seq);
        let found = record(transaction, row.episode.id, of, place, seq)?;
        at = seq.checked_sub(1).map(|seq| (found.before, seq));
        records.push(found.stored);
    }
    records.reverse();
    if let Some(past) = past {
        link_shared(&mut records, past.upto);
    }
    let skipped = usize::try_from(from - first).unwrap_or(usize::MAX);
    records.drain(..skipped.min(records.len()));
    Ok(records)
}

/// Finds the records of an episode. Of each row only the row id of the one before
/// is read.
pub(in crate::store::sqlite) fn map(
    transaction: &Transaction<'_>,
    row: &IndexRow,
) -> Result<RecordMap, StoreError> {
    let past = shared_past(transaction, row)?;
    let episode = row.episode.id;
    let mut places = Vec::new();
    let (mut place, mut seq) = (row.last, row.episode.head);
    loop {
        places.push(owner_of(row, past.as_ref(), place, seq).0);
        let Some(earlier) = seq.checked_sub(1) else {
            break;
        };
        let found = before(transaction, place, seq).map_err(|error| store_error(&error))?;
        place = found.ok_or_else(|| missing(episode, seq))?;
        seq = earlier;
    }
    places.reverse();
    Ok(RecordMap {
        index: row.episode.clone(),
        places,
        shared_until: past.map_or(0, |past| past.upto),
    })
}

/// Reads some records of a map, in order: at least one, if there is any.
pub(in crate::store::sqlite) fn read_range(
    transaction: &Transaction<'_>,
    map: &RecordMap,
    range: RecordRange,
) -> Result<Vec<StoredRecord>, StoreError> {
    let mut tip = range.tip;
    let (mut records, mut bytes) = (Vec::new(), 0);
    let mut seq = range.from;
    while bytes < range.bytes
        && let Some(place) = place(map, seq)
    {
        let stored = mapped(transaction, map, place, seq, tip)?;
        tip = stored.link;
        bytes += stored.bytes.len();
        records.push(stored);
        seq += 1;
    }
    Ok(records)
}

/// Passes the records of a map to `visit` in order, until it returns `false`. One
/// record is in memory at a time.
pub(in crate::store::sqlite) fn scan(
    transaction: &Transaction<'_>,
    map: &RecordMap,
    visit: &mut dyn FnMut(StoredRecord) -> bool,
) -> Result<(), StoreError> {
    let mut tip = ChainLink::initial(map.index.id);
    for (seq, place) in (0..).zip(&map.places) {
        let stored = mapped(transaction, map, *place, seq, tip)?;
        tip = stored.link;
        if !visit(stored) {
            break;
        }
    }
    Ok(())
}

/// Returns the link of a record of a map. `None` for a shared one, whose link
/// follows from the first record.
pub(in crate::store::sqlite) fn link(
    transaction: &Transaction<'_>,
    map: &RecordMap,
    seq: u64,
) -> Result<Option<ChainLink>, StoreError> {
    let Some(place) = place(map, seq).filter(|_| !is_shared(map, seq)) else {
        return Ok(None);
    };
    let read = || -> rusqlite::Result<Option<[u8; 32]>> {
        let mut statement = transaction.prepare_cached(
            "SELECT link FROM records WHERE place = ?1 AND seq = ?2 AND episode = ?3",
        )?;
        let parameters = (place, seq.cast_signed(), map.index.id.as_bytes());
        statement.query_row(parameters, |row| row.get(0)).optional()
    };
    let link = read().map_err(|error| store_error(&error))?;
    let link = link.ok_or_else(|| missing(map.index.id, seq))?;
    Ok(Some(ChainLink::from_bytes(link)))
}

/// Reads a record of a map; `tip` is the link of the one before.
fn mapped(
    transaction: &Transaction<'_>,
    map: &RecordMap,
    place: i64,
    seq: u64,
    tip: ChainLink,
) -> Result<StoredRecord, StoreError> {
    let shared = is_shared(map, seq);
    let episode = map.index.id;
    let of = (!shared).then_some(episode);
    let mut stored = record(transaction, episode, of, place, seq)?.stored;
    if shared {
        // The links of shared records follow from the first record.
        stored.link = tip.extend(seq, &stored.bytes);
    }
    Ok(stored)
}

fn place(map: &RecordMap, seq: u64) -> Option<i64> {
    let at = usize::try_from(seq).ok()?;
    map.places.get(at).copied()
}

fn is_shared(map: &RecordMap, seq: u64) -> bool {
    seq > 0 && seq <= map.shared_until
}

/// Returns the past that an episode shares; `None` if it is no fork.
fn shared_past(
    transaction: &Transaction<'_>,
    row: &IndexRow,
) -> Result<Option<SharedPast>, StoreError> {
    forks::past(transaction, row.episode.id).map_err(|error| store_error(&error))
}

/// Returns the row id of the record in a slot, and the episode that must hold
/// it; `None` for a shared record, which an ancestor holds.
fn owner_of(
    row: &IndexRow,
    past: Option<&SharedPast>,
    place: i64,
    seq: u64,
) -> (i64, Option<EpisodeId>) {
    match past {
        Some(past) if seq == 0 => (past.first, Some(row.episode.id)),
        Some(past) if seq <= past.upto => (place, None),
        _ => (place, Some(row.episode.id)),
    }
}

/// Computes the links of shared records. `records` begins with slot 0, or after
/// the shared ones.
fn link_shared(records: &mut [StoredRecord], upto: u64) {
    let mut tip = None;
    for record in records.iter_mut().take_while(|record| record.seq <= upto) {
        tip = Some(match tip {
            None => record.link,
            Some(tip) => ChainLink::extend(&tip, record.seq, &record.bytes),
        });
        record.link = tip.unwrap_or(record.link);
    }
}

fn before(transaction: &Transaction<'_>, place: i64, seq: u64) -> rusqlite::Result<Option<i64>> {
    let mut statement =
        transaction.prepare_cached("SELECT before FROM records WHERE place = ?1 AND seq = ?2")?;
    let found = statement.query_row((place, seq.cast_signed()), |row| row.get(0));
    found.optional()
}

/// Reads the bytes of a record that an ancestor of `episode` may hold.
pub(in crate::store::sqlite) fn shared_bytes(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    place: i64,
    seq: u64,
) -> Result<Vec<u8>, StoreError> {
    let found = record(transaction, episode, None, place, seq)?;
    Ok(found.stored.bytes)
}

/// Inserts a record after the one with the row id `before`, with its pieces if it
/// was staged. Returns its row id.
pub(in crate::store::sqlite) fn insert(
    transaction: &Transaction<'_>,
    entry: &AppendEntry,
    before: i64,
    staged: Option<&Pieces>,
) -> rusqlite::Result<i64> {
    let list = staged.map(Pieces::to_list);
    if let Some(staged) = staged {
        staged.unstage(transaction)?;
    }
    let mut statement = transaction.prepare_cached(
        "INSERT INTO records (episode, seq, before, link, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    statement.insert((
        entry.episode.as_bytes(),
        entry.seq.cast_signed(),
        before,
        entry.link.as_bytes(),
        list.as_ref().unwrap_or(&entry.bytes),
    ))
}

/// Removes a record of this episode. Returns the row id of the one before it and
/// its bytes; `None` if it is not there.
pub(in crate::store::sqlite) fn remove(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    place: i64,
) -> rusqlite::Result<Option<(i64, usize)>> {
    // The bytes of a large record need not be read.
    let mut statement = transaction.prepare_cached(
        "SELECT before, length(bytes), iif(length(bytes) <= ?3, bytes, NULL) \
         FROM records WHERE place = ?1 AND episode = ?2",
    )?;
    let found: Option<(i64, i64, Option<Vec<u8>>)> = statement
        .query_row((place, episode.as_bytes(), pieces::MAX_LIST), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((before, length, bytes)) = found else {
        return Ok(None);
    };
    let mut length = usize::try_from(length).unwrap_or_default();
    if let Some(pieces) = bytes.and_then(|bytes| Pieces::from_list(&bytes)) {
        pieces.remove(transaction)?;
        length = pieces.bytes();
    }
    let mut statement = transaction.prepare_cached("DELETE FROM records WHERE place = ?1")?;
    statement.execute([place])?;
    Ok(Some((before, length)))
}

/// Reads the record in this slot, which must not be after the last one.
pub(in crate::store::sqlite) fn read_one(
    transaction: &Transaction<'_>,
    row: &IndexRow,
    wanted: u64,
) -> Result<StoredRecord, StoreError> {
    if let Some(past) = shared_past(transaction, row)?
        && wanted <= past.upto
    {
        let records = read_from(transaction, row, wanted)?;
        let first = records.into_iter().next();
        return first.ok_or_else(|| missing(row.episode.id, wanted));
    }
    let (mut place, mut seq) = (row.last, row.episode.head);
    loop {
        let found = record(
            transaction,
            row.episode.id,
            Some(row.episode.id),
            place,
            seq,
        )?;
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

fn missing(episode: EpisodeId, seq: u64) -> StoreError {
    StoreError::Damaged {
        episode: Some(episode),
        seq: Some(seq),
        what: "it is missing".to_owned(),
    }
}

/// Reads the record with this row id and checks that it is the expected one of an
/// episode, and that `of` holds it if that is known.
fn record(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    of: Option<EpisodeId>,
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
        let found: Option<([u8; 16], i64, Found)> = statement
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
            .optional()?;
        let Some((holder, at, mut found)) = found else {
            return Ok(None);
        };
        if let Some(pieces) = Pieces::from_list(&found.stored.bytes) {
            let Some(bytes) = pieces.read(transaction)? else {
                return Ok(None);
            };
            found.stored.bytes = bytes;
        }
        Ok(Some((holder, at, found)))
    };
    match read() {
        Ok(Some((holder, at, found)))
            if of.is_none_or(|of| holder == *of.as_bytes()) && at == seq.cast_signed() =>
        {
            Ok(found)
        }
        Ok(Some(_)) => Err(damaged("another stands in its place".to_owned())),
        Ok(None) => Err(missing(episode, seq)),
        Err(error) => Err(match store_error(&error) {
            StoreError::Damaged { what, .. } => damaged(what),
            other => other,
        }),
    }
}
