//! Ends sessions after their idle timeout, and hibernates idle guests.
//!
//! A session with a call in flight is never idle, however long the call.

use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::actor::command::EndCause;
use crate::context::SessionSettings;
use crate::lifecycle::registry::SessionRegistry;

/// Checks all sessions at intervals until the server has stopped.
pub(crate) async fn run(registry: Weak<SessionRegistry>, settings: SessionSettings) {
    let SessionSettings {
        idle_timeout,
        hibernate_after,
        ..
    } = settings;
    let interval = hibernate_after.map_or(idle_timeout, |after| after.min(idle_timeout)) / 4;
    let interval = interval.clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let now = Instant::now();
        registry.context.results.expire(now);
        registry.context.listings.expire(now);
        for (key, handle) in registry.table.handles() {
            let shared = &handle.shared;
            shared.runs().evict(now);
            shared.retries().expire(now);
            let idle_time = shared.idle_time();
            if idle_time.is_none_or(|idle_time| idle_time < idle_timeout) {
                let is_idle = shared.phase.borrow().is_idle();
                let guest_idle_time = shared.guest_idle_time();
                let is_due = hibernate_after
                    .is_some_and(|after| guest_idle_time.is_some_and(|time| time >= after));
                if is_idle && shared.can_hibernate() && is_due {
                    handle.hibernate();
                }
                continue;
            }
            // Checked again under the lock of the table: a request may just
            // have arrived.
            let expired = registry.table.remove_if(&key, |handle| {
                let idle_time = handle.shared.idle_time();
                idle_time.is_some_and(|idle_time| idle_time >= idle_timeout)
            });
            if let Some(handle) = expired {
                tracing::info!(session = %key.id, "idle session ended");
                tokio::spawn(handle.end(EndCause::Expired));
            }
        }
    }
}
