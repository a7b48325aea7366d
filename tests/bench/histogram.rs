//! Latencies, counted in buckets whose width grows with the time: the memory
//! is the same for a thousand calls and for a billion, and a reading is at
//! most two per cent too high.

use std::time::Duration;

/// Buckets for each doubling.
const STEPS: u64 = 64;

/// Everything above this many nanoseconds (ten minutes and more) is one bucket.
const DOUBLINGS: u64 = 40;

/// Counted latencies.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = usize::try_from(STEPS * DOUBLINGS).unwrap_or_default();
        Self {
            buckets: vec![0; buckets],
            count: 0,
        }
    }
}

impl Histogram {
    /// Counts one.
    pub(crate) fn add(&mut self, latency: Duration) {
        let last = self.buckets.len() - 1;
        self.buckets[bucket(latency).min(last)] += 1;
        self.count += 1;
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency that this share (0 to 1) of all stays within; none if
    /// nothing was counted.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        // Precise enough: a run has fewer calls than a float has integers.
        #[allow(clippy::cast_precision_loss)]
        let wanted = (self.count as f64 * share).max(1.0);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            #[allow(clippy::cast_precision_loss)]
            let reached = seen as f64 >= wanted;
            if reached {
                return Some(upper(index));
            }
        }
        None
    }
}

/// Below `STEPS` nanoseconds each has a bucket; then each doubling has `STEPS`.
fn bucket(latency: Duration) -> usize {
    let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
    let shift = u64::from((nanos / STEPS).checked_ilog2().map_or(0, |log| log + 1));
    let bucket = match shift {
        0 => nanos,
        _ => shift * STEPS + ((nanos >> (shift - 1)) - STEPS),
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The longest latency of a bucket.
fn upper(index: usize) -> Duration {
    let index = index as u64;
    let (shift, step) = (index / STEPS, index % STEPS);
    Duration::from_nanos(match shift {
        0 => step,
        _ => ((STEPS + step + 1) << (shift - 1)) - 1,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Histogram, bucket, upper};

    #[test]
    fn a_bucket_holds_what_it_says() {
        let mut previous = 0;
        for nanos in 0..20_000 {
            let index = bucket(Duration::from_nanos(nanos));
            assert!(index == previous || index == previous + 1, "{nanos}");
            previous = index;
        }
        for nanos in (0..20_000).chain((1..39).map(|power| 1 << power)) {
            let upper = upper(bucket(Duration::from_nanos(nanos)));
            let upper = u64::try_from(upper.as_nanos()).unwrap();
            let width = upper - nanos;
            assert!(width <= nanos / 64, "{nanos}: {upper}");
        }
    }

    #[test]
    fn quantiles() {
        let mut times = Histogram::default();
        assert_eq!(times.quantile(0.5), None);
        for millis in 1..=100 {
            times.add(Duration::from_millis(millis));
        }
        times.add(Duration::from_secs(1_000_000));
        for (share, millis) in [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0)] {
            let read = times.quantile(share).unwrap().as_secs_f64() * 1000.0;
            assert!((read / millis - 1.0).abs() < 0.02, "{share}: {read}");
        }
        assert!(times.quantile(1.0).unwrap() > Duration::from_secs(60));
        assert_eq!(times.count(), 101);
    }
}
