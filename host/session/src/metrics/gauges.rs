//! What there is at a moment: sessions by state, and what is held of the limits.

use std::collections::{HashMap, HashSet};

use orwd_model::EnvName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::lifecycle::registry::SessionRegistry;
use crate::metrics::counters::NOT_SERVED;

/// The states that an open session is in for longer than a moment. Each served
/// environment has a number for each of them, also if it is zero.
const STATES: [&str; 8] = [
    "starting",
    "ready",
    "asleep",
    "data_differs",
    "waking",
    "setup_failed",
    "faulted",
    "lost",
];

/// The gauges of a server.
pub(crate) struct SessionGauges {
    sessions: Family<SessionLabels, Gauge>,
    slots: Gauge,
    free_slots: Gauge,
    cpu_queue: Gauge,
    held: Family<KindLabel, Gauge>,
    limits: Family<KindLabel, Gauge>,
    disk: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SessionLabels {
    environment: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

impl SessionGauges {
    /// Creates the gauges, and adds them to a registry.
    pub(crate) fn register(registry: &mut Registry) -> SessionGauges {
        let gauges = SessionGauges {
            sessions: Family::default(),
            slots: Gauge::default(),
            free_slots: Gauge::default(),
            cpu_queue: Gauge::default(),
            held: Family::default(),
            limits: Family::default(),
            disk: Gauge::default(),
        };
        registry.register(
            "sessions",
            "Open sessions, by environment and state",
            gauges.sessions.clone(),
        );
        registry.register(
            "session_slots",
            "Sessions that can be in memory at once",
            gauges.slots.clone(),
        );
        registry.register(
            "session_slots_free",
            "Of them those that no session has",
            gauges.free_slots.clone(),
        );
        registry.register(
            "cpu_queue_guests",
            "Guests that wait for a turn on a CPU",
            gauges.cpu_queue.clone(),
        );
        registry.register_with_unit(
            "held",
            "Bytes that are held for clients, by kind",
            Unit::Bytes,
            gauges.held.clone(),
        );
        registry.register_with_unit(
            "held_limit",
            "The most bytes that are held, by kind",
            Unit::Bytes,
            gauges.limits.clone(),
        );
        registry.register_with_unit(
            "journal",
            "Bytes on disk of the episodes that the journal has",
            Unit::Bytes,
            gauges.disk.clone(),
        );
        gauges
    }

    /// Reads the state of the server. One call at a time, and not beside an
    /// encoding: the sessions are counted anew.
    pub(crate) fn update(&self, server: &SessionRegistry) {
        let context = &server.context;
        let served: HashSet<&str> = server.names.iter().map(EnvName::as_str).collect();
        let mut sessions: HashMap<(&str, &'static str), i64> = HashMap::new();
        for name in served.iter().copied() {
            for state in STATES {
                sessions.insert((name, state), 0);
            }
        }
        server.table.visit(|handle| {
            let name = handle.shared.identity.environment.as_str();
            let name = served.get(name).copied().unwrap_or(NOT_SERVED);
            let state = handle.shared.phase.borrow().as_str();
            *sessions.entry((name, state)).or_default() += 1;
        });
        self.sessions.clear();
        for ((environment, state), count) in sessions {
            let environment = environment.to_owned();
            let labels = SessionLabels { environment, state };
            self.sessions.get_or_create(&labels).set(count);
        }
        let (free, slots) = context.engine.session_slots();
        self.slots.set(gauge(slots));
        self.free_slots.set(gauge(free));
        self.cpu_queue.set(gauge(context.engine.waiting_guests()));
        let memory = &context.settings.memory;
        for (kind, held, limit) in [
            ("requests", context.requests.used(), memory.requests),
            ("results", context.results.used(), memory.results),
            ("histories", context.histories.used(), memory.histories),
            ("listings", context.listings.used(), memory.listings),
            ("guests", context.guest_memory.used(), memory.guests),
        ] {
            let kind = KindLabel { kind };
            self.held.get_or_create(&kind).set(gauge(held));
            self.limits.get_or_create(&kind).set(gauge(limit));
        }
        let disk = context.journal.usage().map_or(0, |usage| usage.total());
        self.disk.set(i64::try_from(disk).unwrap_or(i64::MAX));
    }
}

fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
