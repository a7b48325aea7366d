//! What people and tools are shown of sessions, beyond the protocol.

use serde::Serialize;

use super::handle::Handle;
use super::replay;
use super::state::Shared;
use orwd_journal::{EpisodeHistory, EpisodeStep, GuestOutcome, GuestRequest, SealedSecrets};
use orwd_model::{SessionId, Timestamp};

/// A session in a line.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Its id.
    pub session: String,
    /// Its environment.
    pub environment: String,
    /// The version of that.
    pub component: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// Where it stands: `ready`, `asleep`, `faulted` and so on.
    pub state: &'static str,
    /// Calls that were taken for repetitions since it was last in memory,
    /// though they had no key.
    pub attached: u64,
}

/// A session with its steps.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// The session.
    #[serde(flatten)]
    pub overview: Overview,
    /// This life of it.
    pub episode: String,
    /// What its randomness is made of.
    pub seed: u64,
    /// Whether it can be done again.
    pub replayable: bool,
    /// What it was forked from.
    pub parent: Option<Origin>,
    /// What was asked of it, in order.
    pub steps: Vec<Entry>,
}

/// What a session was forked from.
#[derive(Clone, Debug, Serialize)]
pub struct Origin {
    /// The episode.
    pub episode: String,
    /// The last record that the two have in common.
    pub record: u64,
}

/// Something that was asked of a session.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its record in the journal.
    pub record: u64,
    /// For calls and scoring: which one it is, counted from 1. A fork may be
    /// made after it.
    pub step: Option<u64>,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// What was asked.
    pub kind: &'static str,
    /// The tool.
    pub tool: Option<String>,
    /// The id of the run.
    pub task_id: Option<String>,
    /// What came of it; none while it runs.
    pub outcome: Option<&'static str>,
    /// The hash of that.
    pub hash: Option<String>,
    /// The reward that a tool gave.
    pub reward: Option<f64>,
    /// Whether a tool said that the episode is over.
    pub finished: bool,
}

impl Overview {
    pub(super) fn of(handle: &Handle) -> Overview {
        let shared: &Shared = &handle.shared;
        let identity = &shared.identity;
        Overview {
            session: identity.id.as_str().to_owned(),
            environment: identity.environment.as_str().to_owned(),
            component: identity.component.to_string(),
            created_ms: millis(identity.created),
            state: shared.phase.borrow().as_str(),
            attached: shared.resends().attached(),
        }
    }

    /// One that is over.
    pub(super) fn ended(session: &SessionId, history: &EpisodeHistory) -> Overview {
        let created = history.created();
        Overview {
            session: session.as_str().to_owned(),
            environment: created.environment.as_str().to_owned(),
            component: created.component.to_string(),
            created_ms: millis(created.start),
            state: history
                .ended()
                .map_or("asleep", |ended| ended.reason.as_str()),
            attached: 0,
        }
    }
}

impl Detail {
    pub(super) fn of(overview: Overview, history: &EpisodeHistory) -> Detail {
        let created = history.created();
        let determinism = replay::determinism(created);
        let mut count = 0;
        let steps = history.steps().iter();
        Detail {
            overview,
            episode: history.episode().to_string(),
            seed: determinism.seed.get(),
            replayable: determinism.clock.is_replayable()
                && created.secrets != SealedSecrets::Withheld,
            parent: created.parent.map(|parent| Origin {
                episode: parent.episode.to_string(),
                record: parent.seq,
            }),
            steps: steps.map(|step| entry(step, &mut count)).collect(),
        }
    }
}

fn entry(step: &EpisodeStep, count: &mut u64) -> Entry {
    let asked = &step.record;
    let number = is_counted(step).then(|| {
        *count += 1;
        *count
    });
    let answered = step.outcome.as_ref().map(|answer| &answer.record);
    let outcome = answered.and_then(|answered| answered.outcome.as_ref());
    let output = match outcome {
        Some(GuestOutcome::Output(output)) => Some(output),
        _ => None,
    };
    Entry {
        record: step.seq,
        step: number,
        at_ms: millis(asked.at),
        kind: asked.request.as_str(),
        tool: match &asked.request {
            GuestRequest::Call { tool, .. } => Some(tool.clone()),
            _ => None,
        },
        task_id: asked.run.as_ref().map(|run| run.id.to_string()),
        outcome: answered.map(|_| outcome.map_or("not kept", kind)),
        hash: answered.map(|answered| answered.hash.to_string()),
        reward: output
            .and_then(|output| output.reward)
            .map(|reward| reward.get()),
        finished: output.is_some_and(|output| output.finished),
    }
}

/// Whether a step is one that people count.
pub(super) fn is_counted(step: &EpisodeStep) -> bool {
    matches!(
        step.record.request,
        GuestRequest::Call { .. } | GuestRequest::Score { .. }
    )
}

/// The kind of an outcome in a word.
pub(super) fn kind(outcome: &GuestOutcome) -> &'static str {
    match outcome {
        GuestOutcome::Done => "done",
        GuestOutcome::Blocks(_) => "prompt",
        GuestOutcome::Messages(_) => "messages",
        GuestOutcome::Tools(_) => "tools",
        GuestOutcome::Output(_) => "output",
        GuestOutcome::Scores(_) => "scores",
        GuestOutcome::Refused(_) => "refused",
        GuestOutcome::Failed(_) => "failed",
        GuestOutcome::Faulted(_) => "faulted",
        GuestOutcome::Published { .. } => "published",
    }
}

fn millis(moment: Timestamp) -> u64 {
    moment.as_nanos() / 1_000_000
}
