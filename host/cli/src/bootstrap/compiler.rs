//! The compiler process: `orwd __compile`, started for each component. The
//! command is internal and hidden from the help.

use std::path::{Path, PathBuf};

use clap::Args;
use orwd_engine::Compiler;
use orwd_model::AdmissionLimits;

use crate::console::{CommandError, CommandStatus};

/// This process's program. Unlike its path, it stays the same file if a new
/// version is installed.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Compile the component on standard input, for the orwd that started this
#[derive(Args, Debug)]
#[command(after_help = "Only orwd itself calls this:
  orwd __compile --memory 4294967296 --seconds 120")]
pub(crate) struct Compile {
    /// Limit on the address space, in bytes
    #[arg(long)]
    memory: u64,

    /// Limit on the CPU time, in seconds
    #[arg(long)]
    seconds: u64,
}

impl Compile {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        orwd_engine::run_worker(self.memory, self.seconds)?;
        Ok(CommandStatus::Success)
    }
}

/// Returns the compiler that commands use.
pub(crate) fn compiler(limits: AdmissionLimits) -> Result<Compiler, CommandError> {
    Ok(Compiler::new(own_program()?, limits))
}

/// Returns the file of this program, which is also the compiler and the network
/// broker.
pub(crate) fn own_program() -> Result<PathBuf, CommandError> {
    let own = Path::new(OWN_PROGRAM);
    if own.exists() {
        return Ok(PathBuf::from(own));
    }
    std::env::current_exe().map_err(|error| {
        CommandError::new(format!(
            "cannot find orwd's own program file, which also compiles components: {error}"
        ))
    })
}
