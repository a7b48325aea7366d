//! Threads of the process.

use tokio::runtime::{Builder, Runtime};

use crate::console::CommandError;

/// Returns the number of CPUs of this process. Hardening hides it later.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts the runtime for requests. Guests have threads of their own.
pub(crate) fn start(threads: usize) -> Result<Runtime, CommandError> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(threads).enable_all().build();
    runtime.map_err(|error| CommandError::new(format!("cannot start threads: {error}")))
}
