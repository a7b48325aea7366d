//! What a host vouches for: an episode's versions, task, calls and rewards,
//! under one signature.
//!
//! A receipt is JSON for people and tools. What is signed is not that text but
//! the values in it, in the encoding of the journal, so that a receipt may be
//! reformatted and still holds. With the exported journal at hand everything
//! in it is derived again and compared: the chain, the hashes, and the rewards
//! from the outcomes that were recorded.

mod key;

use std::fmt;

use ed25519_dalek::Signature;
use serde::{Deserialize, Serialize};

use super::format;
use super::history::{History, Step};
use super::id::Hash;
use super::record::{Ask, EndReason, Outcome};
use orwd_model::Reward;

pub use key::{ReceiptKey, Signer};

/// Stands before what is signed, so that no other signature of ours is one
/// under a receipt.
const SIGNED: &[u8] = b"orwd receipt 1\n";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// A signed account of an episode, or of what there is of it so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What is vouched for.
    pub receipt: Body,
    /// The public key, as [`ReceiptKey`] is written.
    pub key: String,
    /// The signature, in hexadecimal digits.
    pub signature: String,
}

/// What a receipt vouches for. Hashes and ids are hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The version of the receipt.
    pub version: u32,
    /// The episode.
    pub episode: String,
    /// The session's id on the wire.
    pub session: String,
    /// The environment.
    pub environment: String,
    /// The SHA-256 of its component.
    pub component: String,
    /// The digest of its data, if it has any.
    pub data: Option<String>,
    /// A hash of the task.
    pub task: String,
    /// The seed.
    pub seed: String,
    /// When its clock began, in nanoseconds since 1970.
    pub start: u64,
    /// The version of orwd that ran it.
    pub host: String,
    /// The engine that ran it.
    pub engine: String,
    /// Why it ended; none while it goes on, and then this is an account so
    /// far.
    pub ended: Option<String>,
    /// How many records it has.
    pub records: u64,
    /// What the chain over them comes to.
    pub link: String,
    /// Its calls and scorings, in order.
    pub calls: Vec<CallLine>,
    /// The sum of the calls' rewards.
    pub total_reward: f64,
    /// Whether a call said that the episode is finished.
    pub finished: bool,
}

/// A call or a scoring in a receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallLine {
    /// The slot of the ask.
    pub seq: u64,
    /// The tool; none for a scoring.
    pub tool: Option<String>,
    /// The hash of the ask.
    pub ask: String,
    /// The hash of the outcome; none if there is none yet.
    pub outcome: Option<String>,
    /// The reward of a call; none is no statement.
    pub reward: Option<f64>,
    /// The rewards of a scoring.
    pub scores: Vec<f64>,
    /// Whether the call finished the episode.
    pub finished: bool,
    /// The chain up to the answer, or to the ask if there is none.
    pub link: String,
}

/// Why a receipt does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is no receipt.
    #[error("this is no receipt: {0}")]
    Unreadable(String),
    /// Another version of orwd wrote it.
    #[error("the receipt is of version {0}, and this orwd reads version {VERSION}")]
    Version(u32),
    /// The signature is not one of that key under what the receipt says.
    #[error("the signature does not hold: the receipt was changed, or another key signed it")]
    Signature,
    /// Another key than the expected one signed it.
    #[error("it was signed by {found}, and not by {expected}")]
    Key {
        /// Whose it is.
        found: String,
        /// Whose it was to be.
        expected: String,
    },
    /// The journal tells another story.
    #[error("the receipt differs from the journal: {0}")]
    Journal(String),
}

impl Body {
    /// What there is to say of a history.
    pub fn of(history: &History) -> Body {
        let created = history.created();
        let calls: Vec<CallLine> = history.steps().iter().filter_map(CallLine::of).collect();
        let rewards = calls.iter().filter_map(|call| call.reward);
        Body {
            version: VERSION,
            episode: history.episode().to_string(),
            session: created.session.to_string(),
            environment: created.environment.to_string(),
            component: created.component.hex(),
            data: created.data.map(|data| data.hex()),
            task: Hash::of_kind(
                "orwd journal 2026 v1 task",
                created.task.as_str().as_bytes(),
            )
            .to_string(),
            seed: hex(&created.seed),
            start: created.start.0,
            host: created.host.version.clone(),
            engine: created.host.engine.clone(),
            ended: history.ended().map(|ended| match ended.reason {
                EndReason::Faulted(code) => format!("faulted: {}", code.as_str()),
                other => other.as_str().to_owned(),
            }),
            records: history.next(),
            link: history.tip().to_string(),
            // In order, from zero: a sum of floats depends on it.
            total_reward: rewards
                .fold(0.0, |sum: f64, reward| sum + reward)
                .clamp(f64::MIN, f64::MAX),
            finished: calls.iter().any(|call| call.finished),
            calls,
        }
    }

    /// The bytes that are signed.
    fn signed(&self) -> Vec<u8> {
        let mut bytes = SIGNED.to_vec();
        format::write(self, &mut bytes);
        bytes
    }
}

impl CallLine {
    /// The line of a step; none for what is neither a call nor a scoring.
    fn of(step: &Step) -> Option<CallLine> {
        let tool = match &step.asked.ask {
            Ask::Call { tool, .. } => Some(tool.clone()),
            Ask::Score { .. } => None,
            Ask::Setup | Ask::Prompt | Ask::Messages | Ask::TaskTools | Ask::Teardown => {
                return None;
            }
        };
        let answer = step.answer.as_ref();
        let outcome = answer.and_then(|answer| answer.answered.outcome.as_ref());
        let (reward, scores, finished) = match outcome {
            Some(Outcome::Output(output)) => {
                (output.reward.map(Reward::get), Vec::new(), output.finished)
            }
            Some(Outcome::Scores(scores)) => {
                let rewards = scores.iter().map(|score| score.reward.get());
                (None, rewards.collect(), false)
            }
            _ => (None, Vec::new(), false),
        };
        Some(CallLine {
            seq: step.seq,
            tool,
            ask: step.asked.ask.hash().to_string(),
            outcome: answer.map(|answer| answer.answered.hash.to_string()),
            reward,
            scores,
            finished,
            link: answer.map_or(step.link, |answer| answer.link).to_string(),
        })
    }
}

impl Receipt {
    /// Signs an account of a history.
    pub fn sign(history: &History, signer: &Signer) -> Receipt {
        let body = Body::of(history);
        let signature = signer.sign(&body.signed());
        Receipt {
            receipt: body,
            key: signer.key().to_string(),
            signature: hex(&signature.to_bytes()),
        }
    }

    /// Reads a receipt. Its version is looked at before anything else.
    pub fn parse(text: &str) -> Result<Receipt, ReceiptError> {
        #[derive(Deserialize)]
        struct Outer {
            receipt: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            version: u32,
        }
        let unreadable = |error: serde_json::Error| ReceiptError::Unreadable(error.to_string());
        let Outer { receipt } = serde_json::from_str(text).map_err(unreadable)?;
        if receipt.version != VERSION {
            return Err(ReceiptError::Version(receipt.version));
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// The receipt as people and tools read it.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        serde_json::to_string_pretty(self)
            .map_err(|error| ReceiptError::Unreadable(error.to_string()))
    }

    /// Checks the signature, and that this key made it, if one is given.
    pub fn verify(&self, expected: Option<&ReceiptKey>) -> Result<ReceiptKey, ReceiptError> {
        let key = ReceiptKey::parse(&self.key)
            .ok_or_else(|| ReceiptError::Unreadable("its key is none".to_owned()))?;
        if let Some(expected) = expected.filter(|expected| **expected != key) {
            return Err(ReceiptError::Key {
                found: key.to_string(),
                expected: expected.to_string(),
            });
        }
        let bytes = unhex(&self.signature).and_then(|bytes| bytes.try_into().ok());
        let signature = Signature::from_bytes(&bytes.ok_or(ReceiptError::Signature)?);
        if key.has_signed(&self.receipt.signed(), &signature) {
            Ok(key)
        } else {
            Err(ReceiptError::Signature)
        }
    }

    /// Derives everything again from a history that has as many records, and
    /// names what differs first.
    pub fn compare(&self, history: &History) -> Result<(), ReceiptError> {
        let derived = Body::of(history);
        let (said, found) = (&self.receipt, &derived);
        let fields: [(&str, &dyn fmt::Debug, &dyn fmt::Debug); 15] = [
            ("episode", &said.episode, &found.episode),
            ("session", &said.session, &found.session),
            ("environment", &said.environment, &found.environment),
            ("component", &said.component, &found.component),
            ("data", &said.data, &found.data),
            ("task", &said.task, &found.task),
            ("seed", &said.seed, &found.seed),
            ("start", &said.start, &found.start),
            ("host", &said.host, &found.host),
            ("engine", &said.engine, &found.engine),
            ("ended", &said.ended, &found.ended),
            ("number of records", &said.records, &found.records),
            ("total reward", &said.total_reward, &found.total_reward),
            ("finished", &said.finished, &found.finished),
            ("number of calls", &said.calls.len(), &found.calls.len()),
        ];
        for (name, said, found) in fields {
            let (said, found) = (format!("{said:?}"), format!("{found:?}"));
            if said != found {
                return Err(ReceiptError::Journal(format!(
                    "its {name} is {said}, and by the journal {found}"
                )));
            }
        }
        for (said, found) in said.calls.iter().zip(&found.calls) {
            if said != found {
                return Err(ReceiptError::Journal(format!(
                    "the call in record {} is {said:?}, and by the journal {found:?}",
                    found.seq
                )));
            }
        }
        // Above all of it: what the list of fields may have missed.
        if *said == *found {
            Ok(())
        } else {
            Err(ReceiptError::Journal("the chain is another".to_owned()))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let plain = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !plain || !text.len().is_multiple_of(2) || text.len() > 1024 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for at in (0..text.len()).step_by(2) {
        bytes.push(u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?);
    }
    Some(bytes)
}
