//! The epoch clock, which ends the time slices of guests.
//!
//! It is an OS thread, not a task: guests that never yield could keep a task
//! from running, and with it everything that stops them. The thread ends with
//! the engine.

use std::io;
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// The length of an epoch: one time slice of a guest.
pub(crate) const EPOCH: Duration = Duration::from_millis(2);

/// Starts the thread.
pub(crate) fn start(engine: &Engine) -> io::Result<()> {
    let engine = engine.weak();
    thread::Builder::new()
        .name("orwd-ticker".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(EPOCH);
            }
        })?;
    Ok(())
}
