//! `orwd export`: puts an episode into a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Ending, Failure, terminal};
use orwd_journal::{
    EpisodeArchive, EpisodeFilter, EpisodeId, IndexedEpisode, JournalStore, SqliteStore,
};

/// Export a session from a server's journal into one file
///
/// The file holds what the session began with, every call and every outcome,
/// chained by hashes, and is all that `orwd import` and `orwd verify` need. It
/// also holds what the clients sent and got, but no secrets in the clear. The
/// server may be running.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd export my-session --state ~/orwd-state -o my-session.episode
  orwd export 0199e1c7a5b30f6e1d2c3b4a59687786 --state ~/orwd-state --component")]
pub(super) struct Export {
    /// A session's id, or that of an episode (one life of a session)
    #[arg(value_name = "SESSION|EPISODE")]
    which: String,

    /// Directory of state of the server
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: PathBuf,

    /// File to write, in place of one that is there [default: EPISODE.episode]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Put the component into the file too, so that it can be replayed where
    /// nobody has it
    #[arg(long)]
    component: bool,
}

impl Export {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        let store = SqliteStore::visit(&self.state)?;
        let episode = find(&store, &self.which)?;
        let mut archive = EpisodeArchive::export(&store, episode.id)?;
        if self.component {
            let path = store.dir().component(episode.header.component);
            let bytes = std::fs::read(&path).map_err(|error| {
                Failure::new(format!("the component {}: {error}", path.display()))
            })?;
            archive = archive.with_component(bytes)?;
        }
        let named = || PathBuf::from(format!("{}.episode", episode.id));
        let output = self.output.unwrap_or_else(named);
        write(&archive, &output)
            .map_err(|error| Failure::new(format!("{}: {error}", output.display())))?;
        terminal::print(&format!(
            "{}: session {} of {}, {} records\n",
            output.display(),
            episode.header.session,
            episode.header.environment,
            archive.history().next(),
        ))?;
        Ok(Ending::Fine)
    }
}

/// The one episode that is meant: an episode's id, or the id of a session and
/// then its newest life.
pub(super) fn find(store: &SqliteStore, which: &str) -> Result<IndexedEpisode, Failure> {
    if let Some(id) = EpisodeId::parse(which)
        && let Some(episode) = store.episode(id)?
    {
        return Ok(episode);
    }
    let mut found = store.list(&EpisodeFilter::default())?;
    found.retain(|episode| episode.header.session.as_str() == which.trim());
    let Some(newest) = found.first().cloned() else {
        return Err(Failure::new(format!(
            "there is no session or episode {which:?} in the journal"
        )));
    };
    let others = found
        .iter()
        .any(|episode| episode.header.owner != newest.header.owner);
    if !others {
        return Ok(newest);
    }
    let mut message = format!("several clients have a session {which:?}; name the episode:");
    for episode in found {
        let owner = episode.header.owner.as_deref().unwrap_or("nobody");
        message.push_str(&format!("\n  {} of {owner}", episode.id));
    }
    Err(Failure::new(message))
}

/// Writes the file under its name only when it is whole.
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
pub(super) fn read(path: &Path) -> Result<EpisodeArchive, Failure> {
    let named =
        |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| named(&error))?;
    EpisodeArchive::read(std::io::BufReader::new(file)).map_err(|error| named(&error))
}
