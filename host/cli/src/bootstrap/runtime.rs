//! Threads of the process.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::console::CommandError;

/// How long a thread for blocking work waits for more.
///
/// Work wakes the thread that has waited longest. So periodic work, as of the key
/// file, would otherwise keep alive every thread that a burst of work started.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_millis(500);

/// The time between two returns of freed memory to the system.
const RETURN_INTERVAL: Duration = Duration::from_secs(2);

/// Bytes of a block that the allocator never keeps for its thread.
const LARGE_BLOCK: usize = 8 << 20;

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

/// Starts a thread that keeps freed memory from staying with the process.
///
/// The allocator keeps freed memory for a second, since it may be needed again, and
/// returns it to the system when some thread frees a large block after that. What the
/// last of a burst of large results left would otherwise stay for as long as nobody
/// else does.
pub(crate) fn start_memory_return() -> Result<(), CommandError> {
    let thread = thread::Builder::new().name("orwd-memory".to_owned());
    let started = thread.spawn(|| {
        loop {
            thread::sleep(RETURN_INTERVAL);
            // Not written to, so it takes no memory itself.
            drop(black_box(Vec::<u8>::with_capacity(LARGE_BLOCK)));
        }
    });
    started
        .map(drop)
        .map_err(|error| CommandError::new(format!("cannot start threads: {error}")))
}
