//! `orwd verify`: verifies a receipt.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use orwd_journal::{
    EpisodeArchive, EpisodeHistory, EpisodeId, JournalStore, Receipt, ReceiptKey, SealKey,
    SealedSecrets, SqliteStore,
};

use super::replay_runner::{
    EpisodeSource, PreparedReplay, ReplayComponent, ReplayFlags, ReplayJob, ReplayOutcome,
    ReplayedStep, StepVerdict,
};
use super::{export, state_dir};
use crate::console::{CommandError, CommandStatus, Log, terminal};

/// Largest receipt that is read, in bytes.
const MAX_RECEIPT: u64 = 256 << 20;

/// Verify the receipt of an episode
///
/// Checks the signature. With --journal, also recomputes every hash and reward
/// from the recorded results: those of an exported episode, or without FILE those
/// in the journal of a state directory. With --component, also replays the episode on that
/// component and compares the results. Uses no network.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd verify receipt.json --key 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29
  orwd verify receipt.json --journal
  orwd verify receipt.json --journal my-session.episode
  orwd verify receipt.json --journal my-session.episode --component my-env.wasm --data my-data")]
pub(crate) struct Verify {
    /// Receipt, as the server returned it
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,

    /// Exported episode; without FILE, the journal of a state directory
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    journal: Option<Option<PathBuf>>,

    /// State directory for --journal without FILE [default: the only one in the
    /// user's state directory]
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,

    /// Component to replay the episode on; its digest must be the receipt's
    #[arg(long, value_name = "COMPONENT", requires = "journal")]
    component: Option<PathBuf>,

    #[command(flatten)]
    replay: ReplayFlags,

    /// Public key of the expected signer, as `orwd keys host` shows it
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<ReceiptKey>,
}

fn key(text: &str) -> Result<ReceiptKey, String> {
    ReceiptKey::parse(text).ok_or_else(|| "expected 64 lower-case hexadecimal digits".to_owned())
}

impl Verify {
    pub(crate) fn run(self, log: &mut Log) -> Result<CommandStatus, CommandError> {
        let receipt = Receipt::parse(&read(&self.receipt)?)?;
        let signer = receipt.verify(self.key.as_ref())?;
        let mut report = match self.key {
            Some(_) => "signature valid\n".to_owned(),
            None => format!(
                "signature valid, signed by {signer}; compare it with `orwd keys host`, or pass \
                 --key\n"
            ),
        };
        if let Some(file) = &self.journal {
            let archive = match file {
                Some(file) => export::read(file)?,
                None => self.journaled(&receipt.receipt.episode)?,
            };
            let key = match &archive.history().created().secrets {
                SealedSecrets::Sealed(_) => Some(self.replay.seal_key()?.ok_or_else(|| {
                    CommandError::new(
                        "the session had secrets, so its records are sealed; pass the key with \
                         --seal-key FILE or in ORWD_SEAL_KEY",
                    )
                })?),
                SealedSecrets::None | SealedSecrets::Withheld => None,
            };
            let history = compare(&receipt, &archive, key.as_ref())?;
            report.push_str("every hash and reward matches the journal\n");
            if let Some(component) = &self.component {
                report.push_str(&self.replay(history, component, log)?);
            }
        }
        let body = &receipt.receipt;
        let ended = match &body.ended {
            Some(reason) => format!("ended ({})", reason.escape_debug()),
            None => "not ended".to_owned(),
        };
        if body.imported_records > 0 {
            report.push_str(&format!(
                "imported: the signer did not run the first {} records and states nothing of \
                 their calls\n",
                body.imported_records,
            ));
        }
        report.push_str(&format!(
            "episode {} of {}: {} calls, total reward {}, {ended}\n",
            body.episode.escape_debug(),
            body.environment.escape_debug(),
            body.calls.len(),
            body.total_reward,
        ));
        terminal::print(&report)?;
        Ok(CommandStatus::Success)
    }

    /// Reads the episode of a receipt from the journal of a state directory.
    fn journaled(&self, episode: &str) -> Result<EpisodeArchive, CommandError> {
        let store = SqliteStore::visit(&state_dir::find(self.state.as_deref())?)?;
        let found = match EpisodeId::parse(episode) {
            Some(id) => store.episode(id)?,
            None => None,
        };
        let Some(found) = found else {
            return Err(CommandError::new(format!(
                "the journal in {} has no episode {episode}; pass another with --state DIR, or \
                 the exported episode with --journal FILE",
                store.dir().path().display()
            )));
        };
        Ok(EpisodeArchive::export(&store, found.id)?)
    }

    /// Replays the episode. Every step must be equal.
    fn replay(
        &self,
        history: EpisodeHistory,
        component: &Path,
        log: &mut Log,
    ) -> Result<String, CommandError> {
        let job = ReplayJob {
            episode: history.episode(),
            created: history.created().clone(),
            history: Some(history),
            component: ReplayComponent::Original(component.to_owned()),
            data: None,
            source: EpisodeSource::File,
        };
        let mut text = String::new();
        let report = |_: &PreparedReplay, outcome: ReplayOutcome| {
            let comparison = match outcome {
                ReplayOutcome::Replayed(comparison) => comparison,
                ReplayOutcome::Unsupported(reason) | ReplayOutcome::Failed(reason) => {
                    return Err(CommandError::new(format!(
                        "the episode cannot be replayed: {reason}"
                    )));
                }
            };
            if let Some(difference) = &comparison.data {
                return Err(CommandError::new(format!(
                    "the episode cannot be verified: {}",
                    difference.description
                )));
            }
            let mut steps = comparison.steps.iter();
            if let Some(step) = steps.find(|step| step.verdict == StepVerdict::Different) {
                return Err(CommandError::new(format!(
                    "the replay differs at record {} ({})",
                    step.record, step.kind
                )));
            }
            let equal = |step: &&ReplayedStep| step.verdict == StepVerdict::Equal;
            text = format!(
                "replayed: {} of {} steps equal; the others are faults or have no result\n",
                comparison.steps.iter().filter(equal).count(),
                comparison.steps.len(),
            );
            Ok(())
        };
        self.replay.run(vec![job], None, None, log, report)?;
        Ok(text)
    }
}

/// Compares a receipt with the part of the journal that it covers.
fn compare(
    receipt: &Receipt,
    archive: &EpisodeArchive,
    key: Option<&SealKey>,
) -> Result<EpisodeHistory, CommandError> {
    let records = receipt.receipt.records;
    let Some(history) = archive.history_prefix(records) else {
        return Err(CommandError::new(format!(
            "the receipt covers {records} records, but the journal has {}",
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

fn read(path: &Path) -> Result<String, CommandError> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        File::open(path)?
            .take(MAX_RECEIPT)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| CommandError::new(format!("cannot read {}: {error}", path.display())))
}
