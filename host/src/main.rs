//! The command `orwd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    orwd::cli::main()
}
