//! The clocks and timers of a session, and waiting for them: the interfaces
//! `wasi:clocks` and `wasi:io/poll`.
//!
//! A guest can wait for two kinds of things. Timers are ours, and what they
//! are is decided by the session's [`Clock`] alone. All else is a stream, and
//! those of this sandbox (files, standard output) are always ready; sockets,
//! which might not be, cannot be made. So what a poll gives is a function of
//! virtual time. Whoever adds something that is ready at a time of its own has
//! to have it answered here, or replays of sessions break.
//!
//! An error traps, as the interface demands; there are two: an empty list, and
//! [`Overslept`](super::clock::Overslept).

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime::{Result, bail};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::io::poll;

use super::clock::{Clock, STEP};
use orwd_model::Timestamp;
use orwd_overlay::datetime;

/// What the interfaces work on.
pub(super) struct Timed<'a> {
    pub(super) clock: &'a Clock,
    pub(super) table: &'a mut ResourceTable,
}

/// Marks [`Timed`] as what the interfaces work on.
pub(super) struct HasTime;

impl HasData for HasTime {
    type Data<'a> = Timed<'a>;
}

/// What stands in the table for a timer. To the guest it is a pollable as any
/// other.
struct Timer {
    /// In monotonic time.
    at: u64,
}

impl Timed<'_> {
    fn subscribe(&mut self, at: u64) -> Result<Resource<DynPollable>> {
        let timer = self.table.push(Timer { at })?;
        Ok(Resource::new_own(timer.rep()))
    }

    /// When a pollable is due, if it is a timer.
    fn due(&self, pollable: &Resource<DynPollable>) -> Option<u64> {
        let timer = Resource::<Timer>::new_borrow(pollable.rep());
        self.table.get(&timer).ok().map(|timer| timer.at)
    }

    /// Whether something is ready that is no timer. Looks, and does not wait.
    async fn is_stream_ready(&mut self, pollable: &Resource<DynPollable>) -> Result<bool> {
        let pollable = Resource::new_borrow(pollable.rep());
        poll::HostPollable::ready(self.table, pollable).await
    }
}

impl wall_clock::Host for Timed<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        Ok(datetime(self.clock.look_at_wall()))
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(datetime(Timestamp::from_nanos(STEP)))
    }
}

impl monotonic_clock::Host for Timed<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clock.look())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(STEP)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.subscribe(when)
    }

    /// A time beyond the end of all time is that end.
    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let at = self.clock.look().saturating_add(duration);
        self.subscribe(at)
    }
}

impl poll::Host for Timed<'_> {
    /// The places of those that are ready, in the order of the list; waits
    /// until one is.
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        if pollables.is_empty() {
            bail!("a poll of nothing");
        }
        let now = self.clock.look();
        let mut timers = Vec::new();
        let mut ready = Vec::new();
        for (place, pollable) in (0_u32..).zip(&pollables) {
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

impl poll::HostPollable for Timed<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        match self.due(&pollable) {
            // A look takes a step, so that a guest that asks in a loop gets
            // to the end of it.
            Some(at) => Ok(at <= self.clock.look()),
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

    use super::super::clock::Overslept;
    use super::*;
    use orwd_model::{DeterminismConfig, SleepMode};

    const MS: u64 = 1_000_000;

    struct World {
        clock: Clock,
        table: ResourceTable,
    }

    impl World {
        fn new() -> World {
            let clock = Clock::new(DeterminismConfig::CATALOG, SleepMode::Skip);
            clock.begin(Duration::from_secs(1));
            World {
                clock,
                table: ResourceTable::new(),
            }
        }

        fn timed(&mut self) -> Timed<'_> {
            Timed {
                clock: &self.clock,
                table: &mut self.table,
            }
        }

        /// `None` is a stream, and a number a timer at that millisecond.
        fn pollable(&mut self, what: Option<u64>) -> Resource<DynPollable> {
            match what {
                Some(ms) => {
                    let at = ms.saturating_mul(MS);
                    monotonic_clock::Host::subscribe_instant(&mut self.timed(), at).unwrap()
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
            poll::Host::poll(&mut self.timed(), list).await
        }
    }

    #[tokio::test]
    async fn what_a_poll_gives() {
        for (list, expected, ms) in [
            // Streams are ready at once, and timers that are due.
            (&[None][..], &[0][..], 0),
            (&[None, Some(5), None], &[0, 2], 0),
            (&[Some(0), Some(5)], &[0], 0),
            // Else time jumps to the first timer.
            (&[Some(7), Some(5), Some(9)], &[1], 5),
            (&[Some(7), Some(7)], &[0, 1], 7),
        ] {
            let mut world = World::new();
            let ready = world.poll(list).await.unwrap();
            assert_eq!(ready, expected, "{list:?}");
            assert_eq!(world.clock.look() / MS, ms, "{list:?}");
        }
    }

    #[tokio::test]
    async fn what_no_poll_gives() {
        let mut world = World::new();
        assert!(world.poll(&[]).await.is_err());
        let endless = world.poll(&[Some(u64::MAX)]).await.unwrap_err();
        assert!(endless.is::<Overslept>());
    }

    #[tokio::test]
    async fn a_timer_is_asked_waited_for_and_dropped() {
        let mut world = World::new();
        let timer = world.pollable(Some(2));
        let again = || Resource::<DynPollable>::new_borrow(timer.rep());
        let mut timed = world.timed();
        assert!(
            !poll::HostPollable::ready(&mut timed, again())
                .await
                .unwrap()
        );
        poll::HostPollable::block(&mut timed, again())
            .await
            .unwrap();
        assert!(
            poll::HostPollable::ready(&mut timed, again())
                .await
                .unwrap()
        );
        // Asking in a loop ends too.
        let later = monotonic_clock::Host::subscribe_duration(&mut timed, MS).unwrap();
        let again = || Resource::<DynPollable>::new_borrow(later.rep());
        let mut asked = 0;
        while !poll::HostPollable::ready(&mut timed, again())
            .await
            .unwrap()
        {
            asked += 1;
        }
        assert_eq!(asked, MS / STEP - 1);
        poll::HostPollable::drop(&mut timed, later).unwrap();
        poll::HostPollable::drop(&mut timed, timer).unwrap();
        assert!(world.table.is_empty());
    }

    #[test]
    fn a_duration_without_end_ends_with_time() {
        let mut world = World::new();
        world.clock.look();
        let mut timed = world.timed();
        let timer = monotonic_clock::Host::subscribe_duration(&mut timed, u64::MAX).unwrap();
        assert_eq!(timed.due(&timer), Some(u64::MAX));
    }
}
