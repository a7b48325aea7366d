//! The receipts that came with imported episodes.

use rusqlite::Transaction;

use crate::record::EpisodeId;
use crate::store::import_origin::ImportedReceipt;

/// Stores the receipts of an episode, in place of earlier ones.
pub(super) fn set_receipts(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
    receipts: &[ImportedReceipt],
) -> rusqlite::Result<()> {
    remove_receipts(transaction, episode)?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO receipts (episode, number, key, text) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (number, receipt) in (0_i64..).zip(receipts) {
        statement.execute((episode.as_bytes(), number, &receipt.key, &receipt.text))?;
    }
    Ok(())
}

/// Reads the receipts of an episode.
pub(super) fn receipts(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
) -> rusqlite::Result<Vec<ImportedReceipt>> {
    let mut statement = transaction
        .prepare_cached("SELECT key, text FROM receipts WHERE episode = ?1 ORDER BY number")?;
    let receipts = statement.query_map([episode.as_bytes()], |row| {
        Ok(ImportedReceipt {
            key: row.get(0)?,
            text: row.get(1)?,
        })
    })?;
    receipts.collect()
}

/// Reads the keys that signed the receipts of an episode.
pub(super) fn receipt_keys(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = transaction
        .prepare_cached("SELECT key FROM receipts WHERE episode = ?1 ORDER BY number")?;
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
