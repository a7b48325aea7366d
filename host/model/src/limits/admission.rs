//! The limits of a component and of its data before they are served.

use std::time::Duration;

use super::spec::LimitDefault::Fixed;

const NANOS: u64 = 1_000_000_000;

crate::declare_limits! {
    /// Limits of a component and of its data before they are served.
    pub struct AdmissionLimits, "Limits of a component and its data" {
        /// Size of a component. A larger one is not served.
        component: u64 = "component-limit"
            (Size, Fixed(128 << 20), 1 << 10, 1 << 30);
        /// Address space of the process that compiles a component, of which the
        /// compiler itself takes about 300MiB. A component that needs more is
        /// not served.
        memory: u64 = "compile-memory"
            (Size, Fixed(4 << 30), 512 << 20, 1 << 40);
        /// CPU time of compiling one component, in whole seconds; its wall-clock
        /// limit is twice that. A component that needs more is not served.
        time: Duration = "compile-time"
            (Time, Fixed(120 * NANOS), NANOS, 86_400 * NANOS);
        /// Size of all files in a data directory. An environment with more is
        /// not served.
        data: u64 = "data-limit"
            (Size, Fixed(256 << 30), 1 << 10, 1 << 50);
        /// Files, directories and links in a data directory. An environment with
        /// more is not served.
        data_entries: u64 = "data-entries"
            (Count, Fixed(2_000_000), 1, 1 << 32);
    }
}

impl AdmissionLimits {
    /// Returns the wall-clock limit of compiling.
    ///
    /// It is larger than the CPU time: a compiler that waits for its turn on a
    /// busy machine is not at fault.
    pub fn wall(&self) -> Duration {
        self.time.saturating_mul(2)
    }
}
