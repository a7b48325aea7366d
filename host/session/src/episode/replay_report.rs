//! Replays a history and reports each step, on the version that it was recorded
//! with or on another one.
//!
//! Nothing is journaled, and no client is served. After a step with a different
//! result the replay continues with the next one.

use orwd_catalog::Environment;
use orwd_engine::Engine;
use orwd_journal::{EpisodeHistory, EpisodeStep, GuestOutcome};
use orwd_model::{HttpExchange, Secrets};

use crate::api::principal::Principal;
use crate::episode::replay::{self, GuestBudgets, Replay};

/// A step of the history, and how its replay compares.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReplay<'h> {
    /// The step with its recorded result.
    pub step: &'h EpisodeStep,
    /// How the new result compares with it.
    pub comparison: StepComparison,
    /// The HTTP requests that were sent again, with their results; none if they are
    /// served from the record.
    pub asked: Option<Vec<HttpExchange>>,
}

/// Where the results of the guest's HTTP requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayRequests {
    /// From the record.
    Recorded,
    /// The requests are sent again.
    SentAgain,
}

/// How the result of a replayed step compares with the recorded one.
#[derive(Clone, Debug, PartialEq)]
pub enum StepComparison {
    /// They are equal.
    Equal,
    /// They differ; the new result.
    Different(GuestOutcome),
    /// The step was not replayed. Its recorded result is a fault, which ended
    /// the session, or it has none.
    Skipped,
}

/// How the data of an episode differs from that at its creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDifference {
    /// The difference, for people.
    pub description: String,
    /// Whether the guest has seen a difference, as far as the journal tells.
    pub seen: bool,
}

/// Replays a history, and passes each step to `report`. Returns how the data
/// differs from that at the creation of the episode, if it does.
///
/// # Errors
///
/// If the episode cannot be opened or its data cannot be read.
pub async fn replay_history<'h>(
    engine: &Engine,
    env: &Environment,
    history: &'h EpisodeHistory,
    secrets: Secrets,
    requests: ReplayRequests,
    mut report: impl FnMut(StepReplay<'h>),
) -> Result<Option<DataDifference>, String> {
    let data = env.data_digest().await;
    let data = data.map_err(|error| format!("its data cannot be read: {error}"))?;
    let mismatch = replay::data_mismatch(history.created(), data);
    let owner = Principal::of(history.created().owner.as_deref());
    let permit = engine
        .session_permit(owner.cpu_owner())
        .ok_or("all session permits are taken")?;
    let steps = history.steps().iter();
    let budgets = GuestBudgets::default();
    let mut replay = Replay::open(env, history, steps, secrets, permit, budgets)
        .await
        .map_err(|error| replay::describe(&error))?;
    let is_live = requests == ReplayRequests::SentAgain;
    if is_live {
        replay.ask_again();
    }
    let mut reported = 0;
    // Another version of the environment may look at other data.
    let created = history.created();
    let is_observed = created.observed.is_some() && env.component().digest() == created.component;
    let mut saw_same = replay.saw_same();
    while let Some(replayed) = replay.next().await.map_err(|error| error.to_string())? {
        let same = replayed.is_same();
        saw_same &= replayed.saw_same;
        let comparison = match replayed.outcome {
            None => StepComparison::Skipped,
            Some(_) if same => StepComparison::Equal,
            Some(outcome) => StepComparison::Different(outcome),
        };
        reported += 1;
        report(StepReplay {
            step: replayed.step,
            comparison,
            asked: is_live.then_some(replayed.asked),
        });
    }
    for step in history.steps().iter().skip(reported) {
        report(StepReplay {
            step,
            comparison: StepComparison::Skipped,
            asked: None,
        });
    }
    let seen = !saw_same || !is_observed;
    Ok(match mismatch {
        Some(description) => Some(DataDifference { description, seen }),
        None if is_observed && !saw_same => Some(DataDifference {
            description: "what it saw of its data differs".to_owned(),
            seen,
        }),
        None => None,
    })
}
