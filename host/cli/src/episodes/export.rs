//! `orwd export`: writes an episode to a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use orwd_journal::{EpisodeArchive, ReceiptSigner, SqliteStore};
use orwd_model::python_repr;

use super::{lookup, state_dir};
use crate::console::{CommandError, CommandStatus, terminal};

/// Export a session from a server's journal to a file
///
/// The file contains the session's start and every request and result, chained
/// by hashes, and this server's receipt for what it ran. `orwd import` and `orwd
/// verify` need nothing else. It includes what clients sent and got; of a session
/// with secrets, all of that is encrypted or left out, and there is no receipt.
/// The server may be running.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd export my-session -o my-session.episode
  orwd export 0199e1c7a5b30f6e1d2c3b4a59687786 --state ~/orwd-state --component")]
pub(crate) struct Export {
    /// Session id, or id of an episode (one run of a session from its start to
    /// its end); the beginning of an id suffices if no other begins so
    #[arg(value_name = "SESSION|EPISODE")]
    which: String,

    /// State directory of the server [default: the only one in the user's state
    /// directory]
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,

    /// File to write; an existing one is replaced [default: EPISODE.episode]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Include the component, so that the file can be replayed without other
    /// files
    #[arg(long)]
    component: bool,
}

impl Export {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let store = SqliteStore::visit(&state_dir::find(self.state.as_deref())?)?;
        let episode = lookup::find(&store, &self.which)?;
        let signer = ReceiptSigner::open(store.dir())?;
        let mut archive = EpisodeArchive::export(&store, episode.id)?.with_receipt(&signer);
        if self.component {
            let path = store.dir().component(episode.header.component);
            let bytes = std::fs::read(&path).map_err(|error| {
                CommandError::new(format!(
                    "cannot read the component {}: {error}",
                    path.display()
                ))
            })?;
            archive = archive.with_component(bytes)?;
        }
        let default = || PathBuf::from(format!("{}.episode", episode.id));
        let output = self.output.unwrap_or_else(default);
        write(&archive, &output).map_err(|error| {
            CommandError::new(format!("cannot write {}: {error}", output.display()))
        })?;
        let origin = match archive.history().imported() {
            0 => String::new(),
            imported => format!(", {imported} of them imported"),
        };
        terminal::print(&format!(
            "{}: session {} of {}, {} records{origin}, {} receipts\n",
            output.display(),
            python_repr(episode.header.session.as_str()),
            episode.header.environment,
            archive.history().next(),
            archive.receipts().len(),
        ))?;
        Ok(CommandStatus::Success)
    }
}

/// Writes the file, and gives it its final name once it is complete.
fn write(archive: &EpisodeArchive, path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    let draft = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut file = BufWriter::new(draft);
    archive.write(&mut file)?;
    file.flush()?;
    let draft = file
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Reads an exported file.
pub(super) fn read(path: &Path) -> Result<EpisodeArchive, CommandError> {
    let in_file =
        |error: &dyn std::fmt::Display| CommandError::new(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| in_file(&error))?;
    EpisodeArchive::read(std::io::BufReader::new(file)).map_err(|error| in_file(&error))
}
