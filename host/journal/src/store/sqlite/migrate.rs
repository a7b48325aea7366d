//! Migration of older journals: what statements cannot express.
//!
//! Journals without forks that share records note unfinished purges among the
//! other values. They get a table of their own.

use rusqlite::Transaction;

use crate::record::EpisodeId;

/// The prefix of the names of unfinished purges.
const PREFIX: &str = "remains ";

/// Moves the notes of unfinished purges into their own table. The index does not
/// know the owners any more, so nobody is charged for what remains.
pub(super) fn move_purges(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare("SELECT name, value FROM meta WHERE name GLOB ?1 || '*'")?;
    let notes: Vec<(String, Vec<u8>)> = statement
        .query_map([PREFIX], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (name, value) in notes {
        let episode = name.strip_prefix(PREFIX).and_then(EpisodeId::parse);
        if let (Some(episode), Some((place, seq))) = (episode, position(&value)) {
            transaction.execute(
                "INSERT INTO remains (episode, owner, place, seq, bytes) \
                 VALUES (?1, NULL, ?2, ?3, 0)",
                (episode.as_bytes(), place, seq),
            )?;
        }
        transaction.execute("DELETE FROM meta WHERE name = ?1", [name])?;
    }
    Ok(())
}

/// Reads the row id and the slot of the last record that remains.
fn position(value: &[u8]) -> Option<(i64, i64)> {
    let (place, seq) = value.split_first_chunk::<8>()?;
    let seq = seq.first_chunk::<8>()?;
    Some((i64::from_be_bytes(*place), i64::from_be_bytes(*seq)))
}
