//! The engine handle that the rest of the host holds.
//!
//! Guests run on their own Tokio runtime, so that a guest that computes delays
//! no request; the two runtimes share only channels. A session permit is
//! acquired before an instance is created, so that the instance pool never
//! refuses.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use wasmtime::component::Linker;

use crate::compile::compiler::Compiler;
use crate::settings::{Allocation, EngineSettings};
use crate::ticker;
use orwd_sandbox::GuestState;

/// The engine's name and version.
pub const ENGINE_VERSION: &str = "wasmtime 48.0.8";

/// Threads for blocking file operations of guests.
const BLOCKING_THREADS: usize = 16;

/// A cheap handle to the engine; clones share it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<GuestState>,
    compiler: Compiler,
    threads: usize,
    cpu_permits: Arc<Semaphore>,
    session_permits: Arc<Semaphore>,
    /// Empty until the engine starts, and while the last handle is dropped.
    guests: OnceLock<Runtime>,
}

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused the configuration.
    #[error("cannot create the WebAssembly engine: {0:#}")]
    Wasmtime(wasmtime::Error),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Engine {
    /// Creates an engine without clock and threads. It compiles and loads
    /// components, but runs none until [`Engine::start`]. Process hardening
    /// belongs between the two.
    pub fn new(settings: EngineSettings, compiler: Compiler) -> Result<Engine, EngineError> {
        let wasmtime = match new_wasmtime(&settings, Allocation::Pooled) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(
                    sessions = settings.max_sessions,
                    error = format!("{error:#}"),
                    "cannot reserve the instance pool; sessions will start more slowly"
                );
                new_wasmtime(&settings, Allocation::OnDemand).map_err(EngineError::Wasmtime)?
            }
        };
        let mut linker = Linker::new(&wasmtime);
        orwd_sandbox::link(&mut linker).map_err(EngineError::Wasmtime)?;
        let threads = settings.threads.max(1);
        Ok(Engine(Arc::new(Inner {
            wasmtime,
            linker,
            compiler,
            threads,
            cpu_permits: Arc::new(Semaphore::new(threads)),
            session_permits: Arc::new(Semaphore::new(settings.max_sessions as usize)),
            guests: OnceLock::new(),
        })))
    }

    /// Starts the epoch clock and the guest threads, unless they run already.
    pub fn start(&self) -> Result<(), EngineError> {
        if self.0.guests.get().is_some() {
            return Ok(());
        }
        ticker::start(&self.0.wasmtime)?;
        let guests = Builder::new_multi_thread()
            .worker_threads(self.0.threads)
            .thread_name("orwd-guest")
            .max_blocking_threads(BLOCKING_THREADS)
            // Check timers after every poll: a poll lasts a whole time slice,
            // so with the default of 61 timers would fire a second late.
            .event_interval(1)
            .enable_time()
            .enable_io()
            .build()?;
        if let Err(second) = self.0.guests.set(guests) {
            second.shutdown_background();
        }
        Ok(())
    }

    /// Spawns a task on the guest threads, if they were started.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        self.0.guests.get().map(|guests| guests.spawn(task))
    }

    /// Acquires the permit for one session, if one is left.
    pub fn session_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.session_permits.clone().try_acquire_owned().ok()
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<GuestState> {
        &self.0.linker
    }

    /// Returns the compiler of this engine.
    pub fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }

    pub(crate) fn cpu_permits(&self) -> &Arc<Semaphore> {
        &self.0.cpu_permits
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last handle may be dropped within a task, where blocking on
        // threads is not allowed.
        if let Some(guests) = self.guests.take() {
            guests.shutdown_background();
        }
    }
}

fn new_wasmtime(
    settings: &EngineSettings,
    allocation: Allocation,
) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&settings.config(allocation)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_matches_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        let (name, version) = ENGINE_VERSION.split_once(' ').unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&entry), "not {ENGINE_VERSION}");
    }
}
