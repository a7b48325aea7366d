//! All metrics of a server, as text.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use orwd_metrics::SecondsCounter;
use orwd_ors::HttpMetrics;
use orwd_session::SessionManager;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::process_facts::{ProcessFacts, ProcessNumbers};
use crate::console::DroppedLines;

/// The metrics of a server that runs.
pub(crate) struct ServerMetrics {
    registry: Registry,
    update_sessions: Box<dyn Fn() + Send + Sync>,
    process: ProcessGauges,
    facts: ProcessFacts,
    dropped_lines: DroppedLines,
}

/// What is read about the process before each scrape.
struct ProcessGauges {
    resident: Gauge,
    page_tables: Gauge,
    mappings: Gauge,
    mappings_limit: Gauge,
    descriptors: Gauge,
    descriptors_limit: Gauge,
    cpu: SecondsCounter,
    log_lines: Family<LaneLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    lane: &'static str,
}

impl ServerMetrics {
    pub(crate) fn new(
        sessions: &SessionManager,
        http: &HttpMetrics,
        facts: ProcessFacts,
        dropped_lines: DroppedLines,
    ) -> ServerMetrics {
        let mut registry = Registry::with_prefix("orwd");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of this server", build);
        let start: Gauge = Gauge::default();
        start.set(unix_time());
        registry.register_with_unit(
            "start_time",
            "When this server began to serve, in Unix time",
            Unit::Seconds,
            start,
        );
        let update_sessions = Box::new(sessions.register_metrics(&mut registry));
        http.register(&mut registry);
        let process = ProcessGauges::register(&mut registry, &facts.read());
        ServerMetrics {
            registry,
            update_sessions,
            process,
            facts,
            dropped_lines,
        }
    }

    /// Returns all metrics. May take milliseconds. One call at a time.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        (self.update_sessions)();
        self.process.update(&self.facts, &self.dropped_lines);
        let mut metrics = String::with_capacity(16 << 10);
        text::encode(&mut metrics, &self.registry)?;
        Ok(metrics)
    }
}

impl ProcessGauges {
    /// Registers what the system reports, which these numbers show.
    fn register(registry: &mut Registry, reported: &ProcessNumbers) -> ProcessGauges {
        let mut bytes = |name: &str, help: &str, reported: Option<u64>| {
            let gauge = Gauge::default();
            if reported.is_some() {
                registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
            }
            gauge
        };
        let resident = bytes(
            "process_resident",
            "Resident memory of the process",
            reported.resident,
        );
        let page_tables = bytes(
            "process_page_table",
            "Memory of its page tables",
            reported.page_tables,
        );
        let mut gauge = |name: &str, help: &str, reported: Option<u64>| {
            let gauge = Gauge::default();
            if reported.is_some() {
                registry.register(name, help, gauge.clone());
            }
            gauge
        };
        let mappings = gauge(
            "process_mappings",
            "Memory mappings of the process",
            reported.mappings,
        );
        let mappings_limit = gauge(
            "process_mappings_limit",
            "The most mappings that the system allows it",
            reported.mappings_limit,
        );
        let descriptors = gauge(
            "process_descriptors",
            "Open file descriptors",
            reported.descriptors,
        );
        let descriptors_limit = gauge(
            "process_descriptors_limit",
            "The most descriptors that the system allows it",
            reported.descriptors_limit,
        );
        let cpu = SecondsCounter::default();
        registry.register_with_unit(
            "process_cpu",
            "CPU time of the process",
            Unit::Seconds,
            cpu.clone(),
        );
        let log_lines: Family<LaneLabel, Counter> = Family::default();
        registry.register(
            "log_lines_dropped",
            "Log lines that were dropped because their reader was too slow",
            log_lines.clone(),
        );
        ProcessGauges {
            resident,
            page_tables,
            mappings,
            mappings_limit,
            descriptors,
            descriptors_limit,
            cpu,
            log_lines,
        }
    }

    fn update(&self, facts: &ProcessFacts, dropped_lines: &DroppedLines) {
        let numbers = facts.read();
        for (gauge, number) in [
            (&self.resident, numbers.resident),
            (&self.page_tables, numbers.page_tables),
            (&self.mappings, numbers.mappings),
            (&self.mappings_limit, numbers.mappings_limit),
            (&self.descriptors, numbers.descriptors),
            (&self.descriptors_limit, numbers.descriptors_limit),
        ] {
            let number = number.unwrap_or_default();
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        self.cpu.raise_to(numbers.cpu);
        let (host, guest) = dropped_lines.get();
        for (lane, lines) in [("host", host), ("guest", guest)] {
            let counter = self.log_lines.get_or_create(&LaneLabel { lane });
            counter.inner().fetch_max(lines, Ordering::Relaxed);
        }
    }
}

fn unix_time() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}
