//! A counter of responses by HTTP status.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The first status, and the number of them.
const FIRST: u16 = 100;
const STATUSES: usize = 500;

/// Counts responses by their status, which is the label `status`. Clones share the
/// counts.
#[derive(Clone, Debug)]
pub struct StatusCounter {
    counts: Arc<[AtomicU64; STATUSES]>,
    /// The statuses that are shown while they are zero.
    expected: &'static [u16],
}

impl StatusCounter {
    /// Creates a counter that always shows these statuses.
    pub fn new(expected: &'static [u16]) -> StatusCounter {
        StatusCounter {
            counts: Arc::new([const { AtomicU64::new(0) }; STATUSES]),
            expected,
        }
    }

    /// Counts a response.
    pub fn count(&self, status: u16) {
        let at = usize::from(status.wrapping_sub(FIRST));
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl TypedMetric for StatusCounter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for StatusCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (status, count) in (FIRST..).zip(self.counts.iter()) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 || self.expected.contains(&status) {
                encoder
                    .encode_family(&[("status", status)])?
                    .encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn shows_what_is_expected_or_has_occurred() {
        let counter = StatusCounter::new(&[200, 503]);
        for status in [0, 99, 100, 200, 200, 404, 599, 600, u16::MAX] {
            counter.count(status);
        }
        let mut registry = Registry::default();
        registry.register("responses", "Help", counter);
        let mut shown = String::new();
        text::encode(&mut shown, &registry).unwrap();
        let samples: Vec<&str> = shown
            .lines()
            .filter_map(|line| line.strip_prefix("responses_total{status="))
            .collect();
        assert_eq!(
            samples,
            [
                "\"100\"} 1",
                "\"200\"} 2",
                "\"404\"} 1",
                "\"503\"} 0",
                "\"599\"} 1"
            ]
        );
    }
}
