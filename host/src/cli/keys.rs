//! `orwd keys`: makes keys for the clients of a server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Ending, Failure, terminal};
use crate::ors;

/// Make API keys for `orwd serve --api-keys`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys new alice --api-keys keys.toml
  orwd serve --api-keys keys.toml my-env")]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    New(New),
}

/// Make a key, add its hash to the file, and print the key, this once
///
/// The key is sent as `X-API-Key` or as `Authorization: Bearer`. To revoke it,
/// take its line out of the file.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys new alice --api-keys keys.toml")]
struct New {
    /// Whose key it is: 1 to 64 letters, digits, '-' and '_'
    #[arg(value_name = "NAME")]
    name: String,

    /// File of keys; made if there is none
    #[arg(long, value_name = "FILE", env = "ORWD_API_KEYS")]
    api_keys: PathBuf,
}

impl Keys {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        let Command::New(New { name, api_keys }) = self.command;
        let key = ors::Keys::add(&api_keys, &name).map_err(|error| unusable(&api_keys, &error))?;
        terminal::print(&format!("{key}\n"))?;
        Ok(Ending::Fine)
    }
}

/// What is wrong with a file of keys.
pub(super) fn unusable(path: &std::path::Path, error: &ors::KeysError) -> Failure {
    Failure::new(format!("the keys in {}: {error}", path.display()))
}
