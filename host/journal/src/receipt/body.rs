//! The content of a receipt, derived from a history.

use orwd_model::Reward;
use serde::{Deserialize, Serialize};

use crate::history::{EpisodeHistory, EpisodeStep};
use crate::record::{self, CreationContent, EndReason, GuestOutcome, Hash};

/// Precedes the signed bytes, so that no other signature of this key can be one
/// of a receipt.
const SIGNED_PREFIX: &[u8] = b"orwd receipt 1\n";

/// Precedes the name of the environment of an imported episode. No name of an
/// environment has a colon.
const IMPORTED_PREFIX: &str = "imported:";

/// Stands for the hash of a task that the host did not keep.
const WITHHELD: &str = "withheld";

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The version that is written and read.
pub(super) const VERSION: u32 = 1;

/// The content of a receipt. Hashes and ids are hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    /// The version of the receipt.
    pub version: u32,
    /// The id of the episode.
    pub episode: String,
    /// The session id on the wire.
    pub session: String,
    /// The environment. For an imported episode, `imported:` and the name
    /// in the file, which need not be that of an environment of this host.
    pub environment: String,
    /// The SHA-256 of its component.
    pub component: String,
    /// The digest of its data, if it has any.
    pub data: Option<String>,
    /// A hash of the task; `withheld` if the host kept no task.
    pub task: String,
    /// The seed.
    pub seed: String,
    /// The first value of its clock, in nanoseconds since 1970.
    pub start: u64,
    /// The version of orwd that ran it.
    pub host: String,
    /// The engine that ran it.
    pub engine: String,
    /// Why it ended; `None` if it has not ended. Then the receipt covers the
    /// records so far.
    pub ended: Option<String>,
    /// The number of records.
    pub records: u64,
    /// The last link of the chain.
    pub link: String,
    /// The number of the first records that this host did not run: they came with
    /// an imported file, and the receipt states nothing of their calls.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub imported_records: u64,
    /// The calls and scorings that this host ran, in order.
    pub calls: Vec<ReceiptCall>,
    /// The sum of the rewards of these calls.
    pub total_reward: f64,
    /// Whether a call finished the episode.
    pub finished: bool,
}

/// A call or a scoring in a receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptCall {
    /// The slot of the request.
    pub seq: u64,
    /// The tool; `None` for a scoring.
    pub tool: Option<String>,
    /// The hash of the request.
    pub ask: String,
    /// The hash of the outcome; `None` if there is none yet.
    pub outcome: Option<String>,
    /// The reward of a call; `None` makes no statement.
    pub reward: Option<f64>,
    /// The rewards of a scoring.
    pub scores: Vec<f64>,
    /// Whether the call finished the episode.
    pub finished: bool,
    /// The chain after the outcome, or after the request if there is none.
    pub link: String,
}

impl ReceiptBody {
    /// Derives the content from a history.
    pub fn of(history: &EpisodeHistory) -> ReceiptBody {
        let here = history.steps().iter().filter(|step| history.ran_here(step));
        ReceiptBody::with_calls(history, here.filter_map(ReceiptCall::of).collect())
    }

    /// Derives the content from these calls, and all else from a history.
    pub(super) fn with_calls(history: &EpisodeHistory, calls: Vec<ReceiptCall>) -> ReceiptBody {
        let created = history.created();
        let imported = history.imported();
        let rewards = calls.iter().filter_map(|call| call.reward);
        ReceiptBody {
            version: VERSION,
            episode: history.episode().to_string(),
            session: created.session.to_string(),
            environment: match imported {
                0 => created.environment.to_string(),
                _ => format!("{IMPORTED_PREFIX}{}", created.environment),
            },
            component: created.component.hex(),
            data: created.data.map(|data| data.hex()),
            task: match created.content {
                CreationContent::Plain => Hash::of_kind(
                    "orwd journal 2026 v1 task",
                    created.task.as_str().as_bytes(),
                )
                .to_string(),
                CreationContent::Sealed(_) | CreationContent::Withheld => WITHHELD.to_owned(),
            },
            seed: orwd_model::hex::encode(&created.seed.get().to_be_bytes()),
            start: created.start.as_nanos(),
            host: created.host_version.clone(),
            engine: created.engine.clone(),
            ended: history.ended().map(|ended| match ended.reason {
                EndReason::Faulted(code) => format!("faulted: {}", code.as_str()),
                other => other.as_str().to_owned(),
            }),
            records: history.next(),
            link: history.tip().to_string(),
            // In order, from zero: the sum of floats depends on it.
            total_reward: rewards
                .fold(0.0, |sum: f64, reward| sum + reward)
                .clamp(f64::MIN, f64::MAX),
            finished: calls.iter().any(|call| call.finished),
            imported_records: imported,
            calls,
        }
    }

    /// Returns the bytes to sign.
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = SIGNED_PREFIX.to_vec();
        record::encode_value(self, &mut bytes);
        bytes
    }
}

impl ReceiptCall {
    /// Derives the entry of a step; `None` if it is neither a call nor a scoring.
    pub(super) fn of(step: &EpisodeStep) -> Option<ReceiptCall> {
        let request = &step.record.request;
        if !request.is_run() {
            return None;
        }
        let recorded = step.outcome.as_ref();
        let outcome = recorded.and_then(|recorded| recorded.record.outcome.as_ref());
        let (reward, scores, finished) = match outcome {
            Some(GuestOutcome::Output(output)) => {
                (output.reward.map(Reward::get), Vec::new(), output.finished)
            }
            Some(GuestOutcome::Scores(scores)) => {
                let rewards = scores.iter().map(|score| score.reward.get());
                (None, rewards.collect(), false)
            }
            _ => (None, Vec::new(), false),
        };
        Some(ReceiptCall {
            seq: step.seq,
            tool: request.tool().map(str::to_owned),
            ask: request.hash().to_string(),
            outcome: recorded.map(|recorded| recorded.record.hash.to_string()),
            reward,
            scores,
            finished,
            link: recorded
                .map_or(step.link, |recorded| recorded.link)
                .to_string(),
        })
    }
}
