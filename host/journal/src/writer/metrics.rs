//! What the committing thread counts.

use std::time::Duration;

use orwd_metrics::DurationHistogram;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry, Unit};

/// Counts commits and records. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct WriterMetrics {
    commits: DurationHistogram,
    records: Counter,
    failures: Counter,
}

impl WriterMetrics {
    pub(crate) fn new() -> WriterMetrics {
        WriterMetrics {
            // To 2 s.
            commits: DurationHistogram::doubling(Duration::from_micros(16), 18),
            records: Counter::default(),
            failures: Counter::default(),
        }
    }

    /// Notes that a transaction was committed, or has failed, after this time.
    pub(super) fn written(&self, committed: bool, time: Duration) {
        if committed {
            self.commits.observe(time);
        } else {
            self.failures.inc();
        }
    }

    /// Notes that records were committed. A large one is written in several
    /// transactions and counts once.
    pub(super) fn appended(&self, records: usize) {
        self.records
            .inc_by(u64::try_from(records).unwrap_or(u64::MAX));
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "journal_commit",
            "Time of a transaction of the journal",
            Unit::Seconds,
            self.commits.clone(),
        );
        registry.register(
            "journal_records",
            "Records that the journal has committed",
            self.records.clone(),
        );
        registry.register(
            "journal_write_failures",
            "Transactions of the journal that failed",
            self.failures.clone(),
        );
    }
}
