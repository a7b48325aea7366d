//! Putting a batch of records into the database.
//!
//! Records go in one by one, and the lines of the index once at the end, each
//! with all that the batch did to it. What a line says is remembered from batch
//! to batch, so that the next record of an episode costs no look at the index;
//! a batch that finds that somebody else has written to the database begins
//! with no memory, and so does one after an error.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, Transaction};

use super::index::{self, Census, Line};
use super::{Failed, immediate, records};
use crate::id::EpisodeId;
use crate::store::{Change, Entry, Opening, Put, StoreError};

/// Lines that are remembered, about. One takes some 400 bytes.
const MOST: usize = 8192;

/// Lines of the index as the writer's last batch left them.
#[derive(Debug, Default)]
pub(super) struct Known {
    lines: HashMap<EpisodeId, Kept>,
    /// What the database said of itself then.
    version: Option<i64>,
}

#[derive(Debug)]
struct Kept {
    line: Line,
    /// Of the line as it stands in the database.
    hash: [u8; 32],
    changed: bool,
}

impl Known {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Known::default();
    }

    /// Goes on in a transaction: with no line that another connection may have
    /// changed.
    fn go_on(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached("PRAGMA data_version")?;
        let version = statement.query_row([], |row| row.get(0))?;
        if self.version != Some(version) || self.lines.len() > MOST {
            self.lines.clear();
            self.version = Some(version);
        }
        Ok(())
    }
}

/// Puts every entry where it may be, in one transaction. After an error
/// nothing of it is there, and what is known is not to be used.
pub(super) fn append(
    connection: &mut Connection,
    known: &mut Known,
    batch: &[Entry],
) -> Result<Vec<Put>, Failed> {
    let transaction = immediate(connection)?;
    known.go_on(&transaction)?;
    let before = index::census(&transaction)?;
    let (done, census) = {
        let mut putting = Putting {
            insert: transaction.prepare_cached(
                "INSERT INTO records (episode, seq, before, link, bytes) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            transaction: &transaction,
            known: &mut known.lines,
            changed: Vec::new(),
            census: before,
        };
        let mut done = Vec::with_capacity(batch.len());
        for entry in batch {
            done.push(putting.put(entry)?);
        }
        (done, putting.finish()?)
    };
    if census != before {
        index::set_census(&transaction, &census)?;
        transaction.commit()?;
    }
    Ok(done)
}

struct Putting<'t> {
    transaction: &'t Transaction<'t>,
    insert: CachedStatement<'t>,
    known: &'t mut HashMap<EpisodeId, Kept>,
    /// Whose lines are to be written at the end.
    changed: Vec<EpisodeId>,
    census: Census,
}

impl Putting<'_> {
    fn put(&mut self, entry: &Entry) -> Result<Put, Failed> {
        let Some(line) = self.line(entry.episode)? else {
            let Change::Begin(opening) = &entry.change else {
                return Ok(Put::Gap);
            };
            return self.begin(entry, opening);
        };
        let head = line.episode.head;
        if entry.seq <= head {
            let line = line.clone();
            let there = records::walk(self.transaction, &line, entry.seq)?;
            let equal = there.link == entry.link && there.bytes == entry.bytes;
            return Ok(if equal { Put::Already } else { Put::Taken });
        }
        if !line.episode.is_live() {
            return Ok(Put::Taken);
        }
        if entry.seq != head + 1 {
            return Ok(Put::Gap);
        }
        let before = line.last;
        let last = self.insert(entry, before)?;
        if let Some(kept) = self.known.get_mut(&entry.episode) {
            kept.line.last = last;
            kept.line.go_on(entry);
            if !std::mem::replace(&mut kept.changed, true) {
                self.changed.push(entry.episode);
            }
        }
        if matches!(entry.change, Change::End(_)) {
            // Another may begin in this batch that has its name.
            self.write(entry.episode)?;
        }
        Ok(Put::Done)
    }

    fn begin(&mut self, entry: &Entry, opening: &Opening) -> Result<Put, Failed> {
        if index::is_taken(self.transaction, opening)? {
            return Ok(Put::Exists);
        }
        let last = self.insert(entry, 0)?;
        let line = Line::beginning(entry, opening, last);
        let hash = line.hash();
        index::insert(self.transaction, &line, &hash)?;
        self.census.toggle(&hash);
        let kept = Kept {
            line,
            hash,
            changed: false,
        };
        self.known.insert(entry.episode, kept);
        Ok(Put::Done)
    }

    /// The line of an episode, with what this batch did to it.
    fn line(&mut self, episode: EpisodeId) -> Result<Option<&Line>, StoreError> {
        if !self.known.contains_key(&episode) {
            let Some(line) = index::line(self.transaction, episode)? else {
                return Ok(None);
            };
            let kept = Kept {
                hash: line.hash(),
                line,
                changed: false,
            };
            self.known.insert(episode, kept);
        }
        Ok(self.known.get(&episode).map(|kept| &kept.line))
    }

    /// Puts the record behind all others and says where.
    fn insert(&mut self, entry: &Entry, before: i64) -> rusqlite::Result<i64> {
        self.insert.insert((
            entry.episode.as_bytes(),
            entry.seq.cast_signed(),
            before,
            entry.link.as_bytes(),
            &entry.bytes,
        ))
    }

    /// Writes a line that was changed.
    fn write(&mut self, episode: EpisodeId) -> rusqlite::Result<()> {
        let Some(kept) = self.known.get_mut(&episode).filter(|kept| kept.changed) else {
            return Ok(());
        };
        let hash = kept.line.hash();
        index::update(self.transaction, &kept.line, &hash)?;
        self.census.toggle(&kept.hash);
        self.census.toggle(&hash);
        kept.hash = hash;
        kept.changed = false;
        if !kept.line.episode.is_live() {
            self.known.remove(&episode);
        }
        Ok(())
    }

    /// Writes what is left to write, and gives the sum of all lines.
    fn finish(mut self) -> rusqlite::Result<Census> {
        for episode in std::mem::take(&mut self.changed) {
            self.write(episode)?;
        }
        Ok(self.census)
    }
}
