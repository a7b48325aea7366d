//! Removes ended sessions from the journal after the retention time.
//!
//! Until then they can be inspected, replayed, exported and receipted. Forks
//! hold copies of the records that they share, and do not need their parent. A
//! jump of the wall clock removes nothing: see [`RetentionClock`].

use std::sync::Weak;
use std::time::{Duration, Instant};

use orwd_journal::{EpisodeFilter, Journal, JournalError};
use orwd_model::Timestamp;

use crate::lifecycle::cleanup::retention_clock::{Advance, RetentionClock};
use crate::lifecycle::registry::SessionRegistry;

/// The most episodes that one query returns.
const PAGE: u32 = 256;

/// The name of the saved clock in the journal.
const SAVED_CLOCK: &str = "retention clock";

/// The pause between two episodes, so that requests are not delayed.
const PAUSE: Duration = Duration::from_millis(5);

/// Removes what has expired at intervals, until the server has stopped.
pub(crate) async fn run(registry: Weak<SessionRegistry>, retention: Duration) {
    let interval = retention / 4;
    let interval = interval.clamp(Duration::from_millis(250), Duration::from_secs(600));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut clock = None;
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let journal = registry.context.journal.clone();
        drop(registry);
        let elapsed = last.elapsed();
        last += elapsed;
        let now = match advance(&journal, &mut clock, elapsed, retention).await {
            Ok(now) => now,
            Err(error) => {
                tracing::warn!(%error, "ended sessions not removed from the journal");
                continue;
            }
        };
        match remove_ended(&journal, now.saturating_sub(retention)).await {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "ended sessions removed from the journal"),
            Err(error) => tracing::warn!(%error, "ended sessions not removed from the journal"),
        }
    }
}

/// Advances the clock, saves it, and returns its time. Reads it first if it is
/// not in memory.
async fn advance(
    journal: &Journal,
    clock: &mut Option<RetentionClock>,
    elapsed: Duration,
    retention: Duration,
) -> Result<Timestamp, JournalError> {
    let wall = Timestamp::now();
    let (mut advanced, elapsed) = match clock.take() {
        Some(clock) => (clock, elapsed),
        None => {
            let fresh = RetentionClock::new(wall);
            let saved = journal.value(SAVED_CLOCK, fresh.save()).await?;
            (
                RetentionClock::restore(&saved).unwrap_or(fresh),
                Duration::ZERO,
            )
        }
    };
    match advanced.advance(wall, elapsed, retention) {
        Advance::Regular => {}
        Advance::Jumped(ahead) => tracing::warn!(
            ahead_seconds = ahead.as_secs(),
            wait_seconds = retention.as_secs(),
            "retention delayed: the wall clock jumped forward, or the server was stopped"
        ),
        Advance::Accepted => tracing::info!("retention follows the wall clock again"),
    }
    let saved = advanced.save();
    // Kept even if it cannot be saved: the time has passed.
    let now = clock.insert(advanced).now();
    journal.set_value(SAVED_CLOCK, saved).await?;
    Ok(now)
}

/// Removes the sessions that ended before this time; returns how many.
async fn remove_ended(journal: &Journal, ended_before: Timestamp) -> Result<u64, JournalError> {
    let mut removed = 0;
    loop {
        let page = journal
            .list(EpisodeFilter {
                ended_before: Some(ended_before),
                limit: Some(PAGE),
                ..EpisodeFilter::default()
            })
            .await?;
        if page.is_empty() {
            return Ok(removed);
        }
        for episode in page {
            journal.purge(episode.id).await?;
            removed += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
}
