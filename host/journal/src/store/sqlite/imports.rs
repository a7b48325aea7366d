//! The receipts that came with imported episodes.

use rusqlite::Transaction;

use crate::record::EpisodeId;

/// Stores the receipts of an episode, in place of earlier ones.
pub(super) fn set_receipts(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    receipts: &[String],
) -> rusqlite::Result<()> {
    remove_receipts(transaction, episode)?;
    let mut statement = transaction
        .prepare_cached("INSERT INTO receipts (episode, number, text) VALUES (?1, ?2, ?3)")?;
    for (number, text) in (0_i64..).zip(receipts) {
        statement.execute((episode.as_bytes(), number, text))?;
    }
    Ok(())
}

/// Reads the receipts of an episode.
pub(super) fn receipts(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = transaction
        .prepare_cached("SELECT text FROM receipts WHERE episode = ?1 ORDER BY number")?;
    statement
        .query_map([episode.as_bytes()], |row| row.get(0))?
        .collect()
}

/// Removes the receipts of an episode.
pub(super) fn remove_receipts(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("DELETE FROM receipts WHERE episode = ?1")?;
    statement.execute([episode.as_bytes()])?;
    Ok(())
}
