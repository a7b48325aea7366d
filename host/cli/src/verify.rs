//! `orwd verify`: holds a receipt against its signature and a journal.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::logging::Log;
use super::rehearsal::{Code, Piece, Played, RehearsalFlags, Report, Score, Verdict};
use super::{Ending, Failure, export, terminal};
use orwd_journal::{EpisodeArchive, EpisodeHistory, Receipt, ReceiptKey, SealKey, SealedSecrets};

/// The largest receipt that is read.
const RECEIPT: u64 = 256 << 20;

/// Verify a receipt for an episode
///
/// Checks the signature. With --journal, also derives every hash and reward
/// again from the recorded outcomes and compares them; with --component, too,
/// runs the episode again on that component and compares what comes of it.
/// Nothing is asked of any network.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd verify receipt.json --key 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29
  orwd verify receipt.json --journal my-session.episode
  orwd verify receipt.json --journal my-session.episode --component my-env.wasm --data my-data")]
pub(super) struct Verify {
    /// Receipt, as the server gives it
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,

    /// The exported episode
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// The component, to run the episode again on; it has to be the one that
    /// the receipt names
    #[arg(long, value_name = "COMPONENT", requires = "journal")]
    component: Option<PathBuf>,

    #[command(flatten)]
    rehearsal: RehearsalFlags,

    /// Public key of the host that has to have signed it, as `orwd keys host`
    /// shows it
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<ReceiptKey>,
}

fn key(text: &str) -> Result<ReceiptKey, String> {
    ReceiptKey::parse(text).ok_or_else(|| "a key is 64 lower-case hexadecimal digits".to_owned())
}

impl Verify {
    pub(super) fn run(self, log: &mut Log) -> Result<Ending, Failure> {
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
            let archive = export::read(path)?;
            let sealed = &archive.history().created().secrets;
            let key = match sealed {
                SealedSecrets::Sealed(_) => Some(self.rehearsal.seal_key()?.ok_or_else(|| {
                    Failure::new(
                        "the session was given secrets, and so its records are sealed: say the \
                         key with --seal-key FILE or in ORWD_SEAL_KEY",
                    )
                })?),
                SealedSecrets::None | SealedSecrets::Withheld => None,
            };
            let history = compare(&receipt, &archive, key.as_ref())?;
            said.push_str("the journal bears out every hash and every reward\n");
            if let Some(component) = &self.component {
                said.push_str(&self.run_again(history, component, log)?);
            }
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

impl Verify {
    /// Runs the episode again, which has to come to the same in every step.
    fn run_again(
        &self,
        history: EpisodeHistory,
        component: &Path,
        log: &mut Log,
    ) -> Result<String, Failure> {
        let piece = Piece {
            episode: history.episode(),
            created: history.created().clone(),
            history: Some(history),
            component: Code::Own(component.to_owned()),
            data: None,
        };
        let mut said = String::new();
        let told = |_: &Score, report: Report| {
            let done = match report {
                Report::Done(done) => done,
                Report::Never(why) | Report::Failed(why) => {
                    return Err(Failure::new(format!(
                        "the episode cannot be run again: {why}"
                    )));
                }
            };
            if let Some(why) = &done.data {
                return Err(Failure::new(format!(
                    "the episode cannot be verified: {why}"
                )));
            }
            let mut steps = done.steps.iter();
            if let Some(step) = steps.find(|step| step.verdict == Verdict::Different) {
                return Err(Failure::new(format!(
                    "run again, record {} ({}) comes to something else",
                    step.record, step.kind
                )));
            }
            let again = |step: &&Played| step.verdict == Verdict::Equal;
            said = format!(
                "run again, {} of {} steps come to the same, and the others are faults or have \
                 no answer\n",
                done.steps.iter().filter(again).count(),
                done.steps.len(),
            );
            Ok(())
        };
        self.rehearsal.perform(vec![piece], None, log, told)?;
        Ok(said)
    }
}

/// Holds a receipt against the part of the journal that it tells of.
fn compare(
    receipt: &Receipt,
    archive: &EpisodeArchive,
    key: Option<&SealKey>,
) -> Result<EpisodeHistory, Failure> {
    let records = receipt.receipt.records;
    let Some(history) = archive.history_prefix(records) else {
        return Err(Failure::new(format!(
            "the receipt tells of {records} records, and the journal has {}",
            archive.history().next()
        )));
    };
    let history = history?;
    let mut open = history.clone();
    if let Some(key) = key {
        open.unseal(key)?;
    }
    receipt.compare(&open)?;
    Ok(history)
}

fn text(path: &Path) -> Result<String, Failure> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(RECEIPT).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}
