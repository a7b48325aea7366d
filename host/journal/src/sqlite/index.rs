//! The index of episodes: a line each, with a hash of its own, and the census.

use rusqlite::{OptionalExtension, Row as SqlRow, Transaction};

use super::failure;
use crate::chain::Link;
use crate::id::EpisodeId;
use crate::record::At;
use crate::store::{Change, Entry, Episode, EpisodeState, Filter, Opening, StoreError};
use orwd_model::{Digest, EnvName, SessionId};

const CENSUS: &str = "census";

const COLUMNS: &str =
    "id, owner, session, environment, component, created, ended, head, tip, last, hash";

/// What the index has of an episode.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) episode: Episode,
    /// The place of its last record.
    pub(super) last: i64,
}

/// The sum of the hashes of all lines. One that is toggled in and out again
/// leaves it as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Census([u8; 32]);

impl Census {
    pub(super) fn toggle(&mut self, hash: &[u8; 32]) {
        let sums = self.0.iter_mut();
        sums.zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }
}

impl Line {
    /// The line of an episode with this first record.
    pub(super) fn beginning(entry: &Entry, opening: &Opening, last: i64) -> Line {
        Line {
            episode: Episode {
                id: entry.episode,
                opening: opening.clone(),
                state: EpisodeState::Live,
                head: entry.seq,
                tip: entry.link,
            },
            last,
        }
    }

    /// Takes in a record; its place is set apart.
    pub(super) fn go_on(&mut self, entry: &Entry) {
        self.episode.head = entry.seq;
        self.episode.tip = entry.link;
        if let Change::End(at) = entry.change {
            self.episode.state = EpisodeState::Ended(at);
        }
    }

    fn ended(&self) -> Option<i64> {
        match self.episode.state {
            EpisodeState::Live => None,
            EpisodeState::Ended(At(at)) => Some(at.cast_signed()),
        }
    }

    /// A hash of all that it says.
    pub(super) fn hash(&self) -> [u8; 32] {
        let Episode {
            id,
            opening,
            head,
            tip,
            ..
        } = &self.episode;
        let mut hasher = blake3::Hasher::new_derive_key("orwd journal 2026 v1 line of the index");
        // Each part with its length before it, so that no two lines run
        // together into the same bytes.
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        part(id.as_bytes());
        part(&[u8::from(opening.owner.is_some())]);
        part(opening.owner.as_deref().unwrap_or_default().as_bytes());
        part(opening.session.as_str().as_bytes());
        part(opening.environment.as_str().as_bytes());
        part(opening.component.as_bytes());
        part(&opening.created.0.to_be_bytes());
        part(&[u8::from(self.ended().is_some())]);
        part(&self.ended().unwrap_or_default().to_be_bytes());
        part(&head.to_be_bytes());
        part(tip.as_bytes());
        part(&self.last.to_be_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Reads a line and holds it against its hash.
    fn read(row: &SqlRow<'_>) -> Result<Line, StoreError> {
        let id = row.get(0).map_err(|error| failure(&error))?;
        let id = EpisodeId::from_bytes(id);
        let damaged = |what: &str| StoreError::Damaged {
            episode: Some(id),
            seq: None,
            what: what.to_owned(),
        };
        let read = || -> rusqlite::Result<Option<(Line, [u8; 32])>> {
            let session: String = row.get(2)?;
            let environment: String = row.get(3)?;
            let named = SessionId::new(&session).filter(|id| id.as_str() == session);
            let (Some(session), Ok(environment)) = (named, EnvName::new(&environment)) else {
                return Ok(None);
            };
            let ended: Option<i64> = row.get(6)?;
            let line = Line {
                episode: Episode {
                    id,
                    opening: Opening {
                        owner: row.get(1)?,
                        session,
                        environment,
                        component: Digest::from_bytes(row.get(4)?),
                        created: At(row.get::<_, i64>(5)?.cast_unsigned()),
                    },
                    state: ended.map_or(EpisodeState::Live, |at| {
                        EpisodeState::Ended(At(at.cast_unsigned()))
                    }),
                    head: row.get::<_, i64>(7)?.cast_unsigned(),
                    tip: Link::from_bytes(row.get(8)?),
                },
                last: row.get(9)?,
            };
            Ok(Some((line, row.get(10)?)))
        };
        match read() {
            Ok(Some((line, hash))) if line.hash() == hash => Ok(line),
            Ok(_) => Err(damaged("its line in the index has another hash")),
            Err(error) => match failure(&error) {
                StoreError::Damaged { what, .. } => Err(damaged(&what)),
                other => Err(other),
            },
        }
    }
}

/// The lines that a query gives.
fn lines(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Line>, StoreError> {
    let sqlite = |error: rusqlite::Error| failure(&error);
    let mut statement = transaction.prepare_cached(sql).map_err(sqlite)?;
    let mut rows = statement.query(parameters).map_err(sqlite)?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next().map_err(sqlite)? {
        lines.push(Line::read(row)?);
    }
    Ok(lines)
}

/// The line of this episode.
pub(super) fn line(
    transaction: &Transaction<'_>,
    episode: EpisodeId,
) -> Result<Option<Line>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM episodes WHERE id = ?1");
    let mut found = lines(transaction, &sql, [episode.as_bytes()])?;
    // A page that is damaged may answer with the line of another.
    match found.pop() {
        Some(line) if line.episode.id != episode => Err(StoreError::Damaged {
            episode: Some(episode),
            seq: None,
            what: "the index has another in its place".to_owned(),
        }),
        found => Ok(found),
    }
}

/// The newest episode of this name.
pub(super) fn find(
    transaction: &Transaction<'_>,
    owner: Option<&str>,
    session: &SessionId,
) -> Result<Option<Episode>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM episodes WHERE session = ?1 AND owner IS ?2 ORDER BY id DESC LIMIT 1"
    );
    let found = lines(transaction, &sql, (session.as_str(), owner))?;
    let fits = |episode: &Episode| {
        episode.opening.owner.as_deref() == owner && episode.opening.session == *session
    };
    let mut episodes = found.into_iter().map(|line| line.episode);
    Ok(episodes.next().filter(fits))
}

/// The episodes that fit.
pub(super) fn list(
    transaction: &Transaction<'_>,
    filter: &Filter,
) -> Result<Vec<Episode>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM episodes WHERE (NOT ?1 OR ended IS NULL) \
         AND (NOT ?2 OR owner IS ?3) AND (?4 IS NULL OR id < ?4) \
         AND (?6 IS NULL OR ended < ?6) ORDER BY id DESC LIMIT ?5"
    );
    let owner = filter.owner.clone().flatten();
    let before = filter.before.map(|id| id.as_bytes().to_vec());
    // A negative limit is none.
    let limit = filter.limit.map_or(-1, i64::from);
    let ended_before = filter.ended_before.map(|At(at)| at.cast_signed());
    let parameters = (
        filter.live,
        filter.owner.is_some(),
        owner,
        before,
        limit,
        ended_before,
    );
    let found = lines(transaction, &sql, parameters)?;
    let episodes = found.into_iter().map(|line| line.episode);
    Ok(episodes.filter(|episode| filter.admits(episode)).collect())
}

/// Whether a live episode has this name.
pub(super) fn is_taken(transaction: &Transaction<'_>, opening: &Opening) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached(
        "SELECT 1 FROM episodes WHERE session = ?1 AND ifnull(owner, '') = ifnull(?2, '') \
         AND (owner IS NULL) = (?2 IS NULL) AND ended IS NULL",
    )?;
    statement.exists((opening.session.as_str(), &opening.owner))
}

/// Adds a line with its hash.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    line: &Line,
    hash: &[u8; 32],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO episodes (id, owner, session, environment, component, created, ended, head, \
         tip, last, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let Episode {
        id,
        opening,
        head,
        tip,
        ..
    } = &line.episode;
    statement.execute((
        id.as_bytes(),
        &opening.owner,
        opening.session.as_str(),
        opening.environment.as_str(),
        opening.component.as_bytes(),
        opening.created.0.cast_signed(),
        line.ended(),
        head.cast_signed(),
        tip.as_bytes(),
        line.last,
        hash,
    ))?;
    Ok(())
}

/// Writes what changes of a line, with its hash.
pub(super) fn update(
    transaction: &Transaction<'_>,
    line: &Line,
    hash: &[u8; 32],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE episodes SET ended = ?2, head = ?3, tip = ?4, last = ?5, hash = ?6 WHERE id = ?1",
    )?;
    statement.execute((
        line.episode.id.as_bytes(),
        line.ended(),
        line.episode.head.cast_signed(),
        line.episode.tip.as_bytes(),
        line.last,
        hash,
    ))?;
    Ok(())
}

/// Takes a line out, and out of the census.
pub(super) fn remove(transaction: &Transaction<'_>, line: &Line) -> Result<(), StoreError> {
    let mut census = census(transaction)?;
    census.toggle(&line.hash());
    let remove = || -> rusqlite::Result<()> {
        let id = line.episode.id;
        transaction.execute("DELETE FROM episodes WHERE id = ?1", [id.as_bytes()])?;
        set_census(transaction, &census)
    };
    remove().map_err(|error| failure(&error))
}

/// What is kept under this name.
pub(super) fn meta(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = transaction.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

/// The census of a journal without episodes.
pub(super) fn first_census(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    set_census(transaction, &Census([0; 32]))
}

/// The census as it was written last.
pub(super) fn census(transaction: &Transaction<'_>) -> Result<Census, StoreError> {
    let written = meta(transaction, CENSUS).map_err(|error| failure(&error))?;
    let sum = written.and_then(|bytes| bytes.try_into().ok());
    sum.map(Census)
        .ok_or_else(|| off("there is no census of the index"))
}

/// Writes the census.
pub(super) fn set_census(transaction: &Transaction<'_>, census: &Census) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    statement.execute((CENSUS, census.0))?;
    Ok(())
}

/// Reads every line and holds their sum against the census.
pub(super) fn take_census(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let written = census(transaction)?;
    let sql = format!("SELECT {COLUMNS} FROM episodes ORDER BY id");
    let mut counted = Census([0; 32]);
    for line in lines(transaction, &sql, [])? {
        counted.toggle(&line.hash());
    }
    if counted == written {
        Ok(())
    } else {
        Err(off(
            "the lines of the index are not those that were written",
        ))
    }
}

fn off(what: &str) -> StoreError {
    StoreError::Damaged {
        episode: None,
        seq: None,
        what: what.to_owned(),
    }
}
