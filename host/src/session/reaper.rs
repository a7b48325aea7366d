//! Ends sessions that nobody has asked anything of for too long.
//!
//! A session with a call in flight is never reaped, however long the call.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::table::Inner;

/// Looks around every so often, until the table is gone.
pub(super) async fn run(table: Weak<Inner>, idle_timeout: Duration) {
    let pause = (idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(table) = table.upgrade() else {
            return;
        };
        let now = Instant::now();
        for (key, handle) in table.handles() {
            handle.shared.runs().forget(now);
            let idle = handle.shared.idle();
            if idle.is_none_or(|idle| idle < idle_timeout) {
                continue;
            }
            // Asked again under the table's lock: a request may just have come.
            if let Some(handle) = table.remove_if(&key, |handle| {
                handle
                    .shared
                    .idle()
                    .is_some_and(|idle| idle >= idle_timeout)
            }) {
                tracing::info!(session = %key.id, "an idle session was ended");
                tokio::spawn(handle.delete());
            }
        }
    }
}
