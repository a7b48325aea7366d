//! The command `orwd`.

/// A tenth of the host's time is spent on allocations of a request or a
/// session, which this allocator makes in half of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;

fn main() -> ExitCode {
    orwd::cli::main()
}
