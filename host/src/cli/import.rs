//! `orwd import`: brings an exported episode into a journal.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Ending, Failure, export, terminal};
use crate::journal::{Durability, Imported, SqliteStore, StateDir};
use crate::model::Digest;

/// Bring an exported session into a server's journal
///
/// Everything in the file is checked before anything is written. What is in
/// the journal already is never changed: the same episode again is fine, and
/// another one of its id is refused. A live session goes on where it was when
/// the server is started next.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd import my-session.episode --state ~/orwd-state")]
pub(super) struct Import {
    /// File that `orwd export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Directory of state of the server; made if there is none
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: PathBuf,
}

impl Import {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        let portable = export::read(&self.file)?;
        let store = if StateDir::open(&self.state)?.has_journal()? {
            SqliteStore::visit(&self.state)?
        } else {
            SqliteStore::open(&self.state, Durability::Power)?
        };
        // Before the records, which are of no use without it.
        let history = portable.history();
        if let Some(component) = portable.component() {
            keep(store.dir(), history.created().component, component)?;
        }
        let what = match portable.import(&store)? {
            Imported::New => "brought in",
            Imported::Already => "is there already",
        };
        terminal::print(&format!(
            "episode {} {what}: session {} of {}, {} records\n",
            history.episode(),
            history.created().session,
            history.created().environment,
            history.next(),
        ))?;
        Ok(Ending::Fine)
    }
}

/// Puts the component where the server looks for those of its sessions.
fn keep(dir: &StateDir, digest: Digest, bytes: &[u8]) -> Result<(), Failure> {
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
    write().map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use tempfile::TempDir;

    use crate::cli::logging::Log;
    use crate::cli::{Cli, Ending, Failure};
    use crate::journal::{
        Durability, EpisodeId, History, Receipt, Signer, SqliteStore, Store, testing,
    };

    /// Runs a command line.
    fn orwd(arguments: &[&str]) -> Result<Ending, Failure> {
        let cli = Cli::try_parse_from([&["orwd"], arguments].concat()).unwrap();
        cli.command.run(&mut Log::none())
    }

    fn text(path: &Path) -> &str {
        path.to_str().unwrap()
    }

    #[test]
    fn an_episode_is_exported_imported_and_its_receipt_verified() {
        let dir = TempDir::new().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        let store = SqliteStore::open(&here, Durability::Process).unwrap();
        let id = EpisodeId::new();
        let records = testing::episode(Some("alice"), "s", 3);
        store.append(&testing::entries(id, &records)).unwrap();
        let history = History::read(id, &store.read(id, 0).unwrap()).unwrap();
        let signer = Signer::open(store.dir()).unwrap();
        let receipt = dir.path().join("receipt.json");
        let signed = Receipt::sign(&history, &signer);
        std::fs::write(&receipt, signed.to_json().unwrap()).unwrap();
        // While the host runs.
        let file = dir.path().join("s.episode");
        let (here, file) = (text(&here), text(&file));
        assert!(orwd(&["export", "nobody", "--state", here, "-o", file]).is_err());
        assert!(orwd(&["export", "s", "--state", text(&there), "-o", file]).is_err());
        let id = id.to_string();
        for which in ["s", &id] {
            orwd(&["export", which, "--state", here, "-o", file]).unwrap();
        }
        let receipt = text(&receipt);
        let key = signer.key().to_string();
        orwd(&["verify", receipt, "--key", &key, "--journal", file]).unwrap();
        let other = Signer::random().key().to_string();
        assert!(orwd(&["verify", receipt, "--key", &other]).is_err());
        for _ in 0..2 {
            orwd(&["import", file, "--state", text(&there)]).unwrap();
        }
        let visitor = SqliteStore::visit(&there).unwrap();
        let brought = visitor.read(history.episode(), 0).unwrap();
        assert_eq!(brought, store.read(history.episode(), 0).unwrap());
        assert!(orwd(&["import", receipt, "--state", text(&there)]).is_err());
        orwd(&["keys", "host", "--state", here]).unwrap();
    }

    #[test]
    fn a_component_goes_with_the_file_only_if_it_is_the_right_one() {
        let dir = TempDir::new().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        let store = SqliteStore::open(&here, Durability::Process).unwrap();
        let records = testing::episode(None, "s", 1);
        store
            .append(&testing::entries(EpisodeId::new(), &records))
            .unwrap();
        let digest = crate::model::Digest::of(b"component");
        let path = store.dir().component(digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = dir.path().join("s.episode");
        let export = [
            "export",
            "s",
            "--state",
            text(&here),
            "--component",
            "-o",
            text(&file),
        ];
        assert!(orwd(&export).is_err(), "there is none");
        std::fs::write(&path, b"another").unwrap();
        assert!(orwd(&export).is_err(), "it is another");
        std::fs::write(&path, b"component").unwrap();
        orwd(&export).unwrap();
        orwd(&["import", text(&file), "--state", text(&there)]).unwrap();
        let store = SqliteStore::visit(&there).unwrap();
        let kept = std::fs::read(store.dir().component(digest)).unwrap();
        assert_eq!(kept, b"component");
    }
}
