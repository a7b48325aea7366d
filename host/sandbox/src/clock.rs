//! The clock of a session.
//!
//! It moves by what the guest does and by when it is called, and by nothing
//! else, so that a session sees the same times whenever it is replayed:
//!
//! * monotonic time begins at zero, advances by a fixed step with every look
//!   at a clock or a timer, and jumps over a sleep to its end;
//! * wall time begins where the session does, moves forward to the arrival of
//!   each call, and advances with monotonic time in between.
//!
//! How long a guest computes shows in neither. Between calls monotonic time
//! stands still, as it does on a machine that sleeps.
//!
//! A sleep really takes its time when live and none in a replay. One that
//! would outlast the entry's wall time ends in that limit either way: live
//! because the limit strikes, in a replay by [`Overslept`], since there is no
//! time for the limit to strike in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_model::{ClockMode, Genesis, Pace, Timestamp};
use orwd_overlay::TimeSource;

/// What a look at the clock takes, and its resolution, in nanoseconds.
pub(super) const STEP: u64 = 1_000;

/// A guest slept, in a replay, for longer than its entry may take.
#[derive(Debug, thiserror::Error)]
#[error("the guest sleeps for longer than the entry may take")]
pub struct Overslept;

/// The clock of one session; clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    mode: ClockMode,
    pace: Pace,
    /// Monotonic time, in nanoseconds.
    now: u64,
    /// A wall time, and the monotonic time that it belongs to.
    wall: (Timestamp, u64),
    /// When a real clock was started.
    born: Instant,
    /// Nanoseconds that the entry may still sleep.
    patience: u64,
}

/// What becomes of a guest that waits.
enum Wait {
    /// Nothing is to be waited for any more.
    Over,
    /// It sleeps for so long, and then looks again.
    Sleep(Duration),
    /// Until the entry's limit strikes.
    UntilCut,
    /// There is no limit to strike.
    Overslept,
}

impl Clock {
    pub fn new(genesis: Genesis, pace: Pace) -> Clock {
        Clock(Arc::new(Mutex::new(Inner {
            mode: genesis.clock,
            pace,
            now: 0,
            wall: (genesis.start, 0),
            born: Instant::now(),
            patience: 0,
        })))
    }

    /// A call arrives: wall time moves there, but never back.
    pub fn arrive(&self, at: Timestamp) {
        let mut clock = self.lock();
        let now = clock.now;
        clock.wall = (clock.virtual_wall().max(at), now);
    }

    pub fn set_pace(&self, pace: Pace) {
        self.lock().pace = pace;
    }

    /// An entry into the guest begins, which may take so long.
    pub fn begin(&self, wall: Duration) -> Pace {
        let mut clock = self.lock();
        clock.patience = nanos(wall);
        clock.pace
    }

    /// Looks at monotonic time.
    pub(super) fn look(&self) -> u64 {
        let mut clock = self.lock();
        let now = clock.monotonic();
        clock.step();
        now
    }

    /// Looks at wall time.
    pub(super) fn look_at_wall(&self) -> Timestamp {
        let mut clock = self.lock();
        let now = clock.wall();
        clock.step();
        now
    }

    /// Waits until a moment of monotonic time, or for ever.
    pub(super) async fn wait(&self, until: Option<u64>) -> Result<(), Overslept> {
        loop {
            let wait = self.lock().wait(until);
            match wait {
                Wait::Over => return Ok(()),
                Wait::Sleep(time) => {
                    tokio::time::sleep(time).await;
                    self.lock().slept(until);
                }
                Wait::UntilCut => std::future::pending().await,
                Wait::Overslept => return Err(Overslept),
            }
        }
    }

    /// One task works on a session, so nobody waits here.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimeSource for Clock {
    fn now(&self) -> Timestamp {
        self.lock().wall()
    }
}

impl Inner {
    fn monotonic(&self) -> u64 {
        match self.mode {
            ClockMode::Virtual => self.now,
            ClockMode::Real => nanos(self.born.elapsed()),
        }
    }

    fn wall(&self) -> Timestamp {
        match self.mode {
            ClockMode::Virtual => self.virtual_wall(),
            ClockMode::Real => Timestamp::now(),
        }
    }

    fn virtual_wall(&self) -> Timestamp {
        let (wall, then) = self.wall;
        wall.plus(self.now.saturating_sub(then))
    }

    fn step(&mut self) {
        self.now = self.now.saturating_add(STEP);
    }

    fn wait(&mut self, until: Option<u64>) -> Wait {
        let left = until.map(|until| until.saturating_sub(self.monotonic()));
        match (left, self.mode, self.pace) {
            (Some(0), ..) => Wait::Over,
            (Some(left), ClockMode::Real, _) => Wait::Sleep(Duration::from_nanos(left)),
            (Some(left), ClockMode::Virtual, Pace::Live) if left <= self.patience => {
                Wait::Sleep(Duration::from_nanos(left))
            }
            (Some(left), ClockMode::Virtual, Pace::Replay) if left <= self.patience => {
                self.slept(until);
                Wait::Over
            }
            (_, ClockMode::Virtual, Pace::Replay) => Wait::Overslept,
            (_, _, Pace::Live) | (None, ClockMode::Real, _) => Wait::UntilCut,
        }
    }

    /// A sleep is over. Monotonic time is at its end, to the nanosecond.
    fn slept(&mut self, until: Option<u64>) {
        let Some(until) = until else { return };
        let left = until.saturating_sub(self.now);
        self.patience = self.patience.saturating_sub(left);
        self.now = self.now.max(until);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orwd_model::Seed;

    const START: u64 = 1_000_000_000_000;
    const MS: u64 = 1_000_000;

    fn clock(pace: Pace) -> Clock {
        let genesis = Genesis {
            seed: Seed::new(1),
            start: Timestamp::from_nanos(START),
            clock: ClockMode::Virtual,
        };
        let clock = Clock::new(genesis, pace);
        clock.begin(Duration::from_secs(3600));
        clock
    }

    #[test]
    fn every_look_takes_a_step() {
        let clock = clock(Pace::Live);
        let looks: Vec<u64> = (0..3).map(|_| clock.look()).collect();
        assert_eq!(looks, [0, STEP, 2 * STEP]);
        // Wall time moves with it, and looking at it does too.
        assert_eq!(clock.look_at_wall().nanos(), START + 3 * STEP);
        assert_eq!(clock.look(), 4 * STEP);
        assert_eq!(clock.now(), clock.now());
    }

    #[test]
    fn wall_time_moves_to_each_arrival_and_never_back() {
        let clock = clock(Pace::Live);
        for (arrival, expected) in [
            (START, START),
            (START + 500, START + STEP),
            (START + 50 * MS, START + 50 * MS),
            (START - 7, START + 50 * MS + STEP),
            (0, START + 50 * MS + 2 * STEP),
            (u64::MAX, u64::MAX),
            (START, u64::MAX),
        ] {
            clock.arrive(Timestamp::from_nanos(arrival));
            assert_eq!(clock.look_at_wall().nanos(), expected, "{arrival}");
        }
        // Between calls monotonic time stands still.
        assert_eq!(clock.look(), 7 * STEP);
    }

    #[tokio::test]
    async fn a_sleep_takes_its_time_when_live_and_none_in_a_replay() {
        for (pace, least) in [(Pace::Live, 40), (Pace::Replay, 0)] {
            let clock = clock(pace);
            let began = Instant::now();
            clock.wait(Some(40 * MS)).await.unwrap();
            assert!(began.elapsed() >= Duration::from_millis(least));
            assert_eq!(clock.look(), 40 * MS, "{pace:?}");
            assert_eq!(clock.now().nanos(), START + 40 * MS + STEP);
            // What is past is not waited for.
            clock.wait(Some(MS)).await.unwrap();
            assert_eq!(clock.look(), 40 * MS + STEP);
        }
        // Hours are over at once.
        let clock = clock(Pace::Replay);
        clock.wait(Some(3_599_000 * MS)).await.unwrap();
        // After a replay it goes on live.
        clock.set_pace(Pace::Live);
        assert_eq!(clock.begin(Duration::from_secs(1)), Pace::Live);
        let began = Instant::now();
        clock.wait(Some(3_599_020 * MS)).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn a_replay_does_not_sleep_for_longer_than_the_entry_may_take() {
        for sleeps in [
            &[Some(1001)][..],
            &[Some(600), Some(1001)],
            &[Some(u64::MAX / MS)],
            &[None],
        ] {
            let clock = clock(Pace::Replay);
            clock.begin(Duration::from_secs(1));
            let mut ended = Ok(());
            for until in sleeps {
                ended = clock.wait(until.map(|ms| ms * MS)).await;
            }
            assert!(ended.is_err(), "{sleeps:?}");
            // Each entry has its own time.
            clock.begin(Duration::from_secs(1));
            let until = clock.look() + 1000 * MS;
            clock.wait(Some(until)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_endless_sleep_can_be_cut_when_live() {
        for until in [None, Some(u64::MAX)] {
            let clock = clock(Pace::Live);
            let wait = clock.wait(until);
            let cut = tokio::time::timeout(Duration::from_millis(20), wait).await;
            assert!(cut.is_err());
        }
    }

    #[tokio::test]
    async fn a_real_clock_is_that_of_the_machine() {
        let genesis = Genesis {
            clock: ClockMode::Real,
            ..Genesis::CATALOG
        };
        let clock = Clock::new(genesis, Pace::Live);
        let before = Timestamp::now();
        let then = clock.look();
        let until = then + 5 * MS;
        clock.wait(Some(until)).await.unwrap();
        assert!(clock.look() >= until);
        assert!(clock.look_at_wall() >= before.plus(5 * MS));
    }
}
