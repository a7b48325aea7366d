//! The engine as the rest of the host holds it.
//!
//! Guests run on threads of their own: a guest that computes keeps no request
//! waiting, and what little the two share is the channel between them. A slot
//! is taken before an instance is made, so that the pool never has to refuse.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use wasmtime::component::Linker;

use super::compiler::Compiler;
use super::settings::{Allocation, EngineSettings};
use super::ticker;
use orwd_model::AdmissionLimits;
use orwd_sandbox::GuestState;

/// What runs the guests, and its version.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// Threads for the file system calls of guests.
const FILE_THREADS: usize = 16;

/// A cheap handle on the engine; clones share it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<GuestState>,
    compiler: Compiler,
    threads: usize,
    turns: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    /// Empty until the engine starts, and while the last handle is dropped.
    guests: OnceLock<Runtime>,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused the configuration.
    #[error("the WebAssembly engine cannot be set up: {0:#}")]
    Wasmtime(wasmtime::Error),
    /// A thread could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Engine {
    /// Sets up the engine, its clock and its threads. Components are compiled
    /// in this process, which suits tests and tools that know their components.
    pub fn new(settings: EngineSettings) -> Result<Engine, EngineError> {
        let compiler = Compiler::here(AdmissionLimits::default());
        Engine::with_compiler(settings, compiler)
    }

    /// The same with a compiler of the caller's choice.
    pub fn with_compiler(
        settings: EngineSettings,
        compiler: Compiler,
    ) -> Result<Engine, EngineError> {
        let engine = Engine::idle(settings, compiler)?;
        engine.start()?;
        Ok(engine)
    }

    /// The same without clock and threads: it compiles and loads components,
    /// and runs none of them until it is started. What a process gives up for
    /// good is best given up in between.
    pub fn idle(settings: EngineSettings, compiler: Compiler) -> Result<Engine, EngineError> {
        let wasmtime = match new_wasmtime(&settings, Allocation::Pooled) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(
                    "instances are mapped one by one, which is slower to start: \
                     there is no address space for a pool of {}: {error:#}",
                    settings.max_sessions
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
            turns: Arc::new(Semaphore::new(threads)),
            slots: Arc::new(Semaphore::new(settings.max_sessions as usize)),
            guests: OnceLock::new(),
        })))
    }

    /// Starts the clock and the threads, if they do not run yet.
    pub fn start(&self) -> Result<(), EngineError> {
        if self.0.guests.get().is_some() {
            return Ok(());
        }
        ticker::start(&self.0.wasmtime)?;
        let guests = Builder::new_multi_thread()
            .worker_threads(self.0.threads)
            .thread_name("orwd-guest")
            .max_blocking_threads(FILE_THREADS)
            // Look at timers after every turn: with the default of 61, and a
            // turn being a whole time slice, they would be a second late.
            .event_interval(1)
            .enable_time()
            .enable_io()
            .build()?;
        if let Err(second) = self.0.guests.set(guests) {
            second.shutdown_background();
        }
        Ok(())
    }

    /// Runs a task on the threads of the guests, if they were started.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        self.0.guests.get().map(|guests| guests.spawn(task))
    }

    /// Takes the place of one session, if there is one left.
    pub fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.0.slots.clone().try_acquire_owned().ok()
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(super) fn linker(&self) -> &Linker<GuestState> {
        &self.0.linker
    }

    /// What compiles components for it.
    pub fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }

    pub(super) fn turns(&self) -> &Arc<Semaphore> {
        &self.0.turns
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last handle may go within a task, where waiting for threads is
        // not allowed.
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
    fn the_engine_is_what_it_is_called() {
        let lock = include_str!("../../../Cargo.lock");
        let (name, version) = ENGINE.split_once(' ').unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&entry), "not {ENGINE}");
    }
}
