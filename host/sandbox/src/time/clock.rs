//! The clock of a session.
//!
//! It advances only by what the guest does and by when it is called, so that a
//! session sees the same times in every replay:
//!
//! * monotonic time begins at zero, advances by a fixed step with every read of
//!   a clock or a timer, and jumps over a sleep to its end;
//! * wall time begins at the creation of the session, moves forward to the
//!   arrival of each call, and advances with monotonic time in between.
//!
//! Computation advances neither. Between calls monotonic time stands still, as
//! on a suspended machine.
//!
//! A live sleep takes real time; a replayed sleep takes none. A sleep that
//! exceeds the entry's wall time ends in that limit either way: live because
//! the timeout fires, in a replay by [`SleepExceedsBudget`], since no real time
//! passes in which it could fire.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_model::{ClockMode, DeterminismConfig, SleepMode, Timestamp};
use orwd_overlay::TimeSource;

/// How far a read of the clock advances it, and the clock's resolution, in
/// nanoseconds.
pub(crate) const STEP: u64 = 1_000;

/// In a replay, a guest slept for longer than its entry may take.
#[derive(Debug, thiserror::Error)]
#[error("the guest sleeps longer than the entry's budget")]
pub struct SleepExceedsBudget;

/// The clock of one session; clones share it.
#[derive(Clone, Debug)]
pub struct SessionClock(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    mode: ClockMode,
    sleep_mode: SleepMode,
    /// Monotonic time in nanoseconds.
    now: u64,
    /// A wall time and the monotonic time it corresponds to.
    wall: (Timestamp, u64),
    /// When a real clock was started.
    started: Instant,
    /// Nanoseconds that this entry may still sleep.
    sleep_budget: u64,
    /// How long this entry has slept, by the durations that it asked for.
    slept: Duration,
    /// When the sleep in progress began.
    sleeping_since: Option<Instant>,
    /// How long this entry has waited for requests.
    requested: Duration,
    /// When the wait for a request in progress began.
    requesting_since: Option<Instant>,
}

/// A wait for a request.
#[derive(Debug)]
pub(crate) struct RequestWait {
    clock: SessionClock,
    since: Instant,
}

impl Drop for RequestWait {
    fn drop(&mut self) {
        let waited = self.since.elapsed();
        let mut clock = self.clock.lock();
        clock.requesting_since = None;
        clock.requested = clock.requested.saturating_add(waited);
        clock.end_sleep(None, waited);
    }
}

/// How a wait proceeds.
enum Wait {
    /// The wait is over.
    Done,
    /// Sleep for this long, then check again.
    Sleep(Duration),
    /// Wait until the timeout of the entry fires.
    UntilTimeout,
    /// A replay would need the timeout, which cannot fire.
    ExceedsBudget,
}

impl SessionClock {
    /// Creates the clock of a session.
    pub fn new(determinism: DeterminismConfig, sleep_mode: SleepMode) -> SessionClock {
        SessionClock(Arc::new(Mutex::new(Inner {
            mode: determinism.clock,
            sleep_mode,
            now: 0,
            wall: (determinism.start, 0),
            started: Instant::now(),
            sleep_budget: 0,
            slept: Duration::ZERO,
            sleeping_since: None,
            requested: Duration::ZERO,
            requesting_since: None,
        })))
    }

    /// Advances wall time to the arrival of a call; never moves it back.
    pub fn advance_to(&self, at: Timestamp) {
        let mut clock = self.lock();
        let now = clock.now;
        clock.wall = (clock.virtual_wall().max(at), now);
    }

    /// Sets whether a sleep takes real time, from the next entry on.
    pub fn set_sleep_mode(&self, sleep_mode: SleepMode) {
        self.lock().sleep_mode = sleep_mode;
    }

    /// Begins an entry into the guest with this much wall time.
    pub fn begin_entry(&self, wall: Duration) -> SleepMode {
        let mut clock = self.lock();
        clock.sleep_budget = nanos(wall);
        clock.slept = Duration::ZERO;
        clock.sleeping_since = None;
        clock.requested = Duration::ZERO;
        clock.requesting_since = None;
        clock.sleep_mode
    }

    /// Begins to wait for a request to another machine. Until the guard is dropped,
    /// real time is charged as if the guest slept; the guest's own clock stands
    /// still, since a replay does not wait.
    pub(crate) fn begin_request(&self) -> RequestWait {
        let since = Instant::now();
        let mut clock = self.lock();
        clock.sleeping_since = Some(since);
        clock.requesting_since = Some(since);
        drop(clock);
        RequestWait {
            clock: self.clone(),
            since,
        }
    }

    /// Returns how long this entry has slept, by the durations that it asked
    /// for, without the sleep in progress.
    pub fn slept(&self) -> Duration {
        self.lock().slept
    }

    /// Returns how long the sleep in progress has lasted; none if there is none.
    pub fn sleeping_for(&self) -> Option<Duration> {
        let since = self.lock().sleeping_since;
        since.map(|since| since.elapsed())
    }

    /// Returns how long this entry has waited for requests to other machines.
    pub fn waited_for_requests(&self) -> Duration {
        let clock = self.lock();
        let waiting = clock.requesting_since.map(|since| since.elapsed());
        clock.requested.saturating_add(waiting.unwrap_or_default())
    }

    /// Reads monotonic time and advances the clock by one step.
    pub(crate) fn read_monotonic(&self) -> u64 {
        let mut clock = self.lock();
        let now = clock.monotonic();
        clock.step();
        now
    }

    /// Reads wall time and advances the clock by one step.
    pub(crate) fn read_wall(&self) -> Timestamp {
        let mut clock = self.lock();
        let now = clock.wall();
        clock.step();
        now
    }

    /// Waits until a monotonic time, or forever.
    pub(crate) async fn wait(&self, until: Option<u64>) -> Result<(), SleepExceedsBudget> {
        loop {
            let wait = self.lock().wait(until);
            match wait {
                Wait::Done => return Ok(()),
                Wait::Sleep(time) => {
                    self.lock().sleeping_since = Some(Instant::now());
                    tokio::time::sleep(time).await;
                    self.lock().end_sleep(until, time);
                }
                Wait::UntilTimeout => {
                    self.lock().sleeping_since = Some(Instant::now());
                    std::future::pending().await
                }
                Wait::ExceedsBudget => return Err(SleepExceedsBudget),
            }
        }
    }

    /// Uncontended: a session is driven by one task.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimeSource for SessionClock {
    fn now(&self) -> Timestamp {
        self.lock().wall()
    }
}

impl Inner {
    fn monotonic(&self) -> u64 {
        match self.mode {
            ClockMode::Virtual => self.now,
            ClockMode::Real => nanos(self.started.elapsed()),
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
            (Some(0), ..) => Wait::Done,
            (Some(left), ClockMode::Real, _) => Wait::Sleep(Duration::from_nanos(left)),
            (Some(left), ClockMode::Virtual, SleepMode::RealTime) if left <= self.sleep_budget => {
                Wait::Sleep(Duration::from_nanos(left))
            }
            (Some(left), ClockMode::Virtual, SleepMode::Skip) if left <= self.sleep_budget => {
                self.end_sleep(until, Duration::from_nanos(left));
                Wait::Done
            }
            (_, ClockMode::Virtual, SleepMode::Skip) => Wait::ExceedsBudget,
            (_, _, SleepMode::RealTime) | (None, ClockMode::Real, _) => Wait::UntilTimeout,
        }
    }

    /// Ends a sleep of this duration: sets monotonic time to its end, to the
    /// nanosecond.
    fn end_sleep(&mut self, until: Option<u64>, time: Duration) {
        self.sleeping_since = None;
        self.slept = self.slept.saturating_add(time);
        let Some(until) = until else { return };
        let left = until.saturating_sub(self.now);
        self.sleep_budget = self.sleep_budget.saturating_sub(left);
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

    fn clock(sleep_mode: SleepMode) -> SessionClock {
        let determinism = DeterminismConfig {
            seed: Seed::new(1),
            start: Timestamp::from_nanos(START),
            clock: ClockMode::Virtual,
        };
        let clock = SessionClock::new(determinism, sleep_mode);
        clock.begin_entry(Duration::from_secs(3600));
        clock
    }

    #[test]
    fn every_read_advances_the_clock() {
        let clock = clock(SleepMode::RealTime);
        let reads: Vec<u64> = (0..3).map(|_| clock.read_monotonic()).collect();
        assert_eq!(reads, [0, STEP, 2 * STEP]);
        // Wall time advances with it, and reading wall time advances it too.
        assert_eq!(clock.read_wall().as_nanos(), START + 3 * STEP);
        assert_eq!(clock.read_monotonic(), 4 * STEP);
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
            clock.advance_to(Timestamp::from_nanos(arrival));
            assert_eq!(clock.read_wall().as_nanos(), expected, "{arrival}");
        }
        // Between calls monotonic time stands still.
        assert_eq!(clock.read_monotonic(), 7 * STEP);
    }

    #[tokio::test]
    async fn a_sleep_takes_real_time_only_when_live() {
        for (sleep_mode, least) in [(SleepMode::RealTime, 40), (SleepMode::Skip, 0)] {
            let clock = clock(sleep_mode);
            let began = Instant::now();
            clock.wait(Some(40 * MS)).await.unwrap();
            assert!(began.elapsed() >= Duration::from_millis(least));
            assert_eq!(clock.read_monotonic(), 40 * MS, "{sleep_mode:?}");
            assert_eq!(clock.now().as_nanos(), START + 40 * MS + STEP);
            // A time in the past is not waited for.
            clock.wait(Some(MS)).await.unwrap();
            assert_eq!(clock.read_monotonic(), 40 * MS + STEP);
        }
        // A replayed sleep of an hour returns at once.
        let clock = clock(SleepMode::Skip);
        clock.wait(Some(3_599_000 * MS)).await.unwrap();
        // After a replay the session continues live.
        clock.set_sleep_mode(SleepMode::RealTime);
        assert_eq!(
            clock.begin_entry(Duration::from_secs(1)),
            SleepMode::RealTime
        );
        let began = Instant::now();
        clock.wait(Some(3_599_020 * MS)).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn a_sleep_counts_by_the_duration_asked_for() {
        for sleep_mode in [SleepMode::RealTime, SleepMode::Skip] {
            let clock = clock(sleep_mode);
            clock.wait(Some(5 * MS)).await.unwrap();
            clock.wait(Some(7 * MS)).await.unwrap();
            assert_eq!(clock.slept(), Duration::from_millis(7), "{sleep_mode:?}");
            assert_eq!(clock.sleeping_for(), None);
            clock.begin_entry(Duration::from_secs(1));
            assert_eq!(clock.slept(), Duration::ZERO);
        }
        let clock = clock(SleepMode::RealTime);
        let sleep = clock.wait(None);
        let cut = tokio::time::timeout(Duration::from_millis(5), sleep).await;
        assert!(cut.is_err());
        assert!(clock.sleeping_for() >= Some(Duration::from_millis(4)));
    }

    #[test]
    fn waiting_for_requests_is_counted_apart() {
        let clock = clock(SleepMode::RealTime);
        let waiting = clock.begin_request();
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.waited_for_requests() >= Duration::from_millis(5));
        drop(waiting);
        assert_eq!(clock.waited_for_requests(), clock.slept());
        clock.begin_entry(Duration::from_secs(1));
        assert_eq!(clock.waited_for_requests(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_replayed_sleep_is_limited_by_the_entry_budget() {
        for sleeps in [
            &[Some(1001)][..],
            &[Some(600), Some(1001)],
            &[Some(u64::MAX / MS)],
            &[None],
        ] {
            let clock = clock(SleepMode::Skip);
            clock.begin_entry(Duration::from_secs(1));
            let mut ended = Ok(());
            for until in sleeps {
                ended = clock.wait(until.map(|ms| ms * MS)).await;
            }
            assert!(ended.is_err(), "{sleeps:?}");
            // Each entry has its own sleep budget.
            clock.begin_entry(Duration::from_secs(1));
            let until = clock.read_monotonic() + 1000 * MS;
            clock.wait(Some(until)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_live_endless_sleep_can_time_out() {
        for until in [None, Some(u64::MAX)] {
            let clock = clock(SleepMode::RealTime);
            let wait = clock.wait(until);
            let cut = tokio::time::timeout(Duration::from_millis(20), wait).await;
            assert!(cut.is_err());
        }
    }

    #[tokio::test]
    async fn a_real_clock_follows_the_machine() {
        let determinism = DeterminismConfig {
            clock: ClockMode::Real,
            ..DeterminismConfig::CATALOG
        };
        let clock = SessionClock::new(determinism, SleepMode::RealTime);
        let before = Timestamp::now();
        let then = clock.read_monotonic();
        let until = then + 5 * MS;
        clock.wait(Some(until)).await.unwrap();
        assert!(clock.read_monotonic() >= until);
        assert!(clock.read_wall() >= before.plus_nanos(5 * MS));
    }
}
