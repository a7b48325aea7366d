//! Sealing of record content.
//!
//! A guest may repeat its secrets, and a client may send them in calls. So in an
//! episode with secrets, the content of requests and outcomes is as sensitive as
//! the secrets themselves. With a seal key, it is sealed, each record for its
//! slot. Without one it is left out, and results cannot be fetched from the
//! journal; such an episode cannot be resumed anyway.
//!
//! The kind of a request, its time, its tool and its hash stay readable, and so
//! do outcomes that hold only the host's own text.

use std::borrow::Cow;
use std::sync::Arc;

use orwd_model::Json;

use super::key::SealKey;
use crate::error::JournalError;
use crate::record::{
    self, EpisodeId, GuestOutcome, GuestRequest, OutcomeRecord, Record, RequestRecord,
    SealedSecrets,
};

/// How the content of an episode's records is stored.
#[derive(Clone, Debug)]
pub(crate) enum ContentPolicy {
    /// In plain: the episode has no secrets.
    Plain,
    /// Not at all.
    Withheld,
    /// Sealed with this key.
    Sealed(Arc<SealKey>),
}

impl ContentPolicy {
    /// Chooses the policy for an episode with these secrets.
    pub(crate) fn of(secrets: &SealedSecrets, key: Option<&Arc<SealKey>>) -> ContentPolicy {
        match (secrets, key) {
            (SealedSecrets::None, _) => ContentPolicy::Plain,
            (SealedSecrets::Sealed(_), Some(key)) => ContentPolicy::Sealed(Arc::clone(key)),
            (SealedSecrets::Sealed(_), None) | (SealedSecrets::Withheld, _) => {
                ContentPolicy::Withheld
            }
        }
    }

    /// Returns the record as it may be stored.
    pub(crate) fn apply<'r>(
        &self,
        record: &'r Record,
        episode: EpisodeId,
        seq: u64,
    ) -> Result<Cow<'r, Record>, JournalError> {
        let seal = |content: Vec<u8>| match self {
            ContentPolicy::Sealed(key) => key.seal_content(&content, episode, seq).map(Some),
            ContentPolicy::Plain | ContentPolicy::Withheld => Ok(None),
        };
        match (self, record) {
            (ContentPolicy::Plain, _) | (_, Record::Created(_) | Record::Ended(_)) => {
                Ok(Cow::Borrowed(record))
            }
            (_, Record::Request(request)) => {
                let Some(redacted) = without_content(&request.request)? else {
                    return Ok(Cow::Borrowed(record));
                };
                let mut content = Vec::new();
                record::encode_value(&request.request, &mut content);
                Ok(Cow::Owned(Record::Request(Box::new(RequestRecord {
                    at: request.at,
                    request: redacted,
                    run: request.run.clone(),
                    sealed: seal(content)?,
                }))))
            }
            (_, Record::Outcome(outcome)) => match &outcome.outcome {
                Some(guest) if has_content(guest) => {
                    let mut content = Vec::new();
                    record::encode_value(guest, &mut content);
                    Ok(Cow::Owned(Record::Outcome(Box::new(OutcomeRecord {
                        of: outcome.of,
                        hash: outcome.hash,
                        cpu_micros: outcome.cpu_micros,
                        outcome: None,
                        sealed: seal(content)?,
                    }))))
                }
                _ => Ok(Cow::Borrowed(record)),
            },
        }
    }
}

/// Unseals the content of a request.
pub(crate) fn unseal_request(
    request: &mut RequestRecord,
    key: &SealKey,
    episode: EpisodeId,
    seq: u64,
) -> Result<(), JournalError> {
    if let Some(sealed) = request.sealed.take() {
        let content = key.unseal_content(&sealed, episode, seq)?;
        request.request = record::decode_request(&content)
            .map_err(|error| JournalError::damaged(episode, seq, error.to_string()))?;
    }
    Ok(())
}

/// Unseals an outcome.
pub(crate) fn unseal_outcome(
    outcome: &mut OutcomeRecord,
    key: &SealKey,
    episode: EpisodeId,
    seq: u64,
) -> Result<(), JournalError> {
    if let Some(sealed) = outcome.sealed.take() {
        let content = key.unseal_content(&sealed, episode, seq)?;
        let damaged = |what: String| JournalError::damaged(episode, seq, what);
        let unsealed =
            record::decode_outcome(&content).map_err(|error| damaged(error.to_string()))?;
        if unsealed.hash() != outcome.hash {
            return Err(damaged("the hash of its outcome is another".to_owned()));
        }
        outcome.outcome = Some(unsealed);
    }
    Ok(())
}

/// Returns the request without the client's content; `None` if it has none.
fn without_content(request: &GuestRequest) -> Result<Option<GuestRequest>, JournalError> {
    Ok(match request {
        GuestRequest::Call { tool, .. } => Some(GuestRequest::Call {
            tool: tool.clone(),
            input: Json::object("{}".to_owned())
                .map_err(|error| JournalError::Seal(error.to_string()))?,
        }),
        GuestRequest::Score { .. } => Some(GuestRequest::Score {
            candidates: Vec::new(),
        }),
        GuestRequest::Setup
        | GuestRequest::Prompt
        | GuestRequest::Messages
        | GuestRequest::TaskTools
        | GuestRequest::Teardown => None,
    })
}

/// Whether an outcome holds text of the guest.
fn has_content(outcome: &GuestOutcome) -> bool {
    match outcome {
        GuestOutcome::Done | GuestOutcome::Faulted(_) | GuestOutcome::Published { .. } => false,
        GuestOutcome::Blocks(_)
        | GuestOutcome::Messages(_)
        | GuestOutcome::Tools(_)
        | GuestOutcome::Output(_)
        | GuestOutcome::Scores(_)
        | GuestOutcome::Refused(_)
        | GuestOutcome::Failed(_) => true,
    }
}
