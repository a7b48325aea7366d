//! The records of an episode, checked: what a replay goes by.
//!
//! Making one follows the chain from the beginning, reads every record and
//! pairs answers with asks; anything that does not fit is refused with the
//! record's number.

use super::chain::Link;
use super::error::JournalError;
use super::format;
use super::id::EpisodeId;
use super::record::{Answered, Asked, Created, Ended, Record};
use super::seal::SealKey;
use super::store::{Episode, Row};
use super::veil;

/// All that is written down of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    episode: EpisodeId,
    created: Created,
    steps: Vec<Step>,
    ended: Option<Ended>,
    next: u64,
    tip: Link,
    bytes: u64,
}

/// Something asked of an episode, with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The slot of the ask.
    pub seq: u64,
    /// The ask.
    pub asked: Asked,
    /// The chain up to the ask.
    pub link: Link,
    /// The answer; none if the host ended before there was one.
    pub answer: Option<Answer>,
}

/// An answer in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its slot.
    pub seq: u64,
    /// The answer.
    pub answered: Answered,
    /// The chain up to the answer.
    pub link: Link,
}

impl History {
    /// Checks the records of an episode, which are all of them from the first.
    pub fn read(episode: EpisodeId, rows: &[Row]) -> Result<History, JournalError> {
        let Some((first, rest)) = rows.split_first() else {
            return Err(JournalError::Unknown(episode));
        };
        let mut reader = Reader {
            episode,
            next: 0,
            tip: Link::beginning(episode),
        };
        let Record::Created(created) = reader.take(first)? else {
            return Err(JournalError::damaged(
                episode,
                0,
                "it does not say how the episode began",
            ));
        };
        let mut history = History {
            episode,
            created: *created,
            steps: Vec::new(),
            ended: None,
            next: 0,
            tip: reader.tip,
            bytes: rows.iter().map(|row| row.bytes.len() as u64).sum(),
        };
        for row in rest {
            let record = reader.take(row)?;
            history
                .add(row.seq, record, reader.tip)
                .map_err(|what| JournalError::damaged(episode, row.seq, what))?;
        }
        history.next = reader.next;
        history.tip = reader.tip;
        Ok(history)
    }

    /// Checks the records of an episode, and that none is missing of those
    /// that the index knows of.
    pub(super) fn read_all(index: &Episode, rows: &[Row]) -> Result<History, JournalError> {
        let history = History::read(index.id, rows)?;
        // Records may have come since the index was asked.
        let last = usize::try_from(index.head).ok().and_then(|at| rows.get(at));
        match last {
            Some(row) if row.link == index.tip => Ok(history),
            Some(_) => Err(JournalError::damaged(
                index.id,
                index.head,
                "it is not the one that the index names",
            )),
            None => Err(JournalError::damaged(
                index.id,
                history.next,
                "it is missing",
            )),
        }
    }

    fn add(&mut self, seq: u64, record: Record, link: Link) -> Result<(), &'static str> {
        if self.ended.is_some() {
            return Err("it follows the end of the episode");
        }
        match record {
            Record::Created(_) => return Err("the episode began before"),
            Record::Asked(asked) => self.steps.push(Step {
                seq,
                asked: *asked,
                link,
                answer: None,
            }),
            Record::Answered(answered) => {
                let place = self
                    .steps
                    .binary_search_by_key(&answered.of, |step| step.seq);
                let step = place.ok().and_then(|at| self.steps.get_mut(at));
                let step = step.ok_or("it answers nothing that was asked")?;
                if step.answer.is_some() {
                    return Err("it answers what was answered before");
                }
                step.answer = Some(Answer {
                    seq,
                    answered: *answered,
                    link,
                });
            }
            Record::Ended(ended) => self.ended = Some(ended),
        }
        Ok(())
    }

    /// Opens what is sealed of it. Without this, calls have no input and
    /// answers no outcome.
    pub fn unseal(&mut self, key: &SealKey) -> Result<(), JournalError> {
        let episode = self.episode;
        self.steps
            .iter_mut()
            .try_for_each(|step| veil::lift(step, key, episode))
    }

    /// The episode.
    pub fn episode(&self) -> EpisodeId {
        self.episode
    }

    /// How it began.
    pub fn created(&self) -> &Created {
        &self.created
    }

    /// What was asked of it, in order, with the answers.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The slot of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// What the chain has come to.
    pub fn tip(&self) -> Link {
        self.tip
    }
}

/// Follows the chain.
struct Reader {
    episode: EpisodeId,
    next: u64,
    tip: Link,
}

impl Reader {
    fn take(&mut self, row: &Row) -> Result<Record, JournalError> {
        let damaged = |what: String| JournalError::damaged(self.episode, self.next, what);
        if row.seq != self.next {
            return Err(damaged(format!("record {} stands in its place", row.seq)));
        }
        let link = self.tip.then(row.seq, &row.bytes);
        if link != row.link {
            return Err(damaged("its hash is not that of what is there".to_owned()));
        }
        let record = format::decode(&row.bytes).map_err(|error| damaged(error.to_string()))?;
        self.tip = link;
        self.next += 1;
        Ok(record)
    }
}
