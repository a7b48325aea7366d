//! Threads of the process.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::console::CommandError;

/// How long a thread for blocking work waits for more.
///
/// Work wakes the thread that has waited longest. So periodic work, as of the key
/// file, would otherwise keep alive every thread that a burst of work started.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Returns the number of CPUs of this process. Hardening hides it later.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts the runtime for requests. Guests have threads of their own.
pub(crate) fn start(threads: usize) -> Result<Runtime, CommandError> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all();
    builder.thread_keep_alive(BLOCKING_KEEP_ALIVE);
    let runtime = builder.build();
    runtime.map_err(|error| CommandError::new(format!("cannot start threads: {error}")))
}
