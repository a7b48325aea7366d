//! `orwd keys`: creates, lists and revokes API keys, and shows a server's signing
//! key.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use orwd_journal::{ReceiptSigner, StateDir};
use orwd_ors::{ApiKeys, ApiKeysError, KeyInfo, KeyTime};
use serde_json::json;

use crate::console::table::table;
use crate::console::{CommandError, CommandStatus, terminal};
use crate::episodes::state_dir;

/// Create, list and revoke API keys for `orwd serve --api-keys`, and show a
/// server's signing key
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  orwd keys add alice --api-keys keys.toml --expires 30d
  orwd keys list --api-keys keys.toml
  orwd keys revoke alice --api-keys keys.toml
  orwd keys host --state ~/orwd-state
  orwd serve --api-keys keys.toml my-env"
)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand, Debug)]
enum KeysCommand {
    #[command(alias = "new")]
    Add(AddKey),
    List(ListKeys),
    Revoke(RevokeKeys),
    Host(HostKey),
}

/// Show the public key that a server signs receipts with
///
/// To verify a receipt, compare its signer with this key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys host
  orwd keys host --state ~/orwd-state")]
struct HostKey {
    /// State directory of the server [default: the only one in the user's state
    /// directory]
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,
}

/// Create an API key, add its hash to the key file, and print the key once
///
/// Clients send the key as `X-API-Key` or `Authorization: Bearer`. The key is
/// printed now and never again, since the file has only its hash. A running
/// server accepts it within seconds.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys add alice --api-keys keys.toml
  orwd keys add ci --api-keys keys.toml --expires 30d
  orwd keys add guest --api-keys keys.toml --expires 2026-12-31")]
struct AddKey {
    /// Name of the key's owner, of which the file has one: 1 to 64 letters,
    /// digits, '-' and '_'
    #[arg(value_name = "NAME")]
    name: String,

    /// Key file, created if it does not exist
    #[arg(long, value_name = "FILE", env = "ORWD_API_KEYS")]
    api_keys: PathBuf,

    /// Time after which requests with the key get 401: 30m, 12h, 30d or 4w from
    /// now, or a date such as 2026-12-31, in UTC [default: never]
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires: Option<KeyTime>,
}

/// List the API keys of a key file: names, ids and times, no keys
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys list --api-keys keys.toml
  orwd keys list --api-keys keys.toml --json")]
struct ListKeys {
    /// Key file
    #[arg(long, value_name = "FILE", env = "ORWD_API_KEYS")]
    api_keys: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Revoke API keys: remove their lines from the key file
///
/// A running server refuses them within seconds. Their sessions stay until they
/// expire, but nobody reaches them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd keys revoke alice --api-keys keys.toml")]
struct RevokeKeys {
    /// Names of the keys
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    /// Key file
    #[arg(long, value_name = "FILE", env = "ORWD_API_KEYS")]
    api_keys: PathBuf,
}

impl Keys {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        match self.command {
            KeysCommand::Add(AddKey {
                name,
                api_keys,
                expires,
            }) => {
                let key = ApiKeys::add(&api_keys, &name, expires)
                    .map_err(|error| key_file_error(&api_keys, &error))?;
                terminal::print(&format!("{key}\n"))?;
            }
            KeysCommand::List(ListKeys { api_keys, json }) => {
                let keys =
                    ApiKeys::list(&api_keys).map_err(|error| key_file_error(&api_keys, &error))?;
                terminal::print_styled(&if json {
                    list_json(&keys)
                } else {
                    list_text(&keys)
                })?;
            }
            KeysCommand::Revoke(RevokeKeys { names, api_keys }) => {
                ApiKeys::revoke(&api_keys, &names)
                    .map_err(|error| key_file_error(&api_keys, &error))?;
                for name in &names {
                    terminal::print(&format!("key {name} revoked\n"))?;
                }
            }
            KeysCommand::Host(HostKey { state }) => {
                let state = state_dir::find(state.as_deref())?;
                let signer = ReceiptSigner::open(&StateDir::open_existing(&state)?)?;
                terminal::print(&format!("{}\n", signer.key()))?;
            }
        }
        Ok(CommandStatus::Success)
    }
}

fn list_json(keys: &[KeyInfo]) -> String {
    let now = KeyTime::now();
    let time = |time: Option<KeyTime>| time.map(|time| time.to_string());
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "name": key.name,
                "id": key.id,
                "created": time(key.created),
                "expires": time(key.expires),
                "expired": key.expires.is_some_and(|expires| expires <= now),
            })
        })
        .collect();
    format!("{}\n", json!({ "keys": keys }))
}

fn list_text(keys: &[KeyInfo]) -> String {
    let now = KeyTime::now();
    let time = |time: Option<KeyTime>, none: &str| {
        time.map_or_else(|| none.to_owned(), |time| time.to_string())
    };
    let rows: Vec<[String; 5]> = keys
        .iter()
        .map(|key| {
            let expired = key.expires.is_some_and(|expires| expires <= now);
            [
                key.name.clone(),
                key.id.clone(),
                time(key.created, "-"),
                time(key.expires, "never"),
                if expired { "expired" } else { "valid" }.to_owned(),
            ]
        })
        .collect();
    table(["NAME", "ID", "CREATED", "EXPIRES", "STATE"], &rows)
}

/// Parses a time from now, or a date.
fn expiry(text: &str) -> Result<KeyTime, String> {
    let units = [("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];
    let relative = units.iter().find_map(|(unit, seconds)| {
        let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(*seconds)
    });
    let now = KeyTime::now();
    let expires = match relative {
        // The file has years of four digits.
        Some(seconds) if (1..=100 * 365 * 86_400).contains(&seconds) => {
            KeyTime::from_unix(now.unix().saturating_add(seconds))
        }
        Some(_) => return Err("expected a time from 1m to 36500d".to_owned()),
        None => KeyTime::parse(text).map_err(|_| {
            "expected a time such as 30m, 12h, 30d or 4w, or a date such as 2026-12-31".to_owned()
        })?,
    };
    if expires <= now {
        return Err("that time has passed".to_owned());
    }
    Ok(expires)
}

/// Adds the path of the key file to an error.
pub(super) fn key_file_error(path: &Path, error: &ApiKeysError) -> CommandError {
    CommandError::new(format!("key file {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_from_now_or_a_date() {
        let seconds = |text| expiry(text).map(|at| at.unix() - KeyTime::now().unix());
        for (text, expected) in [
            ("30m", 1800),
            ("12h", 43_200),
            ("30d", 2_592_000),
            ("1w", 604_800),
        ] {
            let got = seconds(text).unwrap();
            assert!((expected - 2..=expected).contains(&got), "{text}: {got}");
        }
        assert_eq!(
            expiry("2999-01-01").unwrap().to_string(),
            "2999-01-01T00:00:00Z"
        );
        for text in [
            "",
            "30",
            "30s",
            "-1d",
            "0d",
            "99999999d",
            "2001-01-01",
            "soon",
        ] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }
}
