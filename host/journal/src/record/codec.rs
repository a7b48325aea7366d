//! The encoding of records: one byte for the version of the format, then CBOR.
//!
//! Other versions of orwd read a journal years later. So the golden test
//! compares the bytes of a record of every kind, and an unknown field or kind is
//! refused by name: a record half understood is a wrong record.
//!
//! Every value has one encoding, so a hash of the encoding is a hash of the
//! value.

use orwd_model::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::id::Hash;
use super::request::{GuestOutcome, GuestRequest};
use super::types::{OutcomeRecord, Record};

/// The version of the format.
const VERSION: u8 = 1;

/// The maximum nesting depth when reading. Records nest less than twenty deep.
const MAX_DEPTH: usize = 32;

/// Bytes of a record beside its content, about.
const FRAME: usize = 256;

/// Bytes from which a value is hashed while it is encoded. Less is faster in one
/// piece.
const HASHED_DIRECTLY: usize = 16 << 10;

/// The bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("it is empty")]
    Empty,
    #[error("it is of format version {0}, and this orwd reads version {VERSION}")]
    Version(u8),
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Invalid(&'static str),
}

/// Encodes a record.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let outcome = match record {
        Record::Outcome(record) => record.outcome.as_ref(),
        _ => None,
    };
    let size = outcome.map_or(0, GuestOutcome::size_hint);
    let mut bytes = Vec::with_capacity(size + FRAME);
    bytes.push(VERSION);
    encode_value(record, &mut bytes);
    bytes
}

/// Decodes and checks a record.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let (version, rest) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let record = decode_value(rest)?;
    match &record {
        Record::Request(request) => check_request(&request.request)?,
        Record::Outcome(record) => {
            if let Some(outcome) = &record.outcome {
                check_outcome(outcome)?;
                if outcome.hash() != record.hash {
                    return Err(DecodeError::Invalid("the hash of its outcome is another"));
                }
            }
        }
        Record::Created(_) | Record::Exchange(_) | Record::Ended(_) => {}
    }
    Ok(record)
}

/// Decodes and checks a request that was sealed.
pub(crate) fn decode_request(bytes: &[u8]) -> Result<GuestRequest, DecodeError> {
    let request = decode_value(bytes)?;
    check_request(&request)?;
    Ok(request)
}

/// Decodes and checks a request that was sealed with its idempotency key.
pub(crate) fn decode_request_with_key(
    bytes: &[u8],
) -> Result<(GuestRequest, Option<String>), DecodeError> {
    let (request, key): (GuestRequest, String) = decode_value(bytes)?;
    check_request(&request)?;
    Ok((request, Some(key)))
}

/// Decodes and checks an outcome that was sealed.
pub(crate) fn decode_outcome(bytes: &[u8]) -> Result<GuestOutcome, DecodeError> {
    let outcome = decode_value(bytes)?;
    check_outcome(&outcome)?;
    Ok(outcome)
}

fn check_request(request: &GuestRequest) -> Result<(), DecodeError> {
    match request {
        GuestRequest::Score { candidates } => candidates
            .iter()
            .try_for_each(|candidate| check_messages(&candidate.messages)),
        _ => Ok(()),
    }
}

fn check_outcome(outcome: &GuestOutcome) -> Result<(), DecodeError> {
    match outcome {
        GuestOutcome::Messages(messages) => check_messages(messages),
        _ => Ok(()),
    }
}

fn check_messages(messages: &[Message]) -> Result<(), DecodeError> {
    if messages.iter().all(Message::is_valid) {
        Ok(())
    } else {
        Err(DecodeError::Invalid(
            "a message holds a block that its role may not",
        ))
    }
}

impl GuestRequest {
    /// Hashes the whole request.
    pub fn hash(&self) -> Hash {
        hash("orwd journal 2026 v1 ask", self, 0)
    }
}

impl GuestOutcome {
    /// Hashes the whole outcome.
    pub fn hash(&self) -> Hash {
        hash("orwd journal 2026 v1 outcome", self, self.size_hint())
    }
}

impl OutcomeRecord {
    /// Creates the record of an outcome.
    pub fn new(of: u64, outcome: GuestOutcome, cpu_micros: u64) -> OutcomeRecord {
        OutcomeRecord {
            of,
            hash: outcome.hash(),
            cpu_micros,
            outcome: Some(outcome),
            sealed: None,
            observed: None,
        }
    }
}

/// Hashes the encoding of a value of about this size.
fn hash(kind: &str, value: &impl Serialize, size: usize) -> Hash {
    if size >= HASHED_DIRECTLY {
        let mut hasher = blake3::Hasher::new_derive_key(kind);
        let _ = ciborium::into_writer(value, &mut hasher);
        return Hash::from_bytes(*hasher.finalize().as_bytes());
    }
    let mut bytes = Vec::with_capacity(size + FRAME);
    encode_value(value, &mut bytes);
    Hash::of_kind(kind, &bytes)
}

/// Appends the encoding of a value.
pub(crate) fn encode_value(value: &impl Serialize, into: &mut Vec<u8>) {
    // Writing to a vector cannot fail, and CBOR can represent all our types.
    let _ = ciborium::into_writer(value, into);
}

/// Decodes a value that takes up all of the bytes.
pub(crate) fn decode_value<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, DecodeError> {
    let value = ciborium::de::from_reader_with_recursion_limit(&mut bytes, MAX_DEPTH)
        .map_err(|error| DecodeError::Unreadable(describe(&error)))?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::Unreadable(format!(
            "{} bytes follow it",
            bytes.len()
        )))
    }
}

/// Describes an error briefly; its own text is meant for debugging.
fn describe(error: &ciborium::de::Error<std::io::Error>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "it breaks off".to_owned(),
        ciborium::de::Error::Syntax(at) => format!("no CBOR at byte {at}"),
        ciborium::de::Error::Semantic(_, what) => what.chars().take(200).collect(),
        ciborium::de::Error::RecursionLimitExceeded => "it nests too deep".to_owned(),
    }
}
