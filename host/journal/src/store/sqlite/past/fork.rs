//! Forking: beginning episodes that share the records of another.
//!
//! The chain of each fork continues over the shared records, so its history is
//! verified like any other. The shared records are read once for all forks,
//! before the transaction, so that appends do not wait for it.

use rusqlite::Transaction;

use super::forks::{self, SharedPast};
use crate::record::{ChainLink, EpisodeId};
use crate::store::api::{AppendEntry, AppendResult, IndexChange, StoreError};
use crate::store::indexed_episode::EpisodeHeader;
use crate::store::sqlite::error::store_error;
use crate::store::sqlite::index::{self, IndexRow};
use crate::store::sqlite::open::immediate;
use crate::store::sqlite::records;
use crate::store::usage::{EPISODE_SIZE, record_size};

/// What the forks of a parent share.
#[derive(Debug)]
pub(in crate::store::sqlite) struct ForkPlan {
    parent: EpisodeId,
    /// The episode that holds the last shared record.
    source: EpisodeId,
    upto: u64,
    /// The row id of the last shared record.
    place: i64,
    /// The last link of each fork.
    tips: Vec<ChainLink>,
}

/// Reads the shared records. `None` if the parent does not have them.
pub(in crate::store::sqlite) fn plan(
    transaction: &Transaction<'_>,
    parent: EpisodeId,
    upto: u64,
    children: &[AppendEntry],
) -> Result<Option<ForkPlan>, StoreError> {
    let row = index::row(transaction, parent)?;
    let Some(row) = row.filter(|row| upto > 0 && upto <= row.episode.head) else {
        return Ok(None);
    };
    let map = records::map(transaction, &row)?;
    let shared = map.places.iter().skip(1);
    let places: Vec<i64> = (1..=upto).zip(shared).map(|(_, place)| *place).collect();
    let mut tips: Vec<ChainLink> = children.iter().map(|child| child.link).collect();
    for (seq, place) in (1..).zip(&places) {
        let bytes = records::shared_bytes(transaction, parent, *place, seq)?;
        for tip in &mut tips {
            *tip = tip.extend(seq, &bytes);
        }
    }
    let Some(place) = places.last().copied() else {
        return Ok(None);
    };
    Ok(Some(ForkPlan {
        parent,
        source: source(transaction, parent, upto).map_err(|error| store_error(&error))?,
        upto,
        place,
        tips,
    }))
}

/// Returns the episode that holds the record in this slot.
fn source(
    transaction: &Transaction<'_>,
    mut episode: EpisodeId,
    slot: u64,
) -> rusqlite::Result<EpisodeId> {
    while let Some(past) = forks::past(transaction, episode)? {
        if slot > past.upto {
            break;
        }
        episode = past.parent;
    }
    Ok(episode)
}

/// Begins the forks. Returns the results and the number of commits; `None` if the parent was purged since the plan.
pub(in crate::store::sqlite) fn begin(
    connection: &mut rusqlite::Connection,
    plan: &ForkPlan,
    children: &[AppendEntry],
) -> Result<Option<(Vec<AppendResult>, u64)>, StoreError> {
    let sqlite = |error: rusqlite::Error| store_error(&error);
    let transaction = immediate(connection).map_err(sqlite)?;
    if index::row(&transaction, plan.parent)?.is_none() {
        return Ok(None);
    }
    let mut checksum = index::checksum(&transaction)?;
    let mut results = Vec::with_capacity(children.len());
    for (child, tip) in children.iter().zip(&plan.tips) {
        let IndexChange::Begin(header) = &child.change else {
            results.push(AppendResult::Gap);
            continue;
        };
        let begun = insert(&transaction, plan, child, header, *tip).map_err(sqlite)?;
        results.push(match begun {
            Some(hash) => {
                checksum.toggle(&hash);
                AppendResult::Appended
            }
            None => AppendResult::SessionExists,
        });
    }
    checksum.commits += 1;
    index::set_checksum(&transaction, &checksum).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)?;
    Ok(Some((results, checksum.commits)))
}

/// Inserts one fork, and returns the hash of its row in the index.
fn insert(
    transaction: &Transaction<'_>,
    plan: &ForkPlan,
    child: &AppendEntry,
    header: &EpisodeHeader,
    tip: ChainLink,
) -> rusqlite::Result<Option<[u8; 32]>> {
    if index::has_live(transaction, header)? {
        return Ok(None);
    }
    let first = records::insert(transaction, child, 0, None)?;
    let mut row = IndexRow::new(child, header, plan.place);
    row.episode.head = plan.upto;
    row.episode.tip = tip;
    let hash = row.hash();
    index::insert(transaction, &row, &hash)?;
    let past = SharedPast {
        parent: plan.source,
        upto: plan.upto,
        first,
    };
    forks::insert(transaction, child.episode, &past)?;
    Ok(Some(hash))
}

/// Returns what a fork takes on disk when it begins.
pub(in crate::store::sqlite) fn size(child: &AppendEntry) -> u64 {
    EPISODE_SIZE + record_size(child.bytes.len())
}
