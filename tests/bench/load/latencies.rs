//! Recorded latencies and their percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The largest recorded latency, ten minutes; longer ones count as this.
const MAX_NANOS: u64 = 600_000_000_000;

/// A histogram of latencies with three significant digits. Its memory does not
/// grow with the number of calls.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_NANOS, 3).expect("valid bounds"))
    }
}

impl Latencies {
    /// Records one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    /// Returns the number of recorded latencies.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the latency that this share (0 to 1) of all does not exceed, in
    /// microseconds; NaN if nothing was recorded.
    #[allow(clippy::cast_precision_loss, reason = "no run lasts that long")]
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        match self.0.is_empty() {
            true => f64::NAN,
            false => self.0.value_at_quantile(share) as f64 / 1e3,
        }
    }
}
