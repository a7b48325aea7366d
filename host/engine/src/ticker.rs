//! The clock that slices the time of guests.
//!
//! An OS thread and not a task: were it a task, guests that never yield could
//! keep it from running, and with it everything that stops them. It ends with
//! the engine.

use std::io;
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// One epoch: how long a guest runs before the next in line gets its turn.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// Starts the thread.
pub(super) fn start(engine: &Engine) -> io::Result<()> {
    let engine = engine.weak();
    thread::Builder::new()
        .name("orwd-ticker".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        })?;
    Ok(())
}
