//! Parses the command line and runs the command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use orwd_config::LogFlags;

use crate::bootstrap::Compile;
use crate::commands::{Build, Inspect, Keys, New, Serve};
use crate::console::{CommandError, CommandStatus, Log, logging, terminal};
use crate::episodes::{Export, Import, Replay, Verify};
use crate::play::Play;

/// Serves reinforcement-learning environments, each session in its own
/// WebAssembly component instance
#[derive(Parser, Debug)]
#[command(
    name = "orwd",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Examples:
  orwd new my-env              create an environment
  orwd serve my-env            serve it on http://127.0.0.1:8080
  orwd play my-env             play an episode in the terminal

`orwd help COMMAND` describes each command."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogFlags,
}

#[derive(Subcommand, Debug)]
enum Command {
    Serve(Box<Serve>),
    Play(Box<Play>),
    New(New),
    Build(Build),
    Inspect(Box<Inspect>),
    Keys(Keys),
    Replay(Box<Replay>),
    Export(Export),
    Import(Import),
    Verify(Box<Verify>),
    #[command(name = "__compile", hide = true)]
    Compile(Compile),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(status) => ExitCode::from(status.code()),
        Err(error) => {
            terminal::error(&error.to_string());
            ExitCode::from(error.code())
        }
    }
}

fn run(cli: Cli) -> Result<CommandStatus, CommandError> {
    let mut log = match cli.command {
        // It is part of another process, which has the log.
        Command::Compile(_) => Log::none(),
        Command::Serve(_) => logging::start(&cli.log, "info")?,
        Command::Inspect(_) | Command::Replay(_) | Command::Verify(_) => {
            logging::start(&cli.log, "warn")?
        }
        _ => {
            let mut log = logging::start(&cli.log, "warn")?;
            log.start_thread();
            log
        }
    };
    cli.command.run(&mut log)
}

impl Command {
    /// Runs the command. Those that harden the process start the thread of the
    /// log themselves, afterwards.
    fn run(self, log: &mut Log) -> Result<CommandStatus, CommandError> {
        match self {
            Command::Serve(serve) => serve.run(log),
            Command::Play(play) => play.run(),
            Command::New(new) => new.run(),
            Command::Build(build) => build.run(),
            Command::Inspect(inspect) => inspect.run(log),
            Command::Keys(keys) => keys.run(),
            Command::Replay(replay) => replay.run(log),
            Command::Export(export) => export.run(),
            Command::Import(import) => import.run(),
            Command::Verify(verify) => verify.run(log),
            Command::Compile(compile) => compile.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;
    use orwd_journal::{
        AppendEntry, ChainLink, CreatedRecord, CreationContent, Durability, EpisodeHistory,
        EpisodeId, GuestOutcome, GuestRequest, Hash, JournalStore, OutcomeRecord, Receipt,
        ReceiptSigner, Record, RequestRecord, SealedSecrets, SqliteStore,
    };
    use orwd_model::{
        ClockMode, DataMode, Digest, EnvName, Json, Reward, Seed, SessionId, SessionLimits,
        Timestamp, ToolOutput,
    };
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_help_and_every_command_examples() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let examples = command.get_after_help().map(ToString::to_string);
            assert!(
                examples.is_some_and(|text| text.contains("orwd ")),
                "{name}"
            );
            for flag in command.get_arguments() {
                assert!(flag.get_help().is_some(), "{name} {}", flag.get_id());
            }
        }
    }

    /// The records of an episode with this many calls, ready for a store.
    fn entries(episode: EpisodeId, owner: Option<&str>, calls: u64) -> Vec<AppendEntry> {
        let json = |text: &str| Json::object(text.to_owned()).unwrap();
        let mut records = vec![Record::Created(Box::new(CreatedRecord {
            owner: owner.map(str::to_owned),
            session: SessionId::new("s").unwrap(),
            environment: EnvName::new("counter").unwrap(),
            component: Digest::of(b"component"),
            data: None,
            observed: None,
            mode: DataMode::Session,
            task: json(r#"{"target":3}"#),
            seed: Seed::new(7),
            start: Timestamp::from_nanos(1_700_000_000_000_000_000),
            clock: ClockMode::Virtual,
            limits: SessionLimits::default(),
            host_version: "0.1.0".to_owned(),
            engine: "engine 48".to_owned(),
            secrets: SealedSecrets::None,
            request: Hash::of(b"request"),
            toolset: None,
            parent: None,
            content: CreationContent::Plain,
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
    fn orwd(arguments: &[&str]) -> Result<CommandStatus, CommandError> {
        let cli = Cli::try_parse_from([&["orwd"], arguments].concat()).unwrap();
        cli.command.run(&mut Log::none())
    }

    fn text(path: &Path) -> &str {
        path.to_str().unwrap()
    }

    #[test]
    fn exports_and_imports_an_episode_and_verifies_its_receipt() {
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
        // The server may be running.
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
        let reader = SqliteStore::visit(&there).unwrap();
        let imported = reader.read(history.episode(), 0).unwrap();
        assert_eq!(imported, store.read(history.episode(), 0).unwrap());
        assert!(orwd(&["import", receipt, "--state", text(&there)]).is_err());
        orwd(&["keys", "host", "--state", here]).unwrap();
    }

    #[test]
    fn exports_the_component_only_if_its_digest_matches() {
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
        assert!(orwd(&export).is_err(), "it is missing");
        std::fs::write(&path, b"another").unwrap();
        assert!(orwd(&export).is_err(), "its digest differs");
        std::fs::write(&path, b"component").unwrap();
        orwd(&export).unwrap();
        orwd(&["import", text(&file), "--state", text(&there)]).unwrap();
        let store = SqliteStore::visit(&there).unwrap();
        let stored = std::fs::read(store.dir().component(digest)).unwrap();
        assert_eq!(stored, b"component");
    }
}
