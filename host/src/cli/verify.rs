//! `orwd verify`: holds a receipt against its signature and a journal.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::keep::SEAL_KEY;
use super::{Ending, Failure, export, terminal};
use crate::journal::{Portable, Receipt, ReceiptKey, SealKey, SealedSecrets};

/// The largest receipt that is read.
const RECEIPT: u64 = 256 << 20;

/// Verify a receipt for an episode
///
/// Checks the signature. With --journal, also derives every hash and reward
/// again from the recorded outcomes and compares them; nothing is asked of any
/// network. To have the episode run again, see `orwd replay`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd verify receipt.json --key 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29
  orwd verify receipt.json --journal my-session.episode")]
pub(super) struct Verify {
    /// Receipt, as the server gives it
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,

    /// The exported episode
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Public key of the host that has to have signed it, as `orwd keys host`
    /// shows it
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<ReceiptKey>,
}

fn key(text: &str) -> Result<ReceiptKey, String> {
    ReceiptKey::parse(text).ok_or_else(|| "a key is 64 lower-case hexadecimal digits".to_owned())
}

impl Verify {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        let receipt = Receipt::parse(&text(&self.receipt)?)?;
        let signer = receipt.verify(self.key.as_ref())?;
        let mut said = match self.key {
            Some(_) => "the signature holds\n".to_owned(),
            None => format!(
                "the signature holds, for whoever has the key {signer}: compare it with that of \
                 the host, or give --key\n"
            ),
        };
        if let Some(path) = &self.journal {
            compare(&receipt, &export::read(path)?)?;
            said.push_str("the journal bears out every hash and every reward\n");
        }
        let body = &receipt.receipt;
        let ended = match &body.ended {
            Some(reason) => format!("ended ({reason})"),
            None => "not ended".to_owned(),
        };
        said.push_str(&format!(
            "episode {} of {}: {} calls, total reward {}, {ended}\n",
            body.episode,
            body.environment,
            body.calls.len(),
            body.total_reward,
        ));
        terminal::print(&said)?;
        Ok(Ending::Fine)
    }
}

/// Holds a receipt against the part of the journal that it tells of.
fn compare(receipt: &Receipt, portable: &Portable) -> Result<(), Failure> {
    let records = receipt.receipt.records;
    let Some(history) = portable.history_of(records) else {
        return Err(Failure::new(format!(
            "the receipt tells of {records} records, and the journal has {}",
            portable.history().next()
        )));
    };
    let mut history = history?;
    if let SealedSecrets::Sealed(_) = history.created().secrets {
        let key = std::env::var(SEAL_KEY).map_err(|_| {
            Failure::new(format!(
                "the session was given secrets, and so its journal is sealed: set {SEAL_KEY} to \
                 the key of the host"
            ))
        })?;
        history.unseal(&SealKey::parse(&key)?)?;
    }
    Ok(receipt.compare(&history)?)
}

fn text(path: &Path) -> Result<String, Failure> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(RECEIPT).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}
