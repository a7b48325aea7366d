//! `orwd __compile`: the compiler that `orwd` starts for each component, which
//! is `orwd` itself. Not for people, and so not in the help.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Ending, Failure};
use orwd_engine::Compiler;
use orwd_model::AdmissionLimits;

/// This process's own program. Unlike its path, this stays the same file when
/// somebody installs a new version.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Compile the component on standard input, for the orwd that started this
#[derive(Args, Debug)]
#[command(after_help = "Only orwd itself calls this:
  orwd __compile --memory 4294967296 --seconds 120")]
pub(super) struct Compile {
    /// Bytes of address space to get by with
    #[arg(long)]
    memory: u64,

    /// Seconds of CPU time to get by with
    #[arg(long)]
    seconds: u64,
}

impl Compile {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        orwd_engine::run_worker(self.memory, self.seconds)?;
        Ok(Ending::Fine)
    }
}

/// The compiler that commands use.
pub(super) fn compiler(limits: AdmissionLimits) -> Result<Compiler, Failure> {
    let own = Path::new(OWN_PROGRAM);
    let program = if own.exists() {
        PathBuf::from(own)
    } else {
        std::env::current_exe().map_err(|error| {
            Failure::new(format!(
                "orwd does not find its own file, which it needs to compile components: {error}"
            ))
        })?
    };
    Ok(Compiler::new(program, limits))
}
