//! Sealing of record content.
//!
//! A guest may repeat its secrets, and a client may send them in calls. So in an
//! episode with secrets, the content of requests and outcomes is as sensitive as
//! the secrets themselves. With a seal key, it is sealed, each record for its
//! slot. Forks share records, so all episodes of a line of forks seal for the
//! first one of them, except for their first records. Without a key it is left
//! out, and results cannot be fetched from the journal; such an episode cannot be
//! resumed anyway.
//!
//! That holds for all that a client or guest says: the task, inputs, idempotency
//! keys, outcomes, messages and HTTP requests. What stays readable are the names that the
//! operator and the environment chose (owner, environment, tool), ids, times,
//! hashes, and outcomes that hold only the host's own text.

use std::borrow::Cow;
use std::sync::Arc;

use orwd_model::{Json, json_text};
use serde::{Deserialize, Serialize};

use super::key::SealKey;
use crate::error::JournalError;
use crate::record::{
    self, CreatedRecord, CreationContent, EpisodeId, ExchangeRecord, GuestOutcome, GuestRequest,
    OutcomeRecord, Record, RequestRecord, RunIdentity, SealedSecrets,
};

/// How the content of an episode's records is stored.
#[derive(Clone, Debug)]
pub(crate) enum ContentPolicy {
    /// In plain: the episode has no secrets.
    Plain,
    /// Not at all.
    Withheld,
    /// Sealed with this key for this episode, or for the first of its line of
    /// forks.
    Sealed(Arc<SealKey>, EpisodeId),
}

impl ContentPolicy {
    /// Chooses the policy for an episode that begins with this record.
    pub(crate) fn of(
        created: &CreatedRecord,
        episode: EpisodeId,
        key: Option<&Arc<SealKey>>,
    ) -> ContentPolicy {
        match (&created.secrets, key) {
            (SealedSecrets::None, _) => ContentPolicy::Plain,
            (SealedSecrets::Sealed(_), Some(key)) => {
                ContentPolicy::Sealed(Arc::clone(key), created.sealed_for(episode))
            }
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
            ContentPolicy::Sealed(key, line) => {
                // The first record is never shared.
                let bound = if seq == 0 { episode } else { *line };
                key.seal_content(&content, bound, seq).map(Some)
            }
            ContentPolicy::Plain | ContentPolicy::Withheld => Ok(None),
        };
        match (self, record) {
            (ContentPolicy::Plain, _) | (_, Record::Ended(_)) => Ok(Cow::Borrowed(record)),
            (_, Record::Created(created)) => {
                let content = SealedCreation {
                    task: created.task.clone(),
                    toolset: created.toolset.clone(),
                };
                let mut bytes = Vec::new();
                record::encode_value(&content, &mut bytes);
                Ok(Cow::Owned(Record::Created(Box::new(CreatedRecord {
                    task: empty_object()?,
                    toolset: None,
                    content: match seal(bytes)? {
                        Some(sealed) => CreationContent::Sealed(sealed),
                        None => CreationContent::Withheld,
                    },
                    ..(**created).clone()
                }))))
            }
            (_, Record::Request(request)) => {
                let Some(redacted) = without_content(&request.request)? else {
                    return Ok(Cow::Borrowed(record));
                };
                let key = request.run.as_ref();
                let key = key.and_then(|run| run.idempotency_key.as_deref());
                let content = encode_request(&request.request, key);
                let run = request.run.clone().map(|run| RunIdentity {
                    idempotency_key: None,
                    ..run
                });
                Ok(Cow::Owned(Record::Request(Box::new(RequestRecord {
                    at: request.at,
                    request: redacted,
                    run,
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
                        observed: outcome.observed,
                    }))))
                }
                _ => Ok(Cow::Borrowed(record)),
            },
            (_, Record::Exchange(made)) => match &made.exchange {
                Some(exchange) => {
                    let mut content = Vec::new();
                    record::encode_value(exchange, &mut content);
                    Ok(Cow::Owned(Record::Exchange(Box::new(ExchangeRecord {
                        of: made.of,
                        exchange: None,
                        sealed: seal(content)?,
                    }))))
                }
                None => Ok(Cow::Borrowed(record)),
            },
        }
    }
}

/// What the first record of an episode with secrets has sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedCreation {
    #[serde(with = "json_text")]
    task: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    toolset: Option<String>,
}

/// Unseals the content of the first record.
pub(crate) fn unseal_created(
    created: &mut CreatedRecord,
    key: &SealKey,
    episode: EpisodeId,
) -> Result<(), JournalError> {
    if let CreationContent::Sealed(sealed) = &created.content {
        let content = key.unseal_content(sealed, episode, 0)?;
        let SealedCreation { task, toolset } = record::decode_value(&content)
            .map_err(|error| JournalError::damaged(episode, 0, error.to_string()))?;
        created.task = task;
        created.toolset = toolset;
        created.content = CreationContent::Plain;
    }
    Ok(())
}

/// The first byte of a sealed request with an idempotency key: a CBOR array of
/// two. A request alone, which is what earlier versions sealed, is never an
/// array.
const WITH_KEY: u8 = 0x82;

/// Encodes what is sealed of a request.
fn encode_request(request: &GuestRequest, key: Option<&str>) -> Vec<u8> {
    let mut content = Vec::new();
    match key {
        Some(key) => record::encode_value(&(request, key), &mut content),
        None => record::encode_value(request, &mut content),
    }
    content
}

/// Unseals the content of a request that is sealed for this episode.
pub(crate) fn unseal_request(
    request: &mut RequestRecord,
    key: &SealKey,
    episode: EpisodeId,
    seq: u64,
) -> Result<(), JournalError> {
    if let Some(sealed) = request.sealed.take() {
        let content = key.unseal_content(&sealed, episode, seq)?;
        let (unsealed, key) = match content.first() {
            Some(&WITH_KEY) => record::decode_request_with_key(&content),
            _ => record::decode_request(&content).map(|request| (request, None)),
        }
        .map_err(|error| JournalError::damaged(episode, seq, error.to_string()))?;
        request.request = unsealed;
        if let (Some(run), Some(key)) = (&mut request.run, key) {
            run.idempotency_key = Some(key);
        }
    }
    Ok(())
}

/// Unseals an outcome that is sealed for this episode.
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

/// Unseals an HTTP request of the guest.
pub(crate) fn unseal_exchange(
    made: &mut ExchangeRecord,
    key: &SealKey,
    episode: EpisodeId,
    seq: u64,
) -> Result<(), JournalError> {
    if let Some(sealed) = made.sealed.take() {
        let content = key.unseal_content(&sealed, episode, seq)?;
        let exchange = record::decode_value(&content)
            .map_err(|error| JournalError::damaged(episode, seq, error.to_string()))?;
        made.exchange = Some(exchange);
    }
    Ok(())
}

/// Returns the request without the client's content; `None` if it has none.
fn without_content(request: &GuestRequest) -> Result<Option<GuestRequest>, JournalError> {
    Ok(match request {
        GuestRequest::Call { tool, .. } => Some(GuestRequest::Call {
            tool: tool.clone(),
            input: empty_object()?,
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

/// Stands for JSON that is sealed or withheld.
fn empty_object() -> Result<Json, JournalError> {
    Json::object("{}".to_owned()).map_err(|error| JournalError::Seal(error.to_string()))
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
