//! The engine handle that the rest of the host holds.
//!
//! Guests run on their own Tokio runtime, so that a guest that computes delays
//! no request; the two runtimes share only channels. A session permit is
//! acquired before an instance is created, so that the instance pool never
//! refuses. There are no more permits than instances that the system can hold.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use wasmtime::component::Linker;

use crate::capacity::{Capacity, Reservation};
use crate::compile::compiler::Compiler;
use crate::schedule::account::Owner;
use crate::schedule::scheduler::Scheduler;
use crate::session_shares::{SessionShare, SessionShares};
use crate::settings::{Allocation, EngineSettings};
use crate::ticker;
use orwd_sandbox::{GuestState, HostMemory};

/// The engine's name and version.
pub const ENGINE_VERSION: &str = "wasmtime 48.0.8";

/// Threads for blocking file operations of guests.
const BLOCKING_THREADS: usize = 16;

/// How long such a thread waits for more work. One that waits keeps some of the
/// memory that it allocated and others freed, such as what it read from the journal.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Returns how many turns there may be in place of overdue ones. Each needs a
/// thread, and a few suffice for guests that yield in time.
fn spare_turns(turns: usize) -> usize {
    turns.min(8) + 2
}

/// A cheap handle to the engine; clones share it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<GuestState>,
    compiler: Compiler,
    threads: usize,
    scheduler: Scheduler,
    session_permits: Arc<Semaphore>,
    shares: Arc<SessionShares>,
    max_memory: usize,
    host_memory: HostMemory,
    capacity: Capacity,
    reservation: Reservation,
    /// The most memories of one instance, of the components loaded so far.
    memories: AtomicU64,
    /// Empty until the engine starts, and while the last handle is dropped.
    guests: OnceLock<Runtime>,
}

/// The permission to hold one session in memory.
#[derive(Debug)]
pub struct SessionPermit {
    _permit: OwnedSemaphorePermit,
    share: SessionShare,
}

impl SessionPermit {
    /// Returns on whose behalf the session runs.
    pub fn owner(&self) -> &Owner {
        self.share.owner()
    }
}

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The system cannot hold even one session.
    #[error(
        "the system has too little address space or too few memory mappings for one session: \
         {0}; raise the limit (ulimit -v, sysctl vm.max_map_count)"
    )]
    NoCapacity(Capacity),
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
        let capacity = Capacity::of_process();
        let (wasmtime, reservation) = reserve(&settings, capacity)?;
        let sessions = reservation.sessions;
        tracing::info!(sessions, %capacity, "capacity for sessions reserved");
        if sessions < settings.max_sessions {
            tracing::warn!(
                requested = settings.max_sessions,
                sessions,
                %capacity,
                "session limit lowered to what the system can map; raise vm.max_map_count or the \
                 limit of address space, or lower --max-sessions"
            );
        }
        let mut linker = Linker::new(&wasmtime);
        orwd_sandbox::link(&mut linker).map_err(EngineError::Wasmtime)?;
        let threads = settings.threads.max(1);
        Ok(Engine(Arc::new(Inner {
            wasmtime,
            linker,
            compiler,
            threads,
            scheduler: Scheduler::new(threads, spare_turns(threads)),
            session_permits: Arc::new(Semaphore::new(sessions as usize)),
            shares: Arc::default(),
            max_memory: settings.max_memory,
            host_memory: HostMemory::default(),
            capacity,
            reservation,
            memories: AtomicU64::new(1),
            guests: OnceLock::new(),
        })))
    }

    /// Starts the epoch clock and the guest threads, unless they run already.
    pub fn start(&self) -> Result<(), EngineError> {
        if self.0.guests.get().is_some() {
            return Ok(());
        }
        self.fit_permits();
        ticker::start(&self.0.wasmtime, self.0.scheduler.clone())?;
        let guests = Builder::new_multi_thread()
            // One for each turn, overdue or not, and one for all other work.
            .worker_threads(self.0.threads + spare_turns(self.0.threads) + 1)
            .thread_name("orwd-guest")
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_keep_alive(BLOCKING_KEEP_ALIVE)
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

    /// Acquires the permit for one session of this owner, if one is left for it: a
    /// part of them is left for other owners.
    pub fn session_permit(&self, owner: Owner) -> Option<SessionPermit> {
        let free = self.0.session_permits.available_permits();
        let share = self.0.shares.take(owner, free)?;
        let permit = self.0.session_permits.clone().try_acquire_owned().ok()?;
        Some(SessionPermit {
            _permit: permit,
            share,
        })
    }

    /// Returns how many more sessions can be in memory, and how many can be at all.
    pub fn session_slots(&self) -> (usize, usize) {
        let free = self.0.session_permits.available_permits();
        (free, self.0.reservation.sessions as usize)
    }

    /// Returns the most bytes of memory of one guest.
    pub fn max_memory(&self) -> usize {
        self.0.max_memory
    }

    /// Returns the state of the machine's memory, which guests respect.
    pub fn host_memory(&self) -> &HostMemory {
        &self.0.host_memory
    }

    /// Records how many memories an instance of a loaded component has.
    pub(crate) fn record_memories(&self, memories: u64) {
        self.0.memories.fetch_max(memories, Ordering::Relaxed);
    }

    /// Withdraws the permits of sessions for which there is no space, now that
    /// the components are known.
    fn fit_permits(&self) {
        let memories = self.0.memories.load(Ordering::Relaxed);
        let fit = self.0.capacity.sessions(&self.0.reservation, memories);
        let excess = self.0.reservation.sessions.saturating_sub(fit.max(1));
        if excess > 0 {
            tracing::warn!(
                sessions = fit,
                memories,
                capacity = %self.0.capacity,
                "session limit lowered: an environment has several memories"
            );
            self.0.session_permits.forget_permits(excess as usize);
        }
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

    /// Returns how many guests of an owner wait for each CPU.
    pub fn waiting_per_cpu(&self, owner: &Owner) -> usize {
        self.0.scheduler.waiting_per_turn(owner)
    }

    /// Returns how many guests wait for a CPU.
    pub fn waiting_guests(&self) -> usize {
        self.0.scheduler.waiting()
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.0.scheduler
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

/// Reserves the instance pool, for as many sessions as the system can hold.
fn reserve(
    settings: &EngineSettings,
    capacity: Capacity,
) -> Result<(wasmtime::Engine, Reservation), EngineError> {
    let pooled = capacity.reservation(settings.max_sessions, true);
    if pooled.sessions == 0 {
        return Err(EngineError::NoCapacity(capacity));
    }
    match new_wasmtime(settings, pooled.allocation) {
        Ok(engine) => return Ok((engine, pooled)),
        Err(error) => tracing::warn!(
            sessions = pooled.sessions,
            %capacity,
            error = format!("{error:#}"),
            "cannot reserve the instance pool; sessions will start more slowly"
        ),
    }
    let on_demand = capacity.reservation(settings.max_sessions, false);
    new_wasmtime(settings, on_demand.allocation)
        .map(|engine| (engine, on_demand))
        .map_err(EngineError::Wasmtime)
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
