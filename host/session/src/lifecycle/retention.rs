//! Removes ended sessions from the journal after the retention time.
//!
//! Until then they can be inspected, replayed, exported and receipted. Forks
//! hold copies of the records that they share, and do not need their parent.

use std::sync::Weak;
use std::time::Duration;

use orwd_journal::{EpisodeFilter, Journal, JournalError};
use orwd_model::Timestamp;

use crate::lifecycle::registry::SessionRegistry;

/// The most episodes that one query returns.
const PAGE: u32 = 256;

/// The pause between two episodes, so that requests are not delayed.
const PAUSE: Duration = Duration::from_millis(5);

/// Removes what has expired at intervals, until the server has stopped.
pub(super) async fn run(registry: Weak<SessionRegistry>, retention: Duration) {
    let interval = retention / 4;
    let interval = interval.clamp(Duration::from_millis(250), Duration::from_secs(600));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let journal = registry.context.journal.clone();
        drop(registry);
        let ended_before = Timestamp::now().saturating_sub(retention);
        match remove_ended(&journal, ended_before).await {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "ended sessions removed from the journal"),
            Err(error) => tracing::warn!(%error, "ended sessions not removed from the journal"),
        }
    }
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
