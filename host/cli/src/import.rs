//! `orwd import`: brings an exported episode into a journal.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Ending, Failure, export, terminal};
use orwd_journal::{Durability, ImportOutcome, SqliteStore, StateDir};
use orwd_model::Digest;

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
        let archive = export::read(&self.file)?;
        let store = if StateDir::open(&self.state)?.has_journal()? {
            SqliteStore::visit(&self.state)?
        } else {
            SqliteStore::open(&self.state, Durability::Power)?
        };
        // Before the records, which are of no use without it.
        let history = archive.history();
        if let Some(component) = archive.component() {
            keep(store.dir(), history.created().component, component)?;
        }
        let what = match archive.import(&store)? {
            ImportOutcome::Added => "brought in",
            ImportOutcome::AlreadyPresent => "is there already",
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
    use std::time::Duration;

    use clap::Parser;
    use tempfile::TempDir;

    use crate::logging::Log;
    use crate::{Cli, Ending, Failure};
    use orwd_journal::{
        AppendEntry, ChainLink, CreatedRecord, Durability, EpisodeHistory, EpisodeId, GuestOutcome,
        GuestRequest, Hash, JournalStore, OutcomeRecord, Receipt, ReceiptSigner, Record,
        RequestRecord, SealedSecrets, SqliteStore,
    };
    use orwd_model::{
        Budget, ClockMode, DataMode, Digest, EnvName, Json, Reward, Seed, SessionId, SessionLimits,
        Timestamp, ToolOutput,
    };

    const BUDGET: Budget = Budget {
        cpu: Duration::from_secs(30),
        wall: Duration::from_secs(60),
    };

    /// The records of an episode with this many calls, ready for a store.
    fn entries(episode: EpisodeId, owner: Option<&str>, calls: u64) -> Vec<AppendEntry> {
        let json = |text: &str| Json::object(text.to_owned()).unwrap();
        let mut records = vec![Record::Created(Box::new(CreatedRecord {
            owner: owner.map(str::to_owned),
            session: SessionId::new("s").unwrap(),
            environment: EnvName::new("counter").unwrap(),
            component: Digest::of(b"component"),
            data: None,
            mode: DataMode::Session,
            task: json(r#"{"target":3}"#),
            seed: Seed::new(7),
            start: Timestamp::from_nanos(1_700_000_000_000_000_000),
            clock: ClockMode::Virtual,
            limits: SessionLimits {
                memory: 256 << 20,
                tables: 1 << 20,
                handles: 1024,
                call: BUDGET,
                setup: BUDGET,
                teardown: BUDGET,
                result: 8 << 20,
                host_call: 16 << 20,
                json_depth: 128,
                log: 64 << 10,
                log_total: 1 << 20,
                disk: 64 << 20,
                files: 4096,
                open_files: 256,
                journal: 256 << 20,
            },
            host_version: "0.1.0".to_owned(),
            engine: "engine 48".to_owned(),
            secrets: SealedSecrets::None,
            request: Hash::of(b"request"),
            toolset: None,
            parent: None,
        }))];
        for n in 0..calls {
            records.push(Record::Request(Box::new(RequestRecord {
                at: Timestamp::from_nanos(n),
                request: GuestRequest::Call {
                    tool: "add".to_owned(),
                    input: json(r#"{"amount":1}"#),
                },
                run: None,
                sealed: None,
            })));
            let outcome = GuestOutcome::Output(ToolOutput {
                blocks: Vec::new(),
                metadata: None,
                reward: Some(Reward::new(0.5).unwrap()),
                finished: false,
            });
            records.push(Record::Outcome(Box::new(OutcomeRecord::new(
                2 * n + 1,
                outcome,
                3,
            ))));
        }
        let mut link = ChainLink::initial(episode);
        let numbered = (0..).zip(&records);
        numbered
            .map(|(seq, record)| {
                let entry = AppendEntry::new(episode, seq, link, record);
                link = entry.link;
                entry
            })
            .collect()
    }

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
        store.append(&entries(id, Some("alice"), 3)).unwrap();
        let history = EpisodeHistory::read(id, &store.read(id, 0).unwrap()).unwrap();
        let signer = ReceiptSigner::open(store.dir()).unwrap();
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
        let other = ReceiptSigner::random().key().to_string();
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
        store.append(&entries(EpisodeId::new(), None, 1)).unwrap();
        let digest = orwd_model::Digest::of(b"component");
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
