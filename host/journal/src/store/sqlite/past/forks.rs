//! The table of references: which records each fork shares with its parent.
//!
//! A reference names the episode that holds the last shared record. It stays as
//! long as a record of the fork does, since forks of the fork may need both.

use rusqlite::{OptionalExtension as _, Transaction};

use crate::record::EpisodeId;

/// The past that a fork shares with its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::sqlite) struct SharedPast {
    /// The episode that holds the last shared record.
    pub(in crate::store::sqlite) parent: EpisodeId,
    /// The last shared slot; the first is 1.
    pub(in crate::store::sqlite) upto: u64,
    /// The row id of the fork's own first record.
    pub(in crate::store::sqlite) first: i64,
}

/// Returns the past that an episode shares; `None` if it is no fork.
pub(in crate::store::sqlite) fn past(
    transaction: &Transaction<'_>,
    child: EpisodeId,
) -> rusqlite::Result<Option<SharedPast>> {
    let mut statement =
        transaction.prepare_cached("SELECT parent, upto, first FROM forks WHERE child = ?1")?;
    let found = statement.query_row([child.as_bytes()], |row| {
        Ok(SharedPast {
            parent: EpisodeId::from_bytes(row.get(0)?),
            upto: row.get::<_, i64>(1)?.cast_unsigned(),
            first: row.get(2)?,
        })
    });
    found.optional()
}

/// Inserts a reference.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    child: EpisodeId,
    past: &SharedPast,
) -> rusqlite::Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT INTO forks (child, parent, upto, first) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute((
        child.as_bytes(),
        past.parent.as_bytes(),
        past.upto.cast_signed(),
        past.first,
    ))?;
    Ok(())
}

/// Removes the reference of a fork.
pub(super) fn remove(transaction: &Transaction<'_>, child: EpisodeId) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("DELETE FROM forks WHERE child = ?1")?;
    statement.execute([child.as_bytes()])?;
    Ok(())
}

/// Returns the last slot of an episode that a fork refers to.
pub(super) fn last_shared(
    transaction: &Transaction<'_>,
    parent: EpisodeId,
) -> rusqlite::Result<Option<u64>> {
    let mut statement =
        transaction.prepare_cached("SELECT max(upto) FROM forks WHERE parent = ?1")?;
    let last: Option<i64> = statement.query_row([parent.as_bytes()], |row| row.get(0))?;
    Ok(last.map(i64::cast_unsigned))
}
