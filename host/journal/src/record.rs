//! What is written down: how an episode began, what was asked of it, what that
//! came to, and how it ended.
//!
//! These are the values that the rest of the host deals in. How they are laid
//! out in bytes is the affair of `format`, so that a change here cannot change
//! what a journal holds without somebody noticing.

use super::format;
use super::id::{EpisodeId, Hash};
use orwd_model::{
    Block, Candidate, DataDigest, Digest, EnvName, Fault, FaultCode, Json, Message, Mode, Refusal,
    RunOutcome, Score, SessionId, SessionLimits, TaskId, ToolOutput, ToolSpec,
};

/// A point in time: nanoseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub u64);

/// One record of an episode.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// How it began; slot 0, and no other.
    Created(Box<Created>),
    /// Something asked of it.
    Asked(Box<Asked>),
    /// What an ask came to.
    Answered(Box<Answered>),
    /// How it ended; the last.
    Ended(Ended),
}

/// How an episode began: all that its instance was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The name of the owner; none where no keys are asked for.
    pub owner: Option<String>,
    /// The session's id on the wire.
    pub session: SessionId,
    /// The environment.
    pub environment: EnvName,
    /// Its version.
    pub component: Digest,
    /// What its data was, if it has any.
    pub data: Option<DataDigest>,
    /// What becomes of what it writes.
    pub mode: Mode,
    /// The task, resolved.
    pub task: Json,
    /// What all randomness comes from.
    pub seed: Vec<u8>,
    /// When its clock began.
    pub start: At,
    /// Which clock the guest sees.
    pub clock: ClockMode,
    /// The limits in force.
    pub limits: SessionLimits,
    /// What the host was, as far as results may depend on it.
    pub host: HostFacts,
    /// The secrets that came with it.
    pub secrets: SealedSecrets,
    /// A hash of the request that created it, to know its repetition by.
    pub request: Hash,
    /// The toolset that was asked for.
    pub toolset: Option<String>,
    /// What it was forked from.
    pub parent: Option<Parent>,
}

/// Which clock a guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// One that is the same in every replay.
    Virtual,
    /// The host's; such an episode cannot be replayed.
    Real,
}

/// What a host was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The version of orwd.
    pub version: String,
    /// The engine and what it is set to.
    pub engine: String,
}

/// The secrets of an episode, as far as they are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealedSecrets {
    /// None came with it.
    None,
    /// They are here, but only for who has the key.
    Sealed(Vec<u8>),
    /// There was no key to seal them with, so they are not written down, and
    /// the episode cannot be resumed.
    Withheld,
}

/// What an episode was forked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The episode.
    pub episode: EpisodeId,
    /// Its last record that the two have in common.
    pub seq: u64,
}

/// Something asked of an episode: an entry into its instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// When it came.
    pub at: At,
    /// What.
    pub ask: Ask,
    /// For calls and scoring: how a client finds the run again.
    pub run: Option<RunMark>,
    /// The whole of what was asked, sealed: then `ask` is without the client's
    /// words. Only in the journal of an episode with secrets.
    pub sealed: Option<Vec<u8>>,
}

/// How a client finds a run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMark {
    /// Its id on the wire.
    pub task: TaskId,
    /// A hash of the request's body, to know its repetition by.
    pub body: Hash,
    /// The key that the client gave it.
    pub idempotency_key: Option<String>,
}

/// What can be asked of an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// To set the episode up.
    Setup,
    /// Its prompt.
    Prompt,
    /// Its messages.
    Messages,
    /// The tools of its task.
    TaskTools,
    /// To run a tool.
    Call {
        /// The tool.
        tool: String,
        /// Its input, as the client wrote it.
        input: Json,
    },
    /// To score a group.
    Score {
        /// The group.
        candidates: Vec<Candidate>,
    },
    /// To tear the episode down.
    Teardown,
}

impl Ask {
    /// The word for people.
    pub fn as_str(&self) -> &'static str {
        match self {
            Ask::Setup => "setup",
            Ask::Prompt => "prompt",
            Ask::Messages => "messages",
            Ask::TaskTools => "task tools",
            Ask::Call { .. } => "call",
            Ask::Score { .. } => "score",
            Ask::Teardown => "teardown",
        }
    }

    /// A hash of the whole ask.
    pub fn hash(&self) -> Hash {
        format::hash_ask(self)
    }
}

/// What an ask came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing but that it went well: setup, teardown.
    Done,
    /// A prompt.
    Blocks(Vec<Block>),
    /// A conversation.
    Messages(Vec<Message>),
    /// Tools of the task.
    Tools(Vec<ToolSpec>),
    /// What a tool gave.
    Output(ToolOutput),
    /// A scored group.
    Scores(Vec<Score>),
    /// A call that was not run.
    Refused(Refusal),
    /// A failure in the guest's own words; the session goes on, unless it was
    /// its setup that failed.
    Failed(String),
    /// What ended the session.
    Faulted(Fault),
    /// A teardown went well, and this many files were published into shared
    /// data, which no replay does again.
    Published {
        /// Files that were written.
        files: u64,
    },
}

impl Outcome {
    /// A hash of the whole outcome.
    pub fn hash(&self) -> Hash {
        format::hash_outcome(self)
    }

    /// The outcome of a run; none for an outcome that no run has.
    pub fn into_run(self) -> Option<RunOutcome> {
        match self {
            Outcome::Output(output) => Some(RunOutcome::Output(output)),
            Outcome::Scores(scores) => Some(RunOutcome::Scores(scores)),
            Outcome::Refused(refusal) => Some(RunOutcome::Refused(refusal)),
            Outcome::Failed(message) => Some(RunOutcome::Failed(message)),
            Outcome::Faulted(fault) => Some(RunOutcome::Faulted(fault)),
            Outcome::Done
            | Outcome::Blocks(_)
            | Outcome::Messages(_)
            | Outcome::Tools(_)
            | Outcome::Published { .. } => None,
        }
    }
}

impl From<RunOutcome> for Outcome {
    fn from(outcome: RunOutcome) -> Outcome {
        match outcome {
            RunOutcome::Output(output) => Outcome::Output(output),
            RunOutcome::Scores(scores) => Outcome::Scores(scores),
            RunOutcome::Refused(refusal) => Outcome::Refused(refusal),
            RunOutcome::Failed(message) => Outcome::Failed(message),
            RunOutcome::Faulted(fault) => Outcome::Faulted(fault),
        }
    }
}

/// The answer to an ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The slot of the ask.
    pub of: u64,
    /// The hash of the outcome, by which a replay is compared.
    pub hash: Hash,
    /// The outcome; none if it was not to be kept, or is sealed.
    pub outcome: Option<Outcome>,
    /// The outcome, sealed.
    pub sealed: Option<Vec<u8>>,
    /// CPU time that it took, in microseconds. Not a part of the outcome: it
    /// differs from run to run.
    pub ticks: u64,
}

impl Answered {
    /// An answer with its outcome.
    pub fn new(of: u64, outcome: Outcome, ticks: u64) -> Answered {
        Answered {
            of,
            hash: outcome.hash(),
            outcome: Some(outcome),
            sealed: None,
            ticks,
        }
    }
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: At,
    /// Why.
    pub reason: EndReason,
}

/// Why an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its owner deleted it.
    Deleted,
    /// Nobody asked anything of it for too long.
    Expired,
    /// A fault ended it.
    Faulted(FaultCode),
    /// Its setup failed.
    SetupFailed,
    /// A replay came to something else than what was recorded.
    Diverged,
    /// The host stopped, and could not have resumed it.
    Stopped,
}

impl EndReason {
    /// The word for people and programs; a fault's code stands beside it.
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
