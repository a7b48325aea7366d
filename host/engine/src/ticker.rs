//! The epoch clock, which ends the time slices of guests and finds those that
//! take longer.
//!
//! It is an OS thread, not a task: guests that never yield could keep a task
//! from running, and with it everything that stops them. The thread ends with
//! the engine.

use std::io;
use std::thread;
use std::time::Instant;

use wasmtime::Engine;

use crate::schedule::scheduler::{SLICE, Scheduler};

/// Starts the thread.
pub(crate) fn start(engine: &Engine, scheduler: Scheduler) -> io::Result<()> {
    let engine = engine.weak();
    thread::Builder::new()
        .name("orwd-ticker".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                scheduler.check_overdue(Instant::now());
                thread::sleep(SLICE);
            }
        })?;
    Ok(())
}
