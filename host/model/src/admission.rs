//! What the host spends on taking an environment in, before any session of it.

use std::time::Duration;

/// What a component may cost until it can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Bytes of the component.
    pub component: u64,
    /// Bytes of address space that compiling it may take.
    pub memory: u64,
    /// CPU time that compiling it may take.
    pub time: Duration,
}

impl AdmissionLimits {
    /// Time on the clock for compiling. More than the CPU time, because a
    /// compiler that waits for its turn on a busy machine is not at fault.
    pub fn wall(&self) -> Duration {
        self.time.saturating_mul(2)
    }
}

impl Default for AdmissionLimits {
    fn default() -> AdmissionLimits {
        AdmissionLimits {
            component: 64 << 20,
            memory: 4 << 30,
            time: Duration::from_secs(120),
        }
    }
}
