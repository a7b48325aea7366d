//! Ends sessions that nobody has asked anything of for too long, and puts
//! those to sleep whose guests have had nothing to do for a while.
//!
//! A session with a call in flight is left alone, however long the call.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::house::SessionSettings;
use super::owner::Ending;
use super::sessions::Inner;
use super::state::Ground;

/// Looks around every so often, until the sessions are gone.
pub(super) async fn run(sessions: Weak<Inner>, settings: SessionSettings) {
    let SessionSettings {
        idle_timeout,
        hibernate_after,
        ..
    } = settings;
    let pause = hibernate_after.map_or(idle_timeout, |after| after.min(idle_timeout)) / 4;
    let pause = pause.clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let now = Instant::now();
        for (key, handle) in sessions.table.handles() {
            let shared = &handle.shared;
            shared.runs().forget(now);
            shared.resends().forget(now);
            let idle = shared.idle();
            if idle.is_none_or(|idle| idle < idle_timeout) {
                let ready = shared.phase.borrow().is_at_rest();
                let can_sleep = shared.ground().is_some_and(Ground::can_sleep);
                let rested = hibernate_after
                    .is_some_and(|after| shared.rest().is_some_and(|rest| rest >= after));
                if ready && can_sleep && rested {
                    handle.hibernate();
                }
                continue;
            }
            // Asked again under the table's lock: a request may just have come.
            if let Some(handle) = sessions.table.remove_if(&key, |handle| {
                handle
                    .shared
                    .idle()
                    .is_some_and(|idle| idle >= idle_timeout)
            }) {
                tracing::info!(session = %key.id, "an idle session was ended");
                tokio::spawn(handle.end(Ending::Expired));
            }
        }
    }
}
