//! The compiler's side: this program, started by itself to compile one
//! component and to end.
//!
//! It takes its limits before it reads a byte, so that all that the input can
//! make it do happens under them; and it gives up all files, networks and
//! programs, so that whoever takes it over by its input has three pipes. It
//! never runs what it compiles, and never maps it as code. When a limit is
//! reached it dies, on purpose in the plainest way: by the signal of the CPU
//! limit, or by the abort that follows a refused allocation.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::frame::{self, Answer};
use super::precompile;
use crate::settings::{Allocation, EngineSettings};
use orwd_hardening::{Needs, WallsError, Work};
use orwd_model::AdmissionLimits;

/// The name of the command line's subcommand that calls [`work`].
pub(super) const COMMAND: &str = "__compile";

/// Why the compiler gave no answer, for its standard error.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A limit could not be taken, and without it nothing is read.
    #[error("a limit cannot be set: {0}")]
    Limit(rustix::io::Errno),
    /// The walls cannot be put up.
    #[error(transparent)]
    Walls(#[from] WallsError),
    /// The engine cannot be set up.
    #[error("the compiler cannot be set up: {0}")]
    Engine(String),
    /// The other side is gone or does not speak as it should.
    #[error("the pipe: {0}")]
    Pipe(#[from] io::Error),
}

/// The arguments that carry the limits.
pub(super) fn arguments(limits: &AdmissionLimits) -> [String; 4] {
    [
        "--memory".to_owned(),
        limits.memory.to_string(),
        "--seconds".to_owned(),
        whole_seconds(limits.time).to_string(),
    ]
}

/// The kernel counts CPU time in whole seconds.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Compiles the component on standard input under these limits, and writes the
/// answer to standard output.
pub fn work(memory: u64, seconds: u64) -> Result<(), WorkerError> {
    confine(memory, seconds).map_err(WorkerError::Limit)?;
    // Three pipes and no file, no network, no program. What this kernel lacks
    // of it the host tells, which lacks the same.
    orwd_hardening::raise(&Needs::of(Work::Compute))?;
    let engine = compiling_engine().map_err(|error| WorkerError::Engine(format!("{error:#}")))?;
    let wasm = frame::read_component(io::stdin().lock())?;
    let answer = match precompile(&engine, &wasm) {
        Ok(code) => Answer::Code(code),
        Err(reason) if reason.contains("Cannot allocate memory") => Answer::NoMemory,
        Err(reason) => Answer::Refused(reason),
    };
    frame::write_answer(io::stdout().lock(), &answer)?;
    Ok(())
}

fn confine(memory: u64, seconds: u64) -> rustix::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Whoever waits for it may be gone, and then nobody reads the answer.
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    // It has pipes, and no business with files.
    limit(Resource::Fsize, 0, 0)?;
    // The signal at the first of the two tells why it ended; at the second it
    // would be the same as for any other reason.
    limit(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    limit(Resource::As, memory, memory)
}

/// Takes a limit for good, or the tighter one that is already there.
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

/// An engine whose code fits the host's. It is the same configuration but for
/// the place of instances, of which this process has none: a pool would not
/// fit into its memory.
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
    fn its_code_fits_every_engine_of_the_host() {
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
            for allocation in [Allocation::Pooled, Allocation::OnDemand] {
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
