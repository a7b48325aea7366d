//! The compiler subprocess: this program, started by itself to compile one
//! component.
//!
//! It sets its resource limits before it reads a byte, and gives up files,
//! networks and programs, so that an attacker who takes it over has only three
//! pipes. It never runs what it compiles, and never maps it as code. At a limit
//! it dies in the plainest way: by the signal of the CPU limit, or by the abort
//! that follows a failed allocation.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::compile::frame::{self, Reply};
use crate::settings::{Allocation, EngineSettings};
use orwd_hardening::{HardeningError, Policy, Workload};
use orwd_model::AdmissionLimits;

/// The name of the hidden subcommand that calls [`run_worker`].
pub(crate) const COMMAND: &str = "__compile";

/// The compiler produced no reply; printed to its standard error.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A resource limit could not be set, so nothing was read.
    #[error("cannot set a resource limit: {0}")]
    Limit(rustix::io::Errno),
    /// Process hardening failed.
    #[error(transparent)]
    Hardening(#[from] HardeningError),
    /// The engine could not be created.
    #[error("cannot create the compiler: {0}")]
    Engine(String),
    /// The pipe broke, or the message on it is malformed.
    #[error("pipe to the host: {0}")]
    Pipe(#[from] io::Error),
}

/// Returns the arguments that carry the limits.
pub(crate) fn arguments(limits: &AdmissionLimits) -> [String; 4] {
    [
        "--memory".to_owned(),
        limits.memory.to_string(),
        "--seconds".to_owned(),
        whole_seconds(limits.time).to_string(),
    ]
}

/// Rounds up, since the kernel counts CPU time in whole seconds.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Compiles the component on standard input under these limits, and writes the
/// reply to standard output.
pub fn run_worker(memory: u64, seconds: u64) -> Result<(), WorkerError> {
    set_limits(memory, seconds).map_err(WorkerError::Limit)?;
    // The host already warns about protections that this kernel lacks.
    orwd_hardening::apply(&Policy::of(Workload::Compute))?;
    let engine = compiling_engine().map_err(|error| WorkerError::Engine(format!("{error:#}")))?;
    let wasm = frame::read_component(io::stdin().lock())?;
    let reply = match precompile(&engine, &wasm) {
        Ok(code) => Reply::Code(code),
        Err(reason) if reason.contains("Cannot allocate memory") => Reply::NoMemory,
        Err(reason) => Reply::Refused(reason),
    };
    frame::write_reply(io::stdout().lock(), &reply)?;
    Ok(())
}

/// Compiles a component to native code.
fn precompile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Vec<u8>, String> {
    engine
        .precompile_component(wasm)
        .map_err(|error| format!("{error:#}"))
}

fn set_limits(memory: u64, seconds: u64) -> rustix::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // If the parent has gone, nobody reads the reply.
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    // The worker has pipes and writes no files.
    limit(Resource::Fsize, 0, 0)?;
    // The soft limit raises SIGXCPU, which identifies the cause; the hard limit
    // would kill without one.
    limit(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    limit(Resource::As, memory, memory)
}

/// Sets a limit for good, or keeps a tighter one.
fn limit(resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    let present = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    setrlimit(
        resource,
        Rlimit {
            current: Some(soft.min(present)),
            maximum: Some(hard.min(present)),
        },
    )
}

/// Creates an engine whose code fits the host's: the same configuration except
/// for the instance pool, which would not fit into this process's memory.
fn compiling_engine() -> wasmtime::Result<wasmtime::Engine> {
    let settings = EngineSettings {
        max_sessions: 1,
        max_memory: 0,
        max_tables: 0,
        threads: 1,
    };
    wasmtime::Engine::new(&settings.config(Allocation::OnDemand)?)
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    #[test]
    fn compiled_code_fits_every_engine_of_the_host() {
        let hash = |engine: &wasmtime::Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let here = hash(&compiling_engine().unwrap());
        for (max_sessions, max_memory, max_tables) in [
            (2, 16 << 20, 1000),
            (5, 256 << 20, 100_000),
            (1, 1 << 32, 1_000_000),
        ] {
            let settings = EngineSettings {
                max_sessions,
                max_memory,
                max_tables,
                threads: 2,
            };
            let pooled = Allocation::Pooled { instances: 3 };
            for allocation in [pooled, Allocation::OnDemand] {
                let config = settings.config(allocation).unwrap();
                let engine = wasmtime::Engine::new(&config).unwrap();
                assert_eq!(hash(&engine), here, "{settings:?} {allocation:?}");
            }
        }
    }

    #[test]
    fn time_is_rounded_up() {
        for (millis, seconds) in [(1000, 1), (1001, 2), (120_000, 120)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
