//! The command `orwd`.

use std::process::ExitCode;

/// Measured against the system's allocator, a call takes about a tenth less CPU
/// time with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    orwd::main()
}
