//! Drives a guest in turns, and measures the wall time that it is charged for.
//!
//! Wall time is what a guest uses of its own will: CPU time, and sleep by the
//! duration that it asked for. Waiting for a turn is not charged, and neither
//! is waiting for the host, such as for a file that must come from disk; only a
//! host that does not answer at all ends the wait. Where the host has no room
//! for what the guest may return, its turn ends at once, and it waits for room.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::entry::result_gate::{ResultGate, Room, RoomWait};
use crate::schedule::scheduler::Turns;
use orwd_sandbox::{CpuMeter, SessionClock};

/// How long a guest waits for one answer of the host.
const HOST_TIMEOUT: Duration = Duration::from_secs(120);

/// A guest's future, polled only during its turns.
pub(crate) struct ScheduledGuest<F> {
    turns: Turns,
    meter: CpuMeter,
    clock: SessionClock,
    /// Its wall time.
    wall: Duration,
    host_timeout: Duration,
    wait: Option<Wait>,
    gate: Option<Arc<dyn ResultGate>>,
    room: RoomState,
    guest: Pin<Box<F>>,
}

/// A wait for something other than a turn, and when it times out.
struct Wait {
    timeout: Pin<Box<Sleep>>,
    reason: Overrun,
}

/// What is known of the room for the guest's result.
enum RoomState {
    /// It is asked for when the next turn begins.
    Unknown,
    /// There was none.
    Awaited(RoomWait),
    /// It was waited for, and is kept for the next turn.
    Reserved { _room: Room },
}

/// Why a guest was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overrun {
    /// Its wall time is used up.
    WallTime,
    /// The host did not answer it.
    Host,
}

impl<F> ScheduledGuest<F> {
    pub(crate) fn new(
        turns: Turns,
        meter: CpuMeter,
        clock: SessionClock,
        wall: Duration,
        guest: F,
    ) -> ScheduledGuest<F> {
        ScheduledGuest {
            turns,
            meter,
            clock,
            wall,
            host_timeout: HOST_TIMEOUT,
            wait: None,
            gate: None,
            room: RoomState::Unknown,
            guest: Box::pin(guest),
        }
    }

    /// Sets who is asked for room before each turn.
    pub(crate) fn set_gate(&mut self, gate: Option<Arc<dyn ResultGate>>) {
        self.gate = gate;
    }

    /// Waits for a turn, and for room at its beginning.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let RoomState::Awaited(wait) = &mut self.room {
                let room = ready!(wait.as_mut().poll(context));
                self.room = RoomState::Reserved { _room: room };
            }
            ready!(self.turns.poll_begin(context));
            let gate = self.gate.as_ref();
            let gate = gate.filter(|_| matches!(self.room, RoomState::Unknown));
            let Some(wait) = gate.and_then(|gate| gate.wait()) else {
                return Poll::Ready(());
            };
            self.turns.end(Duration::ZERO, None);
            self.room = RoomState::Awaited(wait);
        }
    }

    /// Returns what is left of the wall time, without the sleep in progress.
    fn wall_left(&self) -> Duration {
        let used = self.meter.used().saturating_add(self.clock.slept());
        self.wall.saturating_sub(used)
    }

    /// Begins to wait for a sleep, or for the host.
    fn begin_wait(&mut self, context: &mut Context<'_>) -> Poll<Overrun> {
        let (timeout, reason) = match self.clock.sleeping_for() {
            Some(passed) => {
                let left = self.wall_left().saturating_sub(passed);
                (left, Overrun::WallTime)
            }
            None => (self.host_timeout, Overrun::Host),
        };
        let mut wait = Wait {
            timeout: Box::pin(sleep(timeout)),
            reason,
        };
        let timed_out = wait.timeout.as_mut().poll(context).map(|()| reason);
        self.wait = Some(wait);
        timed_out
    }
}

impl<F: Future> Future for ScheduledGuest<F> {
    type Output = Result<F::Output, Overrun>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Whatever it waited for may have come, and the timeout must not
        // strike while it waits for its turn.
        if let Some(mut wait) = self.wait.take()
            && wait.timeout.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(wait.reason));
        }
        ready!(self.poll_turn(context));
        self.meter.start();
        let result = self.guest.as_mut().poll(context);
        let used = self.meter.stop();
        let yielded = self.meter.take_yielded() && result.is_pending();
        self.turns.end(used, yielded.then(|| context.waker()));
        if let Poll::Ready(value) = result {
            return Poll::Ready(Ok(value));
        }
        self.room = RoomState::Unknown;
        if self.wall_left().is_zero() {
            return Poll::Ready(Err(Overrun::WallTime));
        }
        if yielded {
            return Poll::Pending;
        }
        self.begin_wait(context).map(Err)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use orwd_model::{ClockMode, DeterminismConfig, SleepMode};

    use super::*;
    use crate::schedule::account::{CpuAccount, Owner};
    use crate::schedule::scheduler::Scheduler;

    const MS: Duration = Duration::from_millis(1);

    fn guest<F: Future>(scheduler: &Scheduler, wall: Duration, guest: F) -> ScheduledGuest<F> {
        owned_guest(scheduler, "alice", wall, guest)
    }

    fn owned_guest<F: Future>(
        scheduler: &Scheduler,
        owner: &str,
        wall: Duration,
        guest: F,
    ) -> ScheduledGuest<F> {
        let determinism = DeterminismConfig {
            clock: ClockMode::Virtual,
            ..DeterminismConfig::CATALOG
        };
        let clock = SessionClock::new(determinism, SleepMode::RealTime);
        clock.begin_entry(wall);
        let account = CpuAccount::new(Owner::Client(Some(owner.into())));
        let turns = Turns::new(scheduler, &account);
        ScheduledGuest::new(turns, CpuMeter::default(), clock, wall, guest)
    }

    #[tokio::test]
    async fn waiting_for_a_turn_is_not_charged() {
        let scheduler = Scheduler::new(1, 0);
        let account: Arc<CpuAccount> = CpuAccount::new(Owner::Client(None));
        let mut other = Turns::new(&scheduler, &account);
        std::future::poll_fn(|context| other.poll_begin(context)).await;
        let guest = tokio::spawn(guest(&scheduler, 20 * MS, async { 7 }));
        tokio::time::sleep(60 * MS).await;
        assert!(!guest.is_finished());
        drop(other);
        assert_eq!(guest.await.unwrap(), Ok(7));
    }

    #[test]
    fn a_turn_that_does_not_end_delays_nobody_else() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .enable_time()
            .build()
            .unwrap();
        let _context = runtime.enter();
        let scheduler = Scheduler::new(1, 1);
        let (begin, begun) = mpsc::channel();
        let (finish, finished) = mpsc::channel();
        // A host call that blocks its thread until the other guest has run.
        let long = runtime.spawn(guest(&scheduler, MS, async move {
            begin.send(()).unwrap();
            finished.recv_timeout(Duration::from_secs(20)).is_ok()
        }));
        begun.recv().unwrap();
        let quick = owned_guest(
            &scheduler,
            "bob",
            MS,
            async move { finish.send(()).is_ok() },
        );
        let quick = runtime.spawn(quick);
        while !quick.is_finished() || !long.is_finished() {
            scheduler.check_overdue(std::time::Instant::now());
            std::thread::sleep(MS);
        }
        assert_eq!(runtime.block_on(quick).unwrap(), Ok(true));
        assert_eq!(runtime.block_on(long).unwrap(), Ok(true));
    }

    /// A gate that is open or not.
    #[derive(Debug)]
    struct Door(Arc<tokio::sync::Semaphore>);

    impl ResultGate for Door {
        fn wait(&self) -> Option<RoomWait> {
            if self.0.available_permits() > 0 {
                return None;
            }
            let door = self.0.clone();
            Some(Box::pin(async move {
                Box::new(door.acquire_owned().await) as Room
            }))
        }
    }

    #[tokio::test]
    async fn a_guest_without_room_for_its_result_holds_no_turn() {
        let scheduler = Scheduler::new(1, 0);
        let door = Arc::new(tokio::sync::Semaphore::new(0));
        let mut waits = guest(&scheduler, MS, async { 7 });
        waits.set_gate(Some(Arc::new(Door(door.clone()))));
        let mut waits = tokio::spawn(waits);
        let early = tokio::time::timeout(30 * MS, &mut waits).await;
        assert!(early.is_err(), "it waits for longer than its wall time");
        assert_eq!(guest(&scheduler, MS, async { 8 }).await, Ok(8));
        door.add_permits(1);
        assert_eq!(waits.await.unwrap(), Ok(7));
        assert_eq!(door.available_permits(), 1, "the room is given back");
    }

    #[tokio::test]
    async fn waiting_for_the_host_is_not_charged_and_ends_once() {
        let scheduler = Scheduler::new(1, 0);
        let mut answer = Box::pin(tokio::time::sleep(400 * MS));
        let mut polls = 0;
        let slow = guest(
            &scheduler,
            200 * MS,
            std::future::poll_fn(|context| {
                polls += 1;
                answer.as_mut().poll(context)
            }),
        );
        assert_eq!(slow.await, Ok(()));
        assert!(polls <= 3, "it was polled {polls} times while it waited");
        let mut stuck = guest(&scheduler, 10_000 * MS, std::future::pending::<()>());
        stuck.host_timeout = 20 * MS;
        assert_eq!(stuck.await, Err(Overrun::Host));
    }
}
