//! `orwd import`: imports an exported episode into a journal.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use orwd_journal::{Durability, ImportOutcome, SqliteStore, StateDir};
use orwd_model::Digest;

use super::export;
use crate::console::{CommandError, CommandStatus, terminal};

/// Import an exported session into a server's journal
///
/// The whole file is checked before anything is written. OnConflict records never
/// change: importing the same episode again succeeds, and a different episode
/// with the same id is refused. A live session resumes when the server starts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd import my-session.episode --state ~/orwd-state")]
pub(crate) struct Import {
    /// File written by `orwd export`
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// State directory of the server, created if it does not exist
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: PathBuf,
}

impl Import {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let archive = export::read(&self.file)?;
        let store = if StateDir::open(&self.state)?.has_journal()? {
            SqliteStore::visit(&self.state)?
        } else {
            SqliteStore::open(&self.state, Durability::Power)?
        };
        // Before the records, which are useless without it.
        let history = archive.history();
        if let Some(component) = archive.component() {
            store_component(store.dir(), history.created().component, component)?;
        }
        let result = match archive.import(&store)? {
            ImportOutcome::Added => "imported",
            ImportOutcome::AlreadyPresent => "is already in the journal",
        };
        terminal::print(&format!(
            "episode {} {result}: session {} of {}, {} records\n",
            history.episode(),
            history.created().session,
            history.created().environment,
            history.next(),
        ))?;
        Ok(CommandStatus::Success)
    }
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
