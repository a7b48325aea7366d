//! A counter of seconds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::units::{nanoseconds, seconds};

/// Adds times up. Clones share the sum.
#[derive(Clone, Debug, Default)]
pub struct SecondsCounter(Arc<AtomicU64>);

impl SecondsCounter {
    /// Adds a time.
    pub fn add(&self, time: Duration) {
        self.0.fetch_add(nanoseconds(time), Ordering::Relaxed);
    }

    /// Raises the sum to a time that is measured as a whole, and never lowers it.
    pub fn raise_to(&self, time: Duration) {
        self.0.fetch_max(nanoseconds(time), Ordering::Relaxed);
    }
}

impl TypedMetric for SecondsCounter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for SecondsCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let sum = seconds(self.0.load(Ordering::Relaxed));
        encoder.encode_counter::<NoLabelSet, f64, f64>(&sum, None)
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
    fn adds_times_up_and_never_falls() {
        let counter = SecondsCounter::default();
        counter.add(Duration::from_millis(1500));
        counter.clone().add(Duration::from_millis(250));
        counter.raise_to(Duration::from_secs(1));
        let mut registry = Registry::default();
        registry.register("cpu_seconds", "Help", counter.clone());
        let mut shown = String::new();
        text::encode(&mut shown, &registry).unwrap();
        assert!(shown.contains("\ncpu_seconds_total 1.75\n"), "{shown}");
        counter.raise_to(Duration::from_secs(2));
        assert_eq!(counter.0.load(Ordering::Relaxed), 2_000_000_000);
    }
}
