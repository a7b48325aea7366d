//! `orwd keys`: creates API keys, and shows a server's signing key.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use orwd_journal::{ReceiptSigner, StateDir};
use orwd_ors::ApiKeysError;

use crate::console::{CommandError, CommandStatus, terminal};

/// Create API keys for `orwd serve --api-keys`, and show a server's signing key
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys new alice --api-keys keys.toml
  orwd keys host --state ~/orwd-state
  orwd serve --api-keys keys.toml my-env")]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand, Debug)]
enum KeysCommand {
    New(NewKey),
    Host(HostKey),
}

/// Show the public key that a server signs receipts with
///
/// To verify a receipt, compare its signer with this key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys host --state ~/orwd-state")]
struct HostKey {
    /// State directory of the server
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: PathBuf,
}

/// Create an API key, add its hash to the key file, and print the key once
///
/// Clients send the key as `X-API-Key` or `Authorization: Bearer`. To revoke a
/// key, remove its line from the file.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys new alice --api-keys keys.toml")]
struct NewKey {
    /// Name of the key's owner: 1 to 64 letters, digits, '-' and '_'
    #[arg(value_name = "NAME")]
    name: String,

    /// Key file, created if it does not exist
    #[arg(long, value_name = "FILE", env = "ORWD_API_KEYS")]
    api_keys: PathBuf,
}

impl Keys {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        match self.command {
            KeysCommand::New(NewKey { name, api_keys }) => {
                let key = orwd_ors::ApiKeys::add(&api_keys, &name)
                    .map_err(|error| key_file_error(&api_keys, &error))?;
                terminal::print(&format!("{key}\n"))?;
            }
            KeysCommand::Host(HostKey { state }) => {
                let signer = ReceiptSigner::open(&StateDir::open_existing(&state)?)?;
                terminal::print(&format!("{}\n", signer.key()))?;
            }
        }
        Ok(CommandStatus::Success)
    }
}

/// Adds the path of the key file to an error.
pub(super) fn key_file_error(path: &Path, error: &ApiKeysError) -> CommandError {
    CommandError::new(format!("key file {}: {error}", path.display()))
}
