//! Pieces of records that are too large for one transaction.
//!
//! The row of such a record has the row ids of its pieces in place of its bytes.
//! The pieces are written before, each in its own transaction, and are noted as
//! staged until the record is. A host that is killed in between removes what is
//! staged when it opens the journal again.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use crate::record::EpisodeId;

/// The first byte of a row that has row ids in place of a record, which begins
/// with the version of its format.
const MARK: u8 = 0;

/// Bytes of a row above which it is no list of row ids: those of the largest
/// record are less.
pub(super) const MAX_LIST: i64 = 128 << 10;

/// The pieces that are staged, by record.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct StagedPieces(HashMap<(EpisodeId, u64), Pieces>);

/// The pieces of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Pieces {
    /// The row ids, in order.
    places: Vec<i64>,
    /// The bytes of all.
    bytes: usize,
}

impl StagedPieces {
    /// Adds a piece. A piece with offset 0 replaces those before.
    pub(in crate::store::sqlite) fn add(
        &mut self,
        episode: EpisodeId,
        seq: u64,
        place: i64,
        bytes: usize,
    ) {
        let pieces = self.0.entry((episode, seq)).or_default();
        pieces.places.push(place);
        pieces.bytes += bytes;
    }

    /// Takes the pieces of a record.
    pub(in crate::store::sqlite) fn take(
        &mut self,
        episode: EpisodeId,
        seq: u64,
    ) -> Option<Pieces> {
        self.0.remove(&(episode, seq))
    }

    /// Returns the pieces of a record of this many bytes, if all are staged.
    pub(in crate::store::sqlite) fn complete(
        &self,
        episode: EpisodeId,
        seq: u64,
        bytes: usize,
    ) -> Option<&Pieces> {
        let pieces = self.0.get(&(episode, seq));
        pieces.filter(|pieces| pieces.bytes == bytes)
    }

    /// Returns the bytes of a record that are staged.
    pub(in crate::store::sqlite) fn staged(&self, episode: EpisodeId, seq: u64) -> usize {
        self.0.get(&(episode, seq)).map_or(0, |pieces| pieces.bytes)
    }
}

impl Pieces {
    /// Returns what the row of the record has in place of its bytes.
    pub(super) fn to_list(&self) -> Vec<u8> {
        let mut list = vec![MARK];
        list.extend_from_slice(&(self.bytes as u64).to_be_bytes());
        for place in &self.places {
            list.extend_from_slice(&place.to_be_bytes());
        }
        list
    }

    /// Reads the list of a row; `None` if the row has the bytes of a record.
    pub(super) fn from_list(row: &[u8]) -> Option<Pieces> {
        let rest = row.strip_prefix(&[MARK])?;
        let (bytes, list) = rest.split_first_chunk::<8>()?;
        let (places, rest) = list.as_chunks::<8>();
        if !rest.is_empty() {
            return None;
        }
        Some(Pieces {
            places: places.iter().copied().map(i64::from_be_bytes).collect(),
            bytes: usize::try_from(u64::from_be_bytes(*bytes)).ok()?,
        })
    }

    /// Returns the bytes of the record.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads the pieces; `None` if one is missing.
    pub(super) fn read(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
        let mut statement =
            transaction.prepare_cached("SELECT bytes FROM pieces WHERE place = ?1")?;
        let mut bytes = Vec::new();
        for place in &self.places {
            let piece: Option<Vec<u8>> =
                statement.query_row([place], |row| row.get(0)).optional()?;
            let Some(piece) = piece else {
                return Ok(None);
            };
            bytes.extend_from_slice(&piece);
        }
        Ok((bytes.len() == self.bytes).then_some(bytes))
    }

    /// Removes the pieces.
    pub(super) fn remove(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached("DELETE FROM pieces WHERE place = ?1")?;
        for place in &self.places {
            statement.execute([place])?;
        }
        Ok(())
    }

    /// Notes that the record is written.
    pub(super) fn unstage(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached("DELETE FROM staged WHERE place = ?1")?;
        for place in &self.places {
            statement.execute([place])?;
        }
        Ok(())
    }
}

/// Writes a piece and notes it as staged. Returns its row id.
pub(in crate::store::sqlite) fn stage(
    transaction: &Transaction<'_>,
    bytes: &[u8],
) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached("INSERT INTO pieces (bytes) VALUES (?1)")?;
    let place = statement.insert([bytes])?;
    let mut statement = transaction.prepare_cached("INSERT INTO staged (place) VALUES (?1)")?;
    statement.execute([place])?;
    Ok(place)
}

/// Removes pieces whose record is not written.
pub(in crate::store::sqlite) fn discard(
    transaction: &Transaction<'_>,
    pieces: &Pieces,
) -> rusqlite::Result<()> {
    pieces.remove(transaction)?;
    pieces.unstage(transaction)
}

/// Removes all pieces that a killed host had staged.
pub(in crate::store::sqlite) fn discard_all(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let staged = transaction.execute(
        "DELETE FROM pieces WHERE place IN (SELECT place FROM staged)",
        [],
    )?;
    if staged > 0 {
        transaction.execute("DELETE FROM staged", [])?;
        transaction.commit()?;
    }
    Ok(())
}
