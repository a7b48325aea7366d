//! How records are laid out: a byte for the version of the format, then CBOR.
//!
//! The types of the layout are this module's own. What a journal holds is read
//! for years by other versions, so that a change of a type elsewhere has to
//! come through here, where it does not compile until somebody has decided
//! what becomes of the format. Fields and kinds that are not known are refused
//! by name and never skipped: a record half understood is a wrong record.
//!
//! A field is written in one way only, so hashes of what is encoded are hashes
//! of the values.

mod ask;
mod block;
mod created;
mod outcome;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::id::Hash;
use super::record::{Answered, Ask, Asked, At, EndReason, Ended, Outcome, Record, RunMark};
use orwd_model::{FaultCode, TaskId};

/// The version that is written.
const VERSION: u8 = 1;

/// How deep a record may nest. What is written nests less than twenty deep.
const DEPTH: usize = 32;

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoRecord {
    #[error("it is empty")]
    Empty,
    #[error("it is of format version {0}, and this orwd reads version {VERSION}")]
    Version(u8),
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Value(String),
}

impl NoRecord {
    fn value(what: impl ToString) -> NoRecord {
        NoRecord::Value(what.to_string())
    }
}

/// The bytes of a record.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    let laid_out = match record {
        Record::Created(created) => Layout::Created(Box::new(created::Layout::from(&**created))),
        Record::Asked(asked) => Layout::Asked(AskedLayout::from(&**asked)),
        Record::Answered(answered) => Layout::Answered(AnsweredLayout::from(&**answered)),
        Record::Ended(ended) => Layout::Ended(EndedLayout::from(ended)),
    };
    let mut bytes = vec![VERSION];
    write(&laid_out, &mut bytes);
    bytes
}

/// The record of these bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, NoRecord> {
    let (version, rest) = bytes.split_first().ok_or(NoRecord::Empty)?;
    if *version != VERSION {
        return Err(NoRecord::Version(*version));
    }
    Ok(match read(rest)? {
        Layout::Created(created) => Record::Created(Box::new((*created).try_into()?)),
        Layout::Asked(asked) => Record::Asked(Box::new(asked.try_into()?)),
        Layout::Answered(answered) => Record::Answered(Box::new(answered.try_into()?)),
        Layout::Ended(ended) => Record::Ended(ended.try_into()?),
    })
}

/// A hash of a whole ask.
pub(super) fn hash_ask(ask: &Ask) -> Hash {
    hash("orwd journal 2026 v1 ask", &ask::Layout::from(ask))
}

/// A hash of a whole outcome.
pub(super) fn hash_outcome(outcome: &Outcome) -> Hash {
    hash(
        "orwd journal 2026 v1 outcome",
        &outcome::Layout::from(outcome),
    )
}

/// A whole ask, to be sealed.
pub(super) fn words_of_ask(ask: &Ask) -> Vec<u8> {
    let mut words = Vec::new();
    write(&ask::Layout::from(ask), &mut words);
    words
}

/// The ask of these words.
pub(super) fn ask_of_words(words: &[u8]) -> Result<Ask, NoRecord> {
    read::<ask::Layout>(words)?.try_into()
}

/// A whole outcome, to be sealed.
pub(super) fn words_of_outcome(outcome: &Outcome) -> Vec<u8> {
    let mut words = Vec::new();
    write(&outcome::Layout::from(outcome), &mut words);
    words
}

/// The outcome of these words.
pub(super) fn outcome_of_words(words: &[u8]) -> Result<Outcome, NoRecord> {
    read::<outcome::Layout>(words)?.try_into()
}

fn hash(kind: &str, value: &impl Serialize) -> Hash {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    Hash::of_kind(kind, &bytes)
}

/// Writes a value of a layout.
pub(super) fn write(value: &impl Serialize, into: &mut Vec<u8>) {
    // A vector takes everything, and a layout holds nothing that CBOR cannot.
    let _ = ciborium::into_writer(value, into);
}

/// Reads a value of a layout, which takes up all of the bytes.
pub(super) fn read<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, NoRecord> {
    let value = ciborium::de::from_reader_with_recursion_limit(&mut bytes, DEPTH)
        .map_err(|error| NoRecord::Unreadable(said(&error)))?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(NoRecord::Unreadable(format!(
            "{} bytes follow it",
            bytes.len()
        )))
    }
}

/// The error in a few words; its own text is that of a debugger.
fn said(error: &ciborium::de::Error<std::io::Error>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "it breaks off".to_owned(),
        ciborium::de::Error::Syntax(at) => format!("no CBOR at byte {at}"),
        ciborium::de::Error::Semantic(_, what) => what.chars().take(200).collect(),
        ciborium::de::Error::RecursionLimitExceeded => "it nests too deep".to_owned(),
    }
}

/// A record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Layout {
    Created(Box<created::Layout>),
    Asked(AskedLayout),
    Answered(AnsweredLayout),
    Ended(EndedLayout),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedLayout {
    at: u64,
    ask: ask::Layout,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<RunLayout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<ByteBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunLayout {
    #[serde(with = "serde_bytes")]
    task: [u8; 16],
    #[serde(with = "serde_bytes")]
    body: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl From<&Asked> for AskedLayout {
    fn from(asked: &Asked) -> AskedLayout {
        let run = asked.run.as_ref().map(|run| RunLayout {
            task: *run.task.as_bytes(),
            body: *run.body.as_bytes(),
            key: run.idempotency_key.clone(),
        });
        AskedLayout {
            at: asked.at.0,
            ask: ask::Layout::from(&asked.ask),
            run,
            sealed: asked.sealed.clone().map(ByteBuf::from),
        }
    }
}

impl TryFrom<AskedLayout> for Asked {
    type Error = NoRecord;

    fn try_from(layout: AskedLayout) -> Result<Asked, NoRecord> {
        let run = layout.run.map(|run| RunMark {
            task: TaskId::from_bytes(run.task),
            body: Hash::from_bytes(run.body),
            idempotency_key: run.key,
        });
        Ok(Asked {
            at: At(layout.at),
            ask: layout.ask.try_into()?,
            run,
            sealed: layout.sealed.map(ByteBuf::into_vec),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnsweredLayout {
    of: u64,
    #[serde(with = "serde_bytes")]
    hash: [u8; 32],
    ticks: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<outcome::Layout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<ByteBuf>,
}

impl From<&Answered> for AnsweredLayout {
    fn from(answered: &Answered) -> AnsweredLayout {
        AnsweredLayout {
            of: answered.of,
            hash: *answered.hash.as_bytes(),
            ticks: answered.ticks,
            outcome: answered.outcome.as_ref().map(outcome::Layout::from),
            sealed: answered.sealed.clone().map(ByteBuf::from),
        }
    }
}

impl TryFrom<AnsweredLayout> for Answered {
    type Error = NoRecord;

    fn try_from(layout: AnsweredLayout) -> Result<Answered, NoRecord> {
        let outcome: Option<Outcome> = layout.outcome.map(TryInto::try_into).transpose()?;
        let hash = Hash::from_bytes(layout.hash);
        if outcome
            .as_ref()
            .is_some_and(|outcome| outcome.hash() != hash)
        {
            return Err(NoRecord::value("the hash of its outcome is another"));
        }
        Ok(Answered {
            of: layout.of,
            hash,
            outcome,
            sealed: layout.sealed.map(ByteBuf::into_vec),
            ticks: layout.ticks,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndedLayout {
    at: u64,
    reason: ReasonLayout,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReasonLayout {
    Deleted,
    Expired,
    Faulted(String),
    SetupFailed,
    Diverged,
    Stopped,
}

impl From<&Ended> for EndedLayout {
    fn from(ended: &Ended) -> EndedLayout {
        let reason = match ended.reason {
            EndReason::Deleted => ReasonLayout::Deleted,
            EndReason::Expired => ReasonLayout::Expired,
            EndReason::Faulted(code) => ReasonLayout::Faulted(code.as_str().to_owned()),
            EndReason::SetupFailed => ReasonLayout::SetupFailed,
            EndReason::Diverged => ReasonLayout::Diverged,
            EndReason::Stopped => ReasonLayout::Stopped,
        };
        EndedLayout {
            at: ended.at.0,
            reason,
        }
    }
}

impl TryFrom<EndedLayout> for Ended {
    type Error = NoRecord;

    fn try_from(layout: EndedLayout) -> Result<Ended, NoRecord> {
        let reason = match layout.reason {
            ReasonLayout::Deleted => EndReason::Deleted,
            ReasonLayout::Expired => EndReason::Expired,
            ReasonLayout::Faulted(code) => EndReason::Faulted(fault_code(&code)?),
            ReasonLayout::SetupFailed => EndReason::SetupFailed,
            ReasonLayout::Diverged => EndReason::Diverged,
            ReasonLayout::Stopped => EndReason::Stopped,
        };
        Ok(Ended {
            at: At(layout.at),
            reason,
        })
    }
}

/// The fault of this code.
fn fault_code(text: &str) -> Result<FaultCode, NoRecord> {
    let mut known = FaultCode::ALL.iter().copied();
    known
        .find(|code| code.as_str() == text)
        .ok_or_else(|| NoRecord::Value(format!("there is no fault {:?}", short(text))))
}

/// The beginning of a text that may be long.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
