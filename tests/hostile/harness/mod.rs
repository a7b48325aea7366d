//! One server, a canary on it, and the cases of one family of attacks.

mod assertions;
mod attack_harness;
mod canary;
mod process_stats;
mod report;

pub(crate) use assertions::{
    act_answers, act_faults, act_is_invalid, call_faulted, component_refused, create_fails,
    inspect, setup_fails,
};
pub(crate) use attack_harness::{ATTACKER_SESSIONS, AttackHarness, open, quick_or_soak};
pub(crate) use canary::catch_panic;
pub(crate) use process_stats::ProcessStats;
