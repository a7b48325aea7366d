//! What may stand in the journal of an episode that was given secrets.
//!
//! A guest may say its secrets, and a client may send them in its calls, so
//! the words of both are no safer on a disk than the secrets themselves. Where
//! there is a key, they are sealed with it, each record for its place: nobody
//! reads them without the key, or moves them. Where there is none they are
//! left out, and with them the ways to fetch a result from the journal; such
//! an episode cannot be resumed anyway.
//!
//! What was done, when, by which tool and with which hash stays readable, and
//! so do outcomes that the host has words of its own for.

use std::borrow::Cow;
use std::sync::Arc;

use super::error::JournalError;
use super::format;
use super::history::Step;
use super::id::EpisodeId;
use super::record::{Answered, Ask, Asked, Outcome, Record, SealedSecrets};
use super::seal::SealKey;
use orwd_model::Json;

/// What is drawn over the records of an episode.
#[derive(Clone, Debug)]
pub(super) enum Veil {
    /// Nothing: it has no secrets.
    None,
    /// The words are left out.
    Withheld,
    /// They are sealed.
    Sealed(Arc<SealKey>),
}

impl Veil {
    /// For an episode with these secrets.
    pub(super) fn of(secrets: &SealedSecrets, key: Option<&Arc<SealKey>>) -> Veil {
        match (secrets, key) {
            (SealedSecrets::None, _) => Veil::None,
            (SealedSecrets::Sealed(_), Some(key)) => Veil::Sealed(Arc::clone(key)),
            (SealedSecrets::Sealed(_), None) | (SealedSecrets::Withheld, _) => Veil::Withheld,
        }
    }

    /// The record as it may be written down.
    pub(super) fn over<'r>(
        &self,
        record: &'r Record,
        episode: EpisodeId,
        seq: u64,
    ) -> Result<Cow<'r, Record>, JournalError> {
        let seal = |words: Vec<u8>| match self {
            Veil::Sealed(key) => key.seal_words(&words, episode, seq).map(Some),
            Veil::None | Veil::Withheld => Ok(None),
        };
        match (self, record) {
            (Veil::None, _) | (_, Record::Created(_) | Record::Ended(_)) => {
                Ok(Cow::Borrowed(record))
            }
            (_, Record::Asked(asked)) => {
                let Some(plain) = without_words(&asked.ask)? else {
                    return Ok(Cow::Borrowed(record));
                };
                Ok(Cow::Owned(Record::Asked(Box::new(Asked {
                    at: asked.at,
                    ask: plain,
                    run: asked.run.clone(),
                    sealed: seal(format::words_of_ask(&asked.ask))?,
                }))))
            }
            (_, Record::Answered(answered)) => match &answered.outcome {
                Some(outcome) if has_words(outcome) => {
                    Ok(Cow::Owned(Record::Answered(Box::new(Answered {
                        outcome: None,
                        sealed: seal(format::words_of_outcome(outcome))?,
                        ..(**answered).clone()
                    }))))
                }
                _ => Ok(Cow::Borrowed(record)),
            },
        }
    }
}

/// Opens what is sealed of a step.
pub(super) fn lift(step: &mut Step, key: &SealKey, episode: EpisodeId) -> Result<(), JournalError> {
    if let Some(sealed) = step.asked.sealed.take() {
        let words = key.open_words(&sealed, episode, step.seq)?;
        step.asked.ask = format::ask_of_words(&words)
            .map_err(|error| JournalError::damaged(episode, step.seq, error.to_string()))?;
    }
    let Some(answer) = &mut step.answer else {
        return Ok(());
    };
    if let Some(sealed) = answer.answered.sealed.take() {
        let words = key.open_words(&sealed, episode, answer.seq)?;
        let damaged = |what: String| JournalError::damaged(episode, answer.seq, what);
        let outcome =
            format::outcome_of_words(&words).map_err(|error| damaged(error.to_string()))?;
        if outcome.hash() != answer.answered.hash {
            return Err(damaged("the hash of its outcome is another".to_owned()));
        }
        answer.answered.outcome = Some(outcome);
    }
    Ok(())
}

/// An ask without the client's words; none if it has none.
fn without_words(ask: &Ask) -> Result<Option<Ask>, JournalError> {
    Ok(match ask {
        Ask::Call { tool, .. } => Some(Ask::Call {
            tool: tool.clone(),
            input: Json::object("{}".to_owned())
                .map_err(|error| JournalError::Seal(error.to_string()))?,
        }),
        Ask::Score { .. } => Some(Ask::Score {
            candidates: Vec::new(),
        }),
        Ask::Setup | Ask::Prompt | Ask::Messages | Ask::TaskTools | Ask::Teardown => None,
    })
}

/// Whether an outcome holds words of the guest's.
fn has_words(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done | Outcome::Faulted(_) | Outcome::Published { .. } => false,
        Outcome::Blocks(_)
        | Outcome::Messages(_)
        | Outcome::Tools(_)
        | Outcome::Output(_)
        | Outcome::Scores(_)
        | Outcome::Refused(_)
        | Outcome::Failed(_) => true,
    }
}
