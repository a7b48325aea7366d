//! What happens: calls, faults, resumes and evictions.
//!
//! Labels have few values: the environments that the server serves, and closed
//! lists. Nothing that a client chooses is a label. Every series exists from the
//! start, so that its first event is seen as an increase.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use orwd_metrics::{DurationHistogram, SecondsCounter};
use orwd_model::{EnvName, FaultCode, RunOutcome};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// The label of environments that are not served any more and have sessions. No
/// environment can have this name.
pub(crate) const NOT_SERVED: &str = "(not served)";

/// The counters of a server.
pub(crate) struct SessionCounters {
    families: CallFamilies,
    faults: Family<CodeLabel, Counter>,
    pub(crate) created: Counter,
    pub(crate) resumed: Counter,
    pub(crate) hibernated: Counter,
    pub(crate) evicted: Counter,
    /// The counters of each served environment, which its sessions share.
    served: HashMap<EnvName, Arc<CallCounters>>,
    /// Those of all others together.
    not_served: OnceLock<Arc<CallCounters>>,
}

/// The counters of calls, by environment.
struct CallFamilies {
    calls: Family<CallLabels, Counter>,
    durations: Family<EnvironmentLabel, DurationHistogram, fn() -> DurationHistogram>,
    cpu: Family<EnvironmentLabel, SecondsCounter>,
    waits: DurationHistogram,
    appends: DurationHistogram,
}

/// The counters of the calls of one environment.
pub(crate) struct CallCounters {
    output: Counter,
    refused: Counter,
    failed: Counter,
    faulted: Counter,
    not_run: Counter,
    durations: DurationHistogram,
    cpu: SecondsCounter,
    waits: DurationHistogram,
    appends: DurationHistogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    environment: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EnvironmentLabel {
    environment: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

/// Returns a histogram with bounds from 64 µs to a minute.
fn durations() -> DurationHistogram {
    DurationHistogram::doubling(Duration::from_micros(64), 21)
}

impl SessionCounters {
    /// Creates the counters of a server of these environments.
    pub(crate) fn new<'a>(served: impl Iterator<Item = &'a EnvName>) -> SessionCounters {
        let families = CallFamilies {
            calls: Family::default(),
            durations: Family::new_with_constructor(durations),
            cpu: Family::default(),
            waits: durations(),
            appends: durations(),
        };
        let served = served.map(|name| (name.clone(), families.of_environment(name.as_str())));
        let served = served.collect();
        let faults = Family::default();
        for code in FaultCode::ALL {
            let code = code.as_str();
            drop(faults.get_or_create(&CodeLabel { code }));
        }
        SessionCounters {
            families,
            faults,
            created: Counter::default(),
            resumed: Counter::default(),
            hibernated: Counter::default(),
            evicted: Counter::default(),
            served,
            not_served: OnceLock::new(),
        }
    }

    /// Returns the counters of an environment.
    pub(crate) fn of_environment(&self, name: &EnvName) -> Arc<CallCounters> {
        let not_served = || {
            let create = || self.families.of_environment(NOT_SERVED);
            self.not_served.get_or_init(create)
        };
        self.served.get(name).unwrap_or_else(not_served).clone()
    }

    /// Notes that a fault has ended a session.
    pub(crate) fn faulted(&self, code: FaultCode) {
        let code = code.as_str();
        self.faults.get_or_create(&CodeLabel { code }).inc();
    }

    /// Adds the counters to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.families.register(registry);
        registry.register(
            "faults",
            "Sessions that a fault has ended, by its code",
            self.faults.clone(),
        );
        for (name, help, counter) in [
            (
                "sessions_created",
                "Sessions that clients have created, also as forks",
                &self.created,
            ),
            (
                "sessions_resumed",
                "Sessions that were rebuilt from the journal",
                &self.resumed,
            ),
            (
                "sessions_hibernated",
                "Sessions whose guests have left memory, to be resumed",
                &self.hibernated,
            ),
            (
                "sessions_evicted",
                "Of them those that others needed the place or the memory of",
                &self.evicted,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}

impl CallFamilies {
    fn of_environment(&self, name: &str) -> Arc<CallCounters> {
        let label = EnvironmentLabel {
            environment: name.to_owned(),
        };
        let calls = |outcome| {
            let environment = name.to_owned();
            self.calls.get_or_create_owned(&CallLabels {
                environment,
                outcome,
            })
        };
        Arc::new(CallCounters {
            output: calls("output"),
            refused: calls("refused"),
            failed: calls("failed"),
            faulted: calls("faulted"),
            not_run: calls("not_run"),
            durations: self.durations.get_or_create_owned(&label),
            cpu: self.cpu.get_or_create_owned(&label),
            waits: self.waits.clone(),
            appends: self.appends.clone(),
        })
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "calls",
            "Calls and scorings that have ended, by outcome",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "call_duration",
            "Time from the arrival of a call to its outcome, in the journal",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register_with_unit(
            "call_wait",
            "Time for which calls wait for earlier requests of their session",
            Unit::Seconds,
            self.waits.clone(),
        );
        registry.register_with_unit(
            "call_cpu",
            "CPU time of guests in requests and setups",
            Unit::Seconds,
            self.cpu.clone(),
        );
        registry.register_with_unit(
            "journal_append",
            "Time for which a response waits for its commit",
            Unit::Seconds,
            self.appends.clone(),
        );
    }
}

impl CallCounters {
    /// Notes that a call begins after this time.
    pub(crate) fn begun(&self, waited: Duration) {
        self.waits.observe(waited);
    }

    /// Notes the CPU time of an entry into the guest.
    pub(crate) fn used(&self, cpu: Duration) {
        self.cpu.add(cpu);
    }

    /// Notes that a response was committed after this time.
    pub(crate) fn appended(&self, waited: Duration) {
        self.appends.observe(waited);
    }

    /// Notes that a call has ended; none if it was not run.
    pub(crate) fn ended(&self, outcome: Option<&RunOutcome>, time: Duration) {
        let counter = match outcome {
            Some(RunOutcome::Output(_) | RunOutcome::Scores(_)) => &self.output,
            Some(RunOutcome::Refused(_)) => &self.refused,
            Some(RunOutcome::Failed(_)) => &self.failed,
            Some(RunOutcome::Faulted(_)) => &self.faulted,
            None => &self.not_run,
        };
        counter.inc();
        self.durations.observe(time);
    }

    /// Notes that a call was not queued.
    pub(crate) fn not_queued(&self) {
        self.not_run.inc();
    }

    /// Notes a call that is refused without entering the guest.
    pub(crate) fn refused(&self, outcome: &RunOutcome) {
        match outcome {
            RunOutcome::Failed(_) => self.failed.inc(),
            _ => self.refused.inc(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_that_are_not_served_share_one_label() {
        let served = EnvName::new("alpha").unwrap();
        let counters = SessionCounters::new([&served].into_iter());
        for name in ["alpha", "gone", "gone-too", "ALPHA"] {
            let name = EnvName::new(name).unwrap();
            counters.of_environment(&name).not_queued();
        }
        let mut registry = Registry::default();
        counters.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let count = |environment: &str| {
            let start =
                format!("calls_total{{environment=\"{environment}\",outcome=\"not_run\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.map(|count| count.parse::<u64>().unwrap())
        };
        assert_eq!(count("alpha"), Some(2));
        assert_eq!(count(NOT_SERVED), Some(2));
        assert_eq!(count("gone"), None);
    }

    #[test]
    fn every_fault_code_is_zero_before_its_first_fault() {
        let counters = SessionCounters::new([].into_iter());
        counters.faulted(FaultCode::LimitCpu);
        let mut registry = Registry::default();
        counters.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for code in FaultCode::ALL {
            let count = u8::from(*code == FaultCode::LimitCpu);
            let line = format!("\nfaults_total{{code=\"{}\"}} {count}\n", code.as_str());
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
