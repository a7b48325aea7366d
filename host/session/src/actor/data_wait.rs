//! How a session waits while its data is not as it was.
//!
//! Data may differ for a moment only: an editor's temporary file, or a volume
//! that is mounted late. So a session that has seen other data is not lost at
//! once. Its requests get 503, and it is replayed again when its data has
//! changed or some time has passed. Only after `data_change_wait` is it lost.

use std::time::{Duration, Instant};

use orwd_catalog::Environment;
use orwd_model::DataDigest;

/// The first and the longest pause between two replays over data with the same
/// digest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A session that waits for its data.
pub(crate) struct DataWait {
    since: Instant,
    /// How often it was replayed in vain.
    attempts: u64,
    reason: String,
    environment: Environment,
    /// The data of the last replay.
    digest: Option<DataDigest>,
    retry_at: Instant,
    pause: Duration,
}

/// Data that differs from what a session has seen.
pub(crate) struct DataMismatch {
    pub(crate) environment: Environment,
    pub(crate) digest: Option<DataDigest>,
    /// The difference, for people.
    pub(crate) reason: String,
}

impl DataWait {
    /// Begins to wait.
    pub(super) fn new(mismatch: DataMismatch, now: Instant) -> DataWait {
        let DataMismatch {
            environment,
            digest,
            reason,
        } = mismatch;
        DataWait {
            since: now,
            attempts: 1,
            reason,
            environment,
            digest,
            retry_at: now + FIRST_PAUSE,
            pause: FIRST_PAUSE,
        }
    }

    /// Continues to wait after another replay over other data.
    pub(super) fn again(&mut self, mismatch: DataMismatch, now: Instant) {
        self.pause = if mismatch.digest == self.digest {
            (self.pause * 2).min(LONGEST_PAUSE)
        } else {
            FIRST_PAUSE
        };
        self.attempts += 1;
        self.reason = mismatch.reason;
        self.environment = mismatch.environment;
        self.digest = mismatch.digest;
        self.retry_at = now + self.pause;
    }

    /// Counts a request that came too early for another replay.
    pub(super) fn skip(&mut self) {
        self.attempts += 1;
    }

    /// Returns whether a replay may have another result than the last one.
    pub(super) async fn may_retry(&self) -> bool {
        if Instant::now() >= self.retry_at {
            return true;
        }
        let digest = self.environment.data_digest().await;
        digest.is_ok_and(|digest| digest != self.digest)
    }

    /// Returns whether it has waited for this long.
    pub(super) fn has_lasted(&self, wait: Duration, now: Instant) -> bool {
        now - self.since >= wait
    }

    pub(super) fn attempts(&self) -> u64 {
        self.attempts
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}
