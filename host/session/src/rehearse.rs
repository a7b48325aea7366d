//! A journal done again for somebody who watches, on the version that it was
//! made with or on another one.
//!
//! Nothing is written, and nobody is served. Where something else comes of a
//! step than was recorded, that is told, and the next step is done all the
//! same.

use super::replay::{self, Replay};
use orwd_catalog::Environment;
use orwd_engine::Engine;
use orwd_journal::{EpisodeHistory, EpisodeStep, GuestOutcome};
use orwd_model::Secrets;

/// A step that was done again.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsed<'h> {
    /// The step, with what came of it then.
    pub step: &'h EpisodeStep,
    /// What came of it now.
    pub now: Rerun,
}

/// What came of a step that was done again.
#[derive(Clone, Debug, PartialEq)]
pub enum Rerun {
    /// The same.
    Same,
    /// Something else.
    Different(GuestOutcome),
    /// It was not done again: it was a fault, which ended the session, or
    /// there was never an answer.
    Skipped,
}

/// Does a whole history again, and tells of each step. Gives, in words, what
/// is different about the data that it is done over, if anything is.
///
/// # Errors
///
/// In words, if the episode cannot be opened or its data cannot be read.
pub async fn rehearse<'h>(
    engine: &Engine,
    env: &Environment,
    history: &'h EpisodeHistory,
    secrets: Secrets,
    mut each: impl FnMut(Rehearsed<'h>),
) -> Result<Option<String>, String> {
    let data = env.data_digest().await;
    let data = data.map_err(|error| format!("its data cannot be read: {error}"))?;
    let other = replay::other_data(history.created(), data);
    let slot = engine
        .session_permit()
        .ok_or("there is no place for an instance")?;
    let mut replay = Replay::open(env, history, secrets, slot)
        .await
        .map_err(|error| replay::why_not(&error))?;
    let mut told = 0;
    while let Some(done) = replay.next().await {
        let same = done.is_same();
        let now = match done.seen {
            None => Rerun::Skipped,
            Some(_) if same => Rerun::Same,
            Some(outcome) => Rerun::Different(outcome),
        };
        told += 1;
        each(Rehearsed {
            step: done.step,
            now,
        });
    }
    for step in history.steps().iter().skip(told) {
        let now = Rerun::Skipped;
        each(Rehearsed { step, now });
    }
    Ok(other)
}
