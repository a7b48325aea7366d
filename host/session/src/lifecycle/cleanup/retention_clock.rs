//! The clock by which ended sessions expire.
//!
//! The wall clock may jump, and a jump forward by more than the retention time
//! would make every ended session look old. So this clock follows the wall clock
//! only as far as time has passed by the monotonic clock. It is saved with the
//! journal. If the wall clock is further ahead, it has jumped, or the server was
//! stopped; the two cannot be told apart. Then this clock goes on at its own pace
//! for a whole retention time, and takes over the wall clock after that: what
//! ended before the jump is old by then in any case.

use std::time::Duration;

use orwd_model::Timestamp;

/// The largest difference from the wall clock that is no jump.
const MAX_TOLERANCE: Duration = Duration::from_secs(3600);

/// Bytes of a saved clock.
const SAVED: usize = 24;

/// The clock by which ended sessions expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RetentionClock {
    now: Timestamp,
    /// The wait after a jump.
    wait: Option<Wait>,
}

/// The wait for the time after which a jump is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wait {
    /// How far the wall clock was ahead when the wait began.
    ahead: Duration,
    elapsed: Duration,
}

/// What the clock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// The wall clock is as expected, or the wait continues.
    Regular,
    /// The wall clock is ahead by this much; a wait has begun.
    Jumped(Duration),
    /// The wait is over.
    Accepted,
}

impl RetentionClock {
    /// Creates a clock that has never been saved.
    pub(super) fn new(wall: Timestamp) -> RetentionClock {
        RetentionClock {
            now: wall,
            wait: None,
        }
    }

    /// Returns the current time.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Advances the clock by the monotonic time that has elapsed, and at most to
    /// the wall clock.
    pub(super) fn advance(
        &mut self,
        wall: Timestamp,
        elapsed: Duration,
        retention: Duration,
    ) -> Advance {
        let tolerance = MAX_TOLERANCE.min(retention / 8);
        let expected = self.now.saturating_add(elapsed);
        if wall <= expected.saturating_add(tolerance) {
            // A clock that was set back may also only have been corrected.
            self.now = wall;
            self.wait = None;
            return Advance::Regular;
        }
        let ahead = Duration::from_nanos(wall.as_nanos().saturating_sub(expected.as_nanos()));
        let wait = match self.wait {
            Some(wait) if ahead <= wait.ahead.saturating_add(tolerance) => Wait {
                elapsed: wait.elapsed.saturating_add(elapsed),
                ..wait
            },
            // The first jump, or another one during the wait.
            _ => {
                self.now = expected;
                self.wait = Some(Wait {
                    ahead,
                    elapsed: Duration::ZERO,
                });
                return Advance::Jumped(ahead);
            }
        };
        if wait.elapsed >= retention {
            self.now = wall;
            self.wait = None;
            return Advance::Accepted;
        }
        self.now = expected;
        self.wait = Some(wait);
        Advance::Regular
    }

    /// Returns the bytes to save.
    pub(super) fn save(&self) -> Vec<u8> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (ahead, elapsed) = self
            .wait
            .map_or((0, 0), |wait| (nanos(wait.ahead), nanos(wait.elapsed)));
        [self.now.as_nanos(), ahead, elapsed]
            .map(u64::to_be_bytes)
            .concat()
    }

    /// Restores a saved clock; none if these bytes are not one.
    pub(super) fn restore(bytes: &[u8]) -> Option<RetentionClock> {
        let bytes: &[u8; SAVED] = bytes.try_into().ok()?;
        let word = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let ahead = Duration::from_nanos(word(8)?);
        let elapsed = Duration::from_nanos(word(16)?);
        Some(RetentionClock {
            now: Timestamp::from_nanos(word(0)?),
            wait: (!ahead.is_zero()).then_some(Wait { ahead, elapsed }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    const START: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

    fn after(days: u32) -> Timestamp {
        START.saturating_add(DAY * days)
    }

    #[test]
    fn it_follows_the_wall_clock_and_its_small_corrections() {
        let mut clock = RetentionClock::new(START);
        let mut wall = START;
        for correction in [0, 600, 3000, 0] {
            wall = wall.saturating_add(HOUR + Duration::from_secs(correction));
            assert_eq!(clock.advance(wall, HOUR, WEEK), Advance::Regular);
            assert_eq!(clock.now(), wall);
        }
        // Set back, nothing expires early when it is set right.
        let back = wall.saturating_sub(DAY);
        assert_eq!(clock.advance(back, HOUR, WEEK), Advance::Regular);
        assert_eq!(clock.now(), back);
        assert!(matches!(
            clock.advance(wall, HOUR, WEEK),
            Advance::Jumped(_)
        ));
        assert_eq!(clock.now(), back.saturating_add(HOUR));
    }

    #[test]
    fn a_jump_is_waited_out_for_a_retention_time() {
        let mut clock = RetentionClock::new(START);
        assert_eq!(
            clock.advance(after(8), Duration::ZERO, WEEK),
            Advance::Jumped(DAY * 8)
        );
        assert_eq!(clock.now(), START);
        // A restart in between forgets nothing.
        for days in 1..7 {
            let mut restored = RetentionClock::restore(&clock.save()).unwrap();
            assert_eq!(restored, clock);
            let advance = restored.advance(after(8 + days), DAY, WEEK);
            assert_eq!(advance, Advance::Regular);
            assert_eq!(restored.now(), after(days));
            clock = restored;
        }
        assert_eq!(clock.advance(after(15), DAY, WEEK), Advance::Accepted);
        assert_eq!(clock.now(), after(15));
        assert_eq!(clock.advance(after(16), DAY, WEEK), Advance::Regular);
    }

    #[test]
    fn a_second_jump_begins_another_wait_and_a_correction_ends_it() {
        let mut clock = RetentionClock::new(START);
        clock.advance(after(8), Duration::ZERO, WEEK);
        clock.advance(after(14), DAY * 6, WEEK);
        let second = clock.advance(after(25), DAY, WEEK);
        assert!(matches!(second, Advance::Jumped(_)), "{second:?}");
        assert_eq!(clock.now(), after(7));
        assert_eq!(clock.advance(after(8), DAY, WEEK), Advance::Regular);
        assert_eq!(clock, RetentionClock::new(after(8)));
    }

    #[test]
    fn only_a_saved_clock_is_restored() {
        assert_eq!(RetentionClock::restore(b""), None);
        assert_eq!(RetentionClock::restore(&[0; 25]), None);
        let clock = RetentionClock::new(START);
        assert_eq!(RetentionClock::restore(&clock.save()), Some(clock));
    }
}
