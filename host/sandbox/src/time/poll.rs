//! The clocks and timers of a session, and waiting for them: `wasi:clocks` and
//! `wasi:io/poll`.
//!
//! A guest can wait for two kinds of pollables. Timers are implemented here,
//! and depend only on the [`SessionClock`]. All others are streams; those of
//! this sandbox (files, standard output) are always ready, and sockets, which
//! might not be, cannot be created. So the result of a poll is a function of
//! virtual time. Any new pollable that becomes ready at its own time must be
//! handled here, or replays diverge.
//!
//! An error traps, as the interface requires. There are three: an empty list, one
//! with more pollables than a guest can hold, and [`SleepExceedsBudget`](super::clock::SleepExceedsBudget).

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime::{Result, bail};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::io::poll;

use crate::time::clock::{STEP, SessionClock};
use orwd_model::Timestamp;
use orwd_overlay::datetime;

/// The most pollables in one list. A guest has fewer handles, so a longer list
/// repeats some of them.
const MAX_POLLABLES: usize = 100_000;

/// After this many pollables a poll lets others run.
const TURN: usize = 512;

/// The state that the interfaces work on.
pub(crate) struct ClockView<'a> {
    pub(crate) clock: &'a SessionClock,
    pub(crate) table: &'a mut ResourceTable,
}

/// Gives the interfaces access to [`ClockView`].
pub(crate) struct HasClock;

impl HasData for HasClock {
    type Data<'a> = ClockView<'a>;
}

/// A timer in the resource table. The guest sees an ordinary pollable.
struct Timer {
    /// In monotonic time.
    at: u64,
}

impl ClockView<'_> {
    fn subscribe(&mut self, at: u64) -> Result<Resource<DynPollable>> {
        let timer = self.table.push(Timer { at })?;
        Ok(Resource::new_own(timer.rep()))
    }

    /// Returns when a pollable is due, if it is a timer.
    fn due(&self, pollable: &Resource<DynPollable>) -> Option<u64> {
        let timer = Resource::<Timer>::new_borrow(pollable.rep());
        self.table.get(&timer).ok().map(|timer| timer.at)
    }

    /// Returns whether a pollable other than a timer is ready, without waiting.
    async fn is_stream_ready(&mut self, pollable: &Resource<DynPollable>) -> Result<bool> {
        let pollable = Resource::new_borrow(pollable.rep());
        poll::HostPollable::ready(self.table, pollable).await
    }
}

impl wall_clock::Host for ClockView<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        Ok(datetime(self.clock.read_wall()))
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(datetime(Timestamp::from_nanos(STEP)))
    }
}

impl monotonic_clock::Host for ClockView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clock.read_monotonic())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(STEP)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.subscribe(when)
    }

    /// Saturates at the end of time.
    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let at = self.clock.read_monotonic().saturating_add(duration);
        self.subscribe(at)
    }
}

impl poll::Host for ClockView<'_> {
    /// Waits until a pollable is ready; returns the indices of those that are,
    /// in the order of the list.
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        if pollables.is_empty() {
            bail!("poll of an empty list");
        }
        if pollables.len() > MAX_POLLABLES {
            bail!("poll of {} pollables", pollables.len());
        }
        let now = self.clock.read_monotonic();
        let mut timers = Vec::new();
        let mut ready = Vec::new();
        for (place, pollable) in (0_u32..).zip(&pollables) {
            if (place as usize + 1).is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
            let is_ready = match self.due(pollable) {
                Some(at) => {
                    timers.push((place, at));
                    at <= now
                }
                None => self.is_stream_ready(pollable).await?,
            };
            if is_ready {
                ready.push(place);
            }
        }
        if ready.is_empty() {
            let first = timers.iter().map(|(_, at)| *at).min();
            self.clock.wait(first).await?;
            let is_due = |(_, at): &&(u32, u64)| Some(*at) == first;
            ready.extend(timers.iter().filter(is_due).map(|(place, _)| *place));
        }
        Ok(ready)
    }
}

impl poll::HostPollable for ClockView<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        match self.due(&pollable) {
            // The read advances the clock, so a guest that polls in a loop
            // reaches the end of it.
            Some(at) => Ok(at <= self.clock.read_monotonic()),
            None => self.is_stream_ready(&pollable).await,
        }
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        let until = match self.due(&pollable) {
            Some(at) => Some(at),
            None if self.is_stream_ready(&pollable).await? => return Ok(()),
            None => None,
        };
        Ok(self.clock.wait(until).await?)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        if self.due(&pollable).is_some() {
            self.table
                .delete(Resource::<Timer>::new_own(pollable.rep()))?;
            return Ok(());
        }
        poll::HostPollable::drop(self.table, pollable)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wasmtime_wasi::p2::DynInputStream;
    use wasmtime_wasi::p2::bindings::io::streams::HostInputStream;
    use wasmtime_wasi::p2::pipe::ClosedInputStream;

    use super::*;
    use crate::time::clock::SleepExceedsBudget;
    use orwd_model::{DeterminismConfig, SleepMode};

    const MS: u64 = 1_000_000;

    struct World {
        clock: SessionClock,
        table: ResourceTable,
    }

    impl World {
        fn new() -> World {
            let clock = SessionClock::new(DeterminismConfig::CATALOG, SleepMode::Skip);
            clock.begin_entry(Duration::from_secs(1));
            World {
                clock,
                table: ResourceTable::new(),
            }
        }

        fn clock_view(&mut self) -> ClockView<'_> {
            ClockView {
                clock: &self.clock,
                table: &mut self.table,
            }
        }

        /// `None` is a stream, and a number a timer due at that millisecond.
        fn pollable(&mut self, what: Option<u64>) -> Resource<DynPollable> {
            match what {
                Some(ms) => {
                    let at = ms.saturating_mul(MS);
                    monotonic_clock::Host::subscribe_instant(&mut self.clock_view(), at).unwrap()
                }
                None => {
                    let stream: DynInputStream = Box::new(ClosedInputStream);
                    let stream = self.table.push(stream).unwrap();
                    HostInputStream::subscribe(&mut self.table, stream).unwrap()
                }
            }
        }

        async fn poll(&mut self, list: &[Option<u64>]) -> Result<Vec<u32>> {
            let list = list.iter().map(|what| self.pollable(*what)).collect();
            poll::Host::poll(&mut self.clock_view(), list).await
        }
    }

    #[tokio::test]
    async fn a_poll_returns_what_is_ready() {
        for (list, expected, ms) in [
            // Streams and due timers are ready at once.
            (&[None][..], &[0][..], 0),
            (&[None, Some(5), None], &[0, 2], 0),
            (&[Some(0), Some(5)], &[0], 0),
            // Otherwise time jumps to the first timer.
            (&[Some(7), Some(5), Some(9)], &[1], 5),
            (&[Some(7), Some(7)], &[0, 1], 7),
        ] {
            let mut world = World::new();
            let ready = world.poll(list).await.unwrap();
            assert_eq!(ready, expected, "{list:?}");
            assert_eq!(world.clock.read_monotonic() / MS, ms, "{list:?}");
        }
    }

    #[tokio::test]
    async fn invalid_and_endless_polls_fail() {
        let mut world = World::new();
        assert!(world.poll(&[]).await.is_err());
        assert!(world.poll(&[None; MAX_POLLABLES + 1]).await.is_err());
        let endless = world.poll(&[Some(u64::MAX)]).await.unwrap_err();
        assert!(endless.is::<SleepExceedsBudget>());
    }

    #[tokio::test]
    async fn a_timer_is_polled_awaited_and_dropped() {
        let mut world = World::new();
        let timer = world.pollable(Some(2));
        let again = || Resource::<DynPollable>::new_borrow(timer.rep());
        let mut clock_view = world.clock_view();
        assert!(
            !poll::HostPollable::ready(&mut clock_view, again())
                .await
                .unwrap()
        );
        poll::HostPollable::block(&mut clock_view, again())
            .await
            .unwrap();
        assert!(
            poll::HostPollable::ready(&mut clock_view, again())
                .await
                .unwrap()
        );
        // A busy loop ends too.
        let later = monotonic_clock::Host::subscribe_duration(&mut clock_view, MS).unwrap();
        let again = || Resource::<DynPollable>::new_borrow(later.rep());
        let mut asked = 0;
        while !poll::HostPollable::ready(&mut clock_view, again())
            .await
            .unwrap()
        {
            asked += 1;
        }
        assert_eq!(asked, MS / STEP - 1);
        poll::HostPollable::drop(&mut clock_view, later).unwrap();
        poll::HostPollable::drop(&mut clock_view, timer).unwrap();
        assert!(world.table.is_empty());
    }

    #[test]
    fn an_endless_duration_saturates() {
        let mut world = World::new();
        world.clock.read_monotonic();
        let mut clock_view = world.clock_view();
        let timer = monotonic_clock::Host::subscribe_duration(&mut clock_view, u64::MAX).unwrap();
        assert_eq!(clock_view.due(&timer), Some(u64::MAX));
    }
}
