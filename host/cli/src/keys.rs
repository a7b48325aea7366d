//! `orwd keys`: makes keys for the clients of a server, and shows its own.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Ending, Failure, terminal};
use orwd_journal::{ReceiptSigner, StateDir};

/// Make API keys for `orwd serve --api-keys`, and show a server's own key
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys new alice --api-keys keys.toml
  orwd keys host --state ~/orwd-state
  orwd serve --api-keys keys.toml my-env")]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    New(New),
    Host(Host),
}

/// Show the public key that a server's receipts are signed with
///
/// Whoever verifies a receipt compares the signer with this key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys host --state ~/orwd-state")]
struct Host {
    /// Directory of state of the server
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: PathBuf,
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
        let New { name, api_keys } = match self.command {
            Command::New(new) => new,
            Command::Host(Host { state }) => {
                let signer = ReceiptSigner::open(&StateDir::open_existing(&state)?)?;
                terminal::print(&format!("{}\n", signer.key()))?;
                return Ok(Ending::Fine);
            }
        };
        let key = orwd_ors::ApiKeys::add(&api_keys, &name)
            .map_err(|error| unusable(&api_keys, &error))?;
        terminal::print(&format!("{key}\n"))?;
        Ok(Ending::Fine)
    }
}

/// What is wrong with a file of keys.
pub(super) fn unusable(path: &std::path::Path, error: &orwd_ors::ApiKeysError) -> Failure {
    Failure::new(format!("the keys in {}: {error}", path.display()))
}
