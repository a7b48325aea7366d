//! `orwd import`: imports an exported episode into a journal.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use orwd_config::{BuildMode, EnvironmentFlags};
use orwd_journal::{
    Durability, EpisodeArchive, ImportOptions, ImportOutcome, SqliteStore, StateDir,
};
use orwd_model::{AdmissionLimits, Digest, Timestamp, python_repr};
use orwd_sandbox::{DataDir, DataRules, PrivatePlaces};

use super::{export, state_dir};
use crate::console::{CommandError, CommandStatus, terminal};

/// Import an exported session into a server's journal
///
/// The whole file is checked before anything is written. The check shows that
/// the records were not changed since they were exported; it cannot show that a
/// host ran them, since anyone can write such a file. So the episode is marked as
/// imported: it belongs to --owner and not to its owner in the file, it is listed with
/// the mark, and this server signs no receipt for what it did not run itself.
/// Receipts of other hosts in the file are kept and exported again.
///
/// Existing records never change: importing the same episode again succeeds, and
/// a different episode with the same id is refused. A session that has not ended
/// resumes when the server starts, on the component in the file (`orwd export
/// --component`) or one that the server has with the same digest, never on the
/// environment of the same name. It sees the data in --data and no other, gets
/// no secrets, and its limits are at most the server's.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd import my-session.episode
  orwd import my-session.episode --state ~/orwd-state
  orwd import my-session.episode --state ~/orwd-state --owner alice --data ~/gsm8k")]
pub(crate) struct Import {
    /// File written by `orwd export`
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// State directory of the server, created if it does not exist [default: the
    /// only one in the user's state directory]
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,

    /// API key that the session belongs to from now on, by its name [default: no
    /// key, for a server without --api-keys]
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// Directory that the session sees as /orwd_data when it resumes; its content
    /// must be what the session used before
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Import {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let archive = export::read(&self.file)?;
        let state = state_dir::find(self.state.as_deref())?;
        let data = match &self.data {
            Some(data) => Some(check_data(data, &archive, &state)?),
            None => None,
        };
        let options = ImportOptions {
            owner: self.owner,
            data,
            now: Timestamp::now(),
        };
        let store = if StateDir::open(&state)?.has_journal()? {
            SqliteStore::visit(&state)?
        } else {
            SqliteStore::open(&state, Durability::Power)?
        };
        let result = match archive.import(&store, &options)? {
            ImportOutcome::Added => "imported",
            ImportOutcome::AlreadyPresent => "is already in the journal",
        };
        let history = archive.history();
        if let Some(component) = archive.component() {
            store_component(store.dir(), history.created().component, component)?;
        }
        terminal::print(&format!(
            "episode {} {result}: session {} of {}, {} records\n{}",
            history.episode(),
            python_repr(history.created().session.as_str()),
            history.created().environment,
            history.next(),
            notes(&archive, options.owner.as_deref()),
        ))?;
        Ok(CommandStatus::Success)
    }
}

/// Returns what the importer should know about the origin of an episode.
fn notes(archive: &EpisodeArchive, owner: Option<&str>) -> String {
    let mut notes = String::new();
    let before = archive.history().created().owner.as_deref();
    if before != owner {
        let named = |owner: Option<&str>| owner.map_or("no key".to_owned(), python_repr);
        notes.push_str(&format!(
            "owner: {}; in the file it is {}\n",
            named(owner),
            named(before)
        ));
    }
    for receipt in archive.receipts() {
        notes.push_str(&format!(
            "receipt: {} records, signed by {}; compare the key with that of the host you expect\n",
            receipt.receipt.records, receipt.key,
        ));
    }
    if archive.receipts().is_empty() {
        notes.push_str("receipt: none; no host has signed the results in this file\n");
    }
    notes
}

/// Compares a directory with the digest in the file. Returns its absolute path,
/// since the server may run elsewhere.
fn check_data(
    path: &Path,
    archive: &EpisodeArchive,
    state: &Path,
) -> Result<PathBuf, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::new(format!("--data: {error}"));
    let Some(expected) = archive.history().created().data else {
        return Err(failed(&"the session in the file used no data directory"));
    };
    // Where digests of files are kept; here they are needed once.
    let cache = tempfile::TempDir::new()?;
    let mut private = EnvironmentFlags::default()
        .resolve(BuildMode::Never)
        .map(|paths| paths.private)
        .unwrap_or_default();
    private.push(state.to_owned());
    let rules = DataRules::new(PrivatePlaces::new(&private), &AdmissionLimits::default());
    let data = DataDir::open(path, &rules)
        .and_then(|data| data.with_digest(cache.path()))
        .map_err(|error| failed(&error))?;
    let found = data.digest().map_err(|error| failed(&error))?;
    if found != Some(expected) {
        let found = found.map(|digest| digest.hex()).unwrap_or_default();
        return Err(failed(&format!(
            "{} is not the data that the session used: its digest is {found}, expected {}",
            path.display(),
            expected.hex()
        )));
    }
    path.canonicalize().map_err(|error| failed(&error))
}

/// Writes the component where the server finds those of its sessions.
fn store_component(dir: &StateDir, digest: Digest, bytes: &[u8]) -> Result<(), CommandError> {
    let path = dir.component(digest);
    let write = || -> std::io::Result<()> {
        let Some(folder) = path.parent() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        std::fs::create_dir_all(folder)?;
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        draft.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| CommandError::new(format!("cannot write {}: {error}", path.display())))
}
