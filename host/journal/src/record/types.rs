//! The records of an episode.
//!
//! Their serde form is the record format. The names of fields in it are older
//! than those of the types, which is why some differ.

use orwd_model::{
    ClockMode, DataDigest, DataMode, Digest, EnvName, FaultCode, HttpExchange, Json, RunId, Seed,
    SessionId, SessionLimits, Timestamp, json_text,
};
use serde::{Deserialize, Serialize};

use super::id::{EpisodeId, Hash};
use super::request::{GuestOutcome, GuestRequest};

/// One record of an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The session was created; always slot 0.
    Created(Box<CreatedRecord>),
    /// A request to the guest.
    #[serde(rename = "asked")]
    Request(Box<RequestRecord>),
    /// The outcome of a request.
    #[serde(rename = "answered")]
    Outcome(Box<OutcomeRecord>),
    /// An HTTP request that the guest made during a request, with its result.
    Exchange(Box<ExchangeRecord>),
    /// The session ended; always the last record.
    Ended(EndedRecord),
}

/// The creation of a session: everything that its instance was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatedRecord {
    /// The name of the owner; `None` if the server requires no API keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The session id on the wire.
    pub session: SessionId,
    /// The environment.
    pub environment: EnvName,
    /// The version of the environment.
    pub component: Digest,
    /// The digest of its data, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataDigest>,
    /// The hash of what the guest had seen of its data when it was opened. A
    /// record without it is bound to all of its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Hash>,
    /// Where the session's writes go.
    #[serde(default, skip_serializing_if = "DataMode::is_session")]
    pub mode: DataMode,
    /// The resolved task.
    #[serde(with = "json_text")]
    pub task: Json,
    /// The seed of all randomness.
    pub seed: Seed,
    /// The first value of the guest's clock.
    pub start: Timestamp,
    /// The clock that the guest observes.
    pub clock: ClockMode,
    /// The limits in force.
    pub limits: SessionLimits,
    /// The version of orwd.
    #[serde(rename = "host")]
    pub host_version: String,
    /// The engine and its settings, as far as results depend on them.
    pub engine: String,
    /// The secrets of the session.
    pub secrets: SealedSecrets,
    /// A hash of the creating request, which identifies a retry.
    pub request: Hash,
    /// The requested toolset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolset: Option<String>,
    /// The origin of a forked session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ForkOrigin>,
    /// Where the task and the toolset are. Unless they are in plain, the fields
    /// for them are empty.
    #[serde(default, skip_serializing_if = "CreationContent::is_plain")]
    pub content: CreationContent,
    /// The episode that the content of the later records is sealed for, if it is
    /// another: the first one of a line of forks, which share these records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_for: Option<EpisodeId>,
}

impl CreatedRecord {
    /// Returns the episode that the content of the records after this one is
    /// sealed for.
    pub fn sealed_for(&self, episode: EpisodeId) -> EpisodeId {
        self.sealed_for.unwrap_or(episode)
    }
}

/// Where the content of the first record is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreationContent {
    /// In the fields of the record.
    #[default]
    Plain,
    /// Here, sealed; only in an episode with secrets.
    Sealed(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Nowhere: the episode has secrets, and there was no key.
    Withheld,
}

impl CreationContent {
    /// Whether the content is in the fields of the record.
    pub fn is_plain(&self) -> bool {
        *self == CreationContent::Plain
    }
}

/// The secrets of an episode, as the journal stores them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealedSecrets {
    /// The session has no secrets.
    None,
    /// The secrets, sealed with the host's seal key.
    Sealed(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The secrets were not stored because there was no key. The episode cannot
    /// be resumed.
    Withheld,
}

/// The origin of a forked episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkOrigin {
    /// The parent episode.
    pub episode: EpisodeId,
    /// The parent's last record that the two episodes share.
    pub seq: u64,
}

/// A request to the guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRecord {
    /// When the request arrived.
    pub at: Timestamp,
    /// The request. With `sealed`, it lacks the client's content.
    #[serde(rename = "ask")]
    pub request: GuestRequest,
    /// The identity of the run, for calls and scorings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunIdentity>,
    /// The whole request, sealed; only in an episode with secrets.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub sealed: Option<Vec<u8>>,
}

/// The identity of a run, by which a client finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunIdentity {
    /// The id on the wire.
    #[serde(rename = "task")]
    pub id: RunId,
    /// A hash of the request's body, which identifies a retry.
    pub body: Hash,
    /// The client's idempotency key.
    #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeRecord {
    /// The slot of the request.
    pub of: u64,
    /// A hash of the outcome, which replays compare.
    pub hash: Hash,
    /// The CPU time used, in microseconds. It is no part of the outcome, since it
    /// differs from run to run.
    #[serde(rename = "ticks")]
    pub cpu_micros: u64,
    /// The outcome; `None` if it is sealed or withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<GuestOutcome>,
    /// The outcome, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub sealed: Option<Vec<u8>>,
    /// The hash of what the guest has seen of its data so far, if it has seen
    /// more since the last record that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Hash>,
}

/// An HTTP request of the guest, with its result. It is committed before the guest
/// sees the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRecord {
    /// The slot of the request to the guest during which it was made.
    pub of: u64,
    /// Both; `None` if they are sealed or withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<HttpExchange>,
    /// Both, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub sealed: Option<Vec<u8>>,
}

/// The end of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedRecord {
    /// When the episode ended.
    pub at: Timestamp,
    /// Why the episode ended.
    pub reason: EndReason,
}

/// Why an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its owner deleted it.
    Deleted,
    /// It was idle for longer than the idle timeout.
    Expired,
    /// A fault ended it.
    Faulted(FaultCode),
    /// Its setup failed.
    SetupFailed,
    /// A replay had another outcome than the record.
    Diverged,
    /// The host stopped and could not have resumed it.
    Stopped,
}

impl EndReason {
    /// Returns the name of the reason, without the code of a fault.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Deleted => "deleted",
            EndReason::Expired => "expired",
            EndReason::Faulted(_) => "faulted",
            EndReason::SetupFailed => "setup_failed",
            EndReason::Diverged => "diverged",
            EndReason::Stopped => "stopped",
        }
    }
}
