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

use orwd_model::{ClockMode, DeterminismConfig, SleepMode, Timestamp};
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
    sleep_mode: SleepMode,
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
    pub fn new(determinism: DeterminismConfig, sleep_mode: SleepMode) -> Clock {
        Clock(Arc::new(Mutex::new(Inner {
            mode: determinism.clock,
            sleep_mode,
            now: 0,
            wall: (determinism.start, 0),
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

    pub fn set_sleep_mode(&self, sleep_mode: SleepMode) {
        self.lock().sleep_mode = sleep_mode;
    }

    /// An entry into the guest begins, which may take so long.
    pub fn begin(&self, wall: Duration) -> SleepMode {
        let mut clock = self.lock();
        clock.patience = nanos(wall);
        clock.sleep_mode
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
        wall.plus_nanos(self.now.saturating_sub(then))
    }

    fn step(&mut self) {
        self.now = self.now.saturating_add(STEP);
    }

    fn wait(&mut self, until: Option<u64>) -> Wait {
        let left = until.map(|until| until.saturating_sub(self.monotonic()));
        match (left, self.mode, self.sleep_mode) {
            (Some(0), ..) => Wait::Over,
            (Some(left), ClockMode::Real, _) => Wait::Sleep(Duration::from_nanos(left)),
            (Some(left), ClockMode::Virtual, SleepMode::RealTime) if left <= self.patience => {
                Wait::Sleep(Duration::from_nanos(left))
            }
            (Some(left), ClockMode::Virtual, SleepMode::Skip) if left <= self.patience => {
                self.slept(until);
                Wait::Over
            }
            (_, ClockMode::Virtual, SleepMode::Skip) => Wait::Overslept,
            (_, _, SleepMode::RealTime) | (None, ClockMode::Real, _) => Wait::UntilCut,
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

    fn clock(sleep_mode: SleepMode) -> Clock {
        let determinism = DeterminismConfig {
            seed: Seed::new(1),
            start: Timestamp::from_nanos(START),
            clock: ClockMode::Virtual,
        };
        let clock = Clock::new(determinism, sleep_mode);
        clock.begin(Duration::from_secs(3600));
        clock
    }

    #[test]
    fn every_look_takes_a_step() {
        let clock = clock(SleepMode::RealTime);
        let looks: Vec<u64> = (0..3).map(|_| clock.look()).collect();
        assert_eq!(looks, [0, STEP, 2 * STEP]);
        // Wall time moves with it, and looking at it does too.
        assert_eq!(clock.look_at_wall().as_nanos(), START + 3 * STEP);
        assert_eq!(clock.look(), 4 * STEP);
        assert_eq!(clock.now(), clock.now());
    }

    #[test]
    fn wall_time_moves_to_each_arrival_and_never_back() {
        let clock = clock(SleepMode::RealTime);
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
            assert_eq!(clock.look_at_wall().as_nanos(), expected, "{arrival}");
        }
        // Between calls monotonic time stands still.
        assert_eq!(clock.look(), 7 * STEP);
    }

    #[tokio::test]
    async fn a_sleep_takes_its_time_when_live_and_none_in_a_replay() {
        for (sleep_mode, least) in [(SleepMode::RealTime, 40), (SleepMode::Skip, 0)] {
            let clock = clock(sleep_mode);
            let began = Instant::now();
            clock.wait(Some(40 * MS)).await.unwrap();
            assert!(began.elapsed() >= Duration::from_millis(least));
            assert_eq!(clock.look(), 40 * MS, "{sleep_mode:?}");
            assert_eq!(clock.now().as_nanos(), START + 40 * MS + STEP);
            // What is past is not waited for.
            clock.wait(Some(MS)).await.unwrap();
            assert_eq!(clock.look(), 40 * MS + STEP);
        }
        // Hours are over at once.
        let clock = clock(SleepMode::Skip);
        clock.wait(Some(3_599_000 * MS)).await.unwrap();
        // After a replay it goes on live.
        clock.set_sleep_mode(SleepMode::RealTime);
        assert_eq!(clock.begin(Duration::from_secs(1)), SleepMode::RealTime);
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
            let clock = clock(SleepMode::Skip);
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
            let clock = clock(SleepMode::RealTime);
            let wait = clock.wait(until);
            let cut = tokio::time::timeout(Duration::from_millis(20), wait).await;
            assert!(cut.is_err());
        }
    }

    #[tokio::test]
    async fn a_real_clock_is_that_of_the_machine() {
        let determinism = DeterminismConfig {
            clock: ClockMode::Real,
            ..DeterminismConfig::CATALOG
        };
        let clock = Clock::new(determinism, SleepMode::RealTime);
        let before = Timestamp::now();
        let then = clock.look();
        let until = then + 5 * MS;
        clock.wait(Some(until)).await.unwrap();
        assert!(clock.look() >= until);
        assert!(clock.look_at_wall() >= before.plus_nanos(5 * MS));
    }
}
