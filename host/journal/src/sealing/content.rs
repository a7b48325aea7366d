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
//! keys, outcomes, messages and HTTP requests. A hash of it is stored only keyed, for
//! otherwise short content could be found by trying; the plain hash is computed when
//! the content is unsealed. What stays readable are the names that the
//! operator and the environment chose (owner, environment, tool), ids, times,
//! and outcomes that hold only the host's own text.

use std::borrow::Cow;
use std::sync::Arc;

use orwd_model::{Json, json_text};
use serde::{Deserialize, Serialize};

use super::key::SealKey;
use crate::error::JournalError;
use crate::record::{
    self, CreatedRecord, CreationContent, EpisodeId, ExchangeRecord, GuestOutcome, GuestRequest,
    Hash, OutcomeRecord, Record, RequestRecord, RunIdentity, SealedSecrets,
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

    /// Returns what is stored of a hash of content in this slot.
    fn hide(&self, hash: Hash, episode: EpisodeId, seq: u64) -> Hash {
        match self {
            ContentPolicy::Plain => hash,
            ContentPolicy::Sealed(key, line) => {
                key.keyed_hash(hash, bound_to(episode, *line, seq), seq)
            }
            // Nobody can read the content that it could be compared with.
            ContentPolicy::Withheld => Hash::from_bytes(rand::random()),
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
                let bound = bound_to(episode, *line, seq);
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
                    request: Some(created.request),
                };
                let mut bytes = Vec::new();
                record::encode_value(&content, &mut bytes);
                Ok(Cow::Owned(Record::Created(Box::new(CreatedRecord {
                    task: empty_object()?,
                    toolset: None,
                    request: self.hide(created.request, episode, seq),
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
                let content = encode_request(&request.request, request.run.as_ref());
                let run = request.run.as_ref().map(|run| RunIdentity {
                    id: run.id,
                    body: self.hide(run.body, episode, seq),
                    idempotency_key: None,
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
                        hash: self.hide(outcome.hash, episode, seq),
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

/// Returns the episode that a record is sealed for. The first record of an episode is
/// never shared with others of its line.
fn bound_to(episode: EpisodeId, line: EpisodeId, seq: u64) -> EpisodeId {
    if seq == 0 { episode } else { line }
}

/// What the first record of an episode with secrets has sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedCreation {
    #[serde(with = "json_text")]
    task: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    toolset: Option<String>,
    /// The hash of the creating request, which earlier versions did not seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Hash>,
}

/// Unseals the content of the first record.
pub(crate) fn unseal_created(
    created: &mut CreatedRecord,
    key: &SealKey,
    episode: EpisodeId,
) -> Result<(), JournalError> {
    if let CreationContent::Sealed(sealed) = &created.content {
        let content = key.unseal_content(sealed, episode, 0)?;
        let SealedCreation {
            task,
            toolset,
            request,
        } = record::decode_value(&content)
            .map_err(|error| JournalError::damaged(episode, 0, error.to_string()))?;
        created.task = task;
        created.toolset = toolset;
        created.request = request.unwrap_or(created.request);
        created.content = CreationContent::Plain;
    }
    Ok(())
}

/// The first byte of a sealed request with an idempotency key: a CBOR array of
/// two. A request alone is never an array. Earlier versions sealed both.
const WITH_KEY: u8 = 0x82;

/// The first byte of a sealed request with its key and the hash of its body.
const WITH_BODY: u8 = 0x83;

/// Encodes what is sealed of a request.
fn encode_request(request: &GuestRequest, run: Option<&RunIdentity>) -> Vec<u8> {
    let mut content = Vec::new();
    match run {
        Some(run) => {
            let whole = (request, &run.idempotency_key, run.body);
            record::encode_value(&whole, &mut content);
        }
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
        let (unsealed, key, body) = match content.first() {
            Some(&WITH_BODY) => record::decode_request_with_body(&content),
            Some(&WITH_KEY) => record::decode_request_with_key(&content)
                .map(|(request, key)| (request, Some(key), None)),
            _ => record::decode_request(&content).map(|request| (request, None, None)),
        }
        .map_err(|error| JournalError::damaged(episode, seq, error.to_string()))?;
        request.request = unsealed;
        if let Some(run) = &mut request.run {
            run.idempotency_key = key.or(run.idempotency_key.take());
            run.body = body.unwrap_or(run.body);
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
        let hash = unsealed.hash();
        // Earlier versions did not key it.
        if outcome.hash != key.keyed_hash(hash, episode, seq) && outcome.hash != hash {
            return Err(damaged("the hash of its outcome is another".to_owned()));
        }
        outcome.hash = hash;
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

#[cfg(test)]
mod tests {
    use orwd_model::{RunId, Timestamp};

    use super::*;

    #[test]
    fn what_earlier_versions_sealed_is_read_with_its_hashes() {
        let key = SealKey::parse(&"5a".repeat(32)).unwrap();
        let episode = EpisodeId::new();
        let outcome = GuestOutcome::Failed("no".to_owned());
        let mut content = Vec::new();
        record::encode_value(&outcome, &mut content);
        let sealed = |content: &[u8], seq| Some(key.seal_content(content, episode, seq).unwrap());
        let mut stored = OutcomeRecord {
            sealed: sealed(&content, 2),
            outcome: None,
            ..OutcomeRecord::new(1, outcome.clone(), 0)
        };
        unseal_outcome(&mut stored, &key, episode, 2).unwrap();
        assert_eq!(stored, OutcomeRecord::new(1, outcome, 0));
        let request = GuestRequest::Call {
            tool: "act".to_owned(),
            input: empty_object().unwrap(),
        };
        let body = Hash::of(b"body");
        for with_key in [false, true] {
            let mut content = Vec::new();
            match with_key {
                true => record::encode_value(&(&request, "k"), &mut content),
                false => record::encode_value(&request, &mut content),
            }
            let mut stored = RequestRecord {
                at: Timestamp::from_nanos(0),
                request: request.clone(),
                run: Some(RunIdentity {
                    id: RunId::from_bytes([1; 16]),
                    body,
                    idempotency_key: None,
                }),
                sealed: sealed(&content, 1),
            };
            unseal_request(&mut stored, &key, episode, 1).unwrap();
            let run = stored.run.unwrap();
            assert_eq!((stored.request, run.body), (request.clone(), body));
            assert_eq!(run.idempotency_key.is_some(), with_key);
        }
    }

    #[test]
    fn a_keyed_hash_depends_on_key_episode_and_slot() {
        let [one, other] = ["5a", "5b"].map(|text| SealKey::parse(&text.repeat(32)).unwrap());
        let [first, second] = [EpisodeId::new(), EpisodeId::new()];
        let hash = Hash::of(b"yes");
        let keyed = one.keyed_hash(hash, first, 1);
        assert_eq!(keyed, one.keyed_hash(hash, first, 1));
        for different in [
            hash,
            other.keyed_hash(hash, first, 1),
            one.keyed_hash(hash, second, 1),
            one.keyed_hash(hash, first, 2),
            one.keyed_hash(Hash::of(b"no"), first, 1),
        ] {
            assert_ne!(keyed, different);
        }
    }
}
