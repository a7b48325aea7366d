//! Removes from the journal what ended long ago.
//!
//! An episode that has ended can still be looked at, replayed, exported and
//! vouched for. For how long is the operator's choice, since otherwise a host
//! that serves for long enough fills any disk. Forks have all of their past in
//! records of their own and need no parent.

use std::sync::Weak;
use std::time::Duration;

use super::sessions::Inner;
use orwd_journal::{EpisodeFilter, Journal, JournalError};
use orwd_model::Timestamp;

/// Episodes that are looked up at once.
const PAGE: u32 = 256;

/// The time between two episodes: calls come first.
const BREATH: Duration = Duration::from_millis(5);

/// Looks for what may go every so often, until the sessions are gone.
pub(super) async fn run(sessions: Weak<Inner>, retention: Duration) {
    let pause = retention / 4;
    let pause = pause.clamp(Duration::from_millis(250), Duration::from_secs(600));
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let journal = sessions.house.journal.clone();
        drop(sessions);
        let ended_before = Timestamp::now().saturating_sub(retention);
        match prune(&journal, ended_before).await {
            Ok(0) => {}
            Ok(episodes) => tracing::info!(episodes, "the journal is rid of what ended long ago"),
            Err(error) => tracing::warn!(%error, "what ended long ago stays in the journal"),
        }
    }
}

/// Removes what ended before this moment; says how many episodes that were.
async fn prune(journal: &Journal, ended_before: Timestamp) -> Result<u64, JournalError> {
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
            tokio::time::sleep(BREATH).await;
        }
    }
}
