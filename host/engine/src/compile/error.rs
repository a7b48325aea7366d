//! Failures of compilation.

use std::time::Duration;

/// Compilation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The compiler rejects the component as invalid.
    #[error("cannot compile the component: {0}")]
    Refused(String),
    /// The CPU time limit was reached.
    #[error(
        "the component is too expensive: compilation exceeds {} of CPU time \
         (--compile-time)",
        seconds(*.0)
    )]
    Cpu(Duration),
    /// The wall time limit was reached.
    #[error(
        "the component is too expensive: compilation did not finish in {} (twice --compile-time)",
        seconds(*.0)
    )]
    Wall(Duration),
    /// The memory limit was reached.
    #[error(
        "the component is too expensive: compilation exceeds {} MiB of memory \
         (--compile-memory)",
        .0 >> 20
    )]
    Memory(u64),
    /// The compiler exited without a reply, for none of the reasons above.
    #[error("the compiler failed on this component: {0}")]
    Crashed(String),
    /// The compiler could not be started. This says nothing about the
    /// component.
    #[error("cannot run the compiler: {0}")]
    Unavailable(String),
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
