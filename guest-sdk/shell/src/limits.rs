//! The limits of one command line.

use std::time::Duration;

use bashkit::{ExecutionLimits, MemoryLimits, SessionLimits};

/// Bytes of a file that commands can read. The evaluator reads files whole, and
/// some commands hold several copies, or ten times as much.
pub const MAX_FILE: u64 = 4 << 20;

/// Bytes that the evaluator may have allocated when a command reads another file. What
/// follows takes the rest of the memory of a session.
pub(crate) const MAX_LIVE: usize = 64 << 20;

/// Bytes that pipes and substitutions of one command line hold at once.
const LIVE_BYTES: u64 = 8 << 20;

/// Bytes of all variables.
const VARIABLES: usize = 8 << 20;

/// Elements of all arrays. Appending to an array takes longer with each element.
const ARRAY_ENTRIES: usize = 100_000;

/// Allocations, each with its first 64 bytes, that a command line may make in each
/// second of its time. A second of them takes about half a second of CPU time, so that on
/// a slow machine as well the longest command line ends before the CPU time of its call.
const WORK_PER_SECOND: f64 = 1e6;

/// Steps that a program of `jq` may take in each second of the time of its command line,
/// and at least. Most take less than half a microsecond of CPU time, and the slowest a few.
const JQ_STEPS_PER_SECOND: f64 = 2e5;

/// Bytes of a command line.
const COMMAND: usize = 1 << 20;

/// Bytes of each output stream that the evaluator keeps.
pub(crate) const STREAM: usize = 1 << 20;

/// Iterations of loops, and commands.
const STEPS: usize = 1_000_000;

/// Steps of the parser.
const PARSER_STEPS: usize = 10_000_000;

/// The limits of one command line that an environment chooses. All others are
/// fixed, below those of the session, so that a command line that exceeds one
/// ends and the session continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShellLimits {
    /// The time after which a command line is stopped. Sleeps count in full;
    /// computation is counted in steps of about a microsecond.
    pub timeout: Duration,
    /// Bytes of output that are returned. The middle of a longer output is left
    /// out.
    pub max_output: usize,
}

impl Default for ShellLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20),
            max_output: 32 << 10,
        }
    }
}

impl ShellLimits {
    /// Returns the most work of a command line, in steps of the meter.
    pub(crate) fn work(&self) -> u64 {
        // Starting the evaluator takes work too.
        let seconds = self.timeout.as_secs_f64().max(0.5);
        (seconds * WORK_PER_SECOND) as u64
    }

    /// Returns the most steps of a program of `jq`.
    pub(crate) fn steps_of_jq(&self) -> u64 {
        (self.timeout.as_secs_f64().max(1.0) * JQ_STEPS_PER_SECOND) as u64
    }

    pub(crate) fn execution(&self) -> ExecutionLimits {
        ExecutionLimits::cli()
            .timeout(self.timeout)
            .parser_timeout(self.timeout)
            .max_work_units(u64::MAX)
            .max_aggregate_input_bytes(u64::MAX)
            .max_live_intermediate_bytes(LIVE_BYTES)
            .max_commands(STEPS)
            .max_loop_iterations(STEPS)
            .max_total_loop_iterations(STEPS)
            .max_parser_operations(PARSER_STEPS)
            .max_input_bytes(COMMAND)
            .max_stdout_bytes(STREAM)
            .max_stderr_bytes(STREAM)
    }
}

pub(crate) fn memory() -> MemoryLimits {
    MemoryLimits::new()
        .max_total_variable_bytes(VARIABLES)
        .max_array_entries(ARRAY_ENTRIES)
}

/// The evaluator is built anew for each command line, so nothing adds up.
pub(crate) fn session() -> SessionLimits {
    SessionLimits::unlimited()
}
