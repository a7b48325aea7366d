//! A histogram of times.

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::units::{nanoseconds, seconds};

/// Counts times by their length. Clones share the counts.
///
/// The histogram of `prometheus-client` has a lock, which all calls would share.
#[derive(Clone, Debug)]
pub struct DurationHistogram(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    buckets: Vec<Bucket>,
    sum: AtomicU64,
}

#[derive(Debug)]
struct Bucket {
    /// The longest time in nanoseconds that it counts; all others in the last one.
    bound: u64,
    count: AtomicU64,
}

impl DurationHistogram {
    /// Creates a histogram whose first bucket ends at `first`. Each of the next
    /// ones ends at twice the time of the one before; a last one has no end.
    pub fn doubling(first: Duration, buckets: u32) -> DurationHistogram {
        let first = nanoseconds(first);
        let bounds = (0..buckets).map(|power| first.saturating_mul(1 << power.min(63)));
        let buckets = bounds.chain(iter::once(u64::MAX)).map(|bound| Bucket {
            bound,
            count: AtomicU64::new(0),
        });
        DurationHistogram(Arc::new(Counts {
            buckets: buckets.collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts a time.
    pub fn observe(&self, time: Duration) {
        let time = nanoseconds(time);
        let buckets = &self.0.buckets;
        let at = buckets.partition_point(|bucket| bucket.bound < time);
        if let Some(bucket) = buckets.get(at) {
            bucket.count.fetch_add(1, Ordering::Relaxed);
            self.0.sum.fetch_add(time, Ordering::Relaxed);
        }
    }
}

impl TypedMetric for DurationHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for DurationHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let buckets = self.0.buckets.iter();
        let buckets: Vec<(f64, u64)> = buckets
            .map(|bucket| {
                let bound = match bucket.bound {
                    u64::MAX => f64::INFINITY,
                    bound => seconds(bound),
                };
                (bound, bucket.count.load(Ordering::Relaxed))
            })
            .collect();
        // The sum of what was read, so that it equals the last bucket.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0.sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    fn shown(histogram: &DurationHistogram) -> String {
        let mut registry = Registry::default();
        registry.register("t_seconds", "Help", histogram.clone());
        let mut shown = String::new();
        text::encode(&mut shown, &registry).unwrap();
        shown
    }

    #[test]
    fn a_time_is_in_every_bucket_that_does_not_end_before_it() {
        let histogram = DurationHistogram::doubling(Duration::from_millis(1), 3);
        for micros in [0, 1000, 1001, 4000, 4001, 3_600_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        histogram.observe(Duration::MAX);
        let text = shown(&histogram);
        for line in [
            "t_seconds_count 7",
            "t_seconds_bucket{le=\"0.001\"} 2",
            "t_seconds_bucket{le=\"0.002\"} 3",
            "t_seconds_bucket{le=\"0.004\"} 4",
            "t_seconds_bucket{le=\"+Inf\"} 7",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line} in {text}");
        }
    }

    #[test]
    fn threads_lose_no_count() {
        let histogram = DurationHistogram::doubling(Duration::from_micros(1), 4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for micros in 0..1000 {
                        histogram.observe(Duration::from_micros(micros));
                    }
                });
            }
        });
        let text = shown(&histogram);
        assert!(text.contains("\nt_seconds_count 4000\n"), "{text}");
        assert!(text.contains("\nt_seconds_sum 1.998\n"), "{text}");
    }
}
