//! Parses the command line and runs the command.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use orwd_config::LogFlags;

use crate::bootstrap::{Compile, NetworkBroker};
use crate::commands::serve::config_file::{self, Expanded};
use crate::commands::serve::print_config;
use crate::commands::{Build, Check, Completions, Control, Hub, Inspect, Keys, New, Serve};
use crate::console::{CommandError, CommandStatus, Log, logging, terminal};
use crate::episodes::{Export, Import, Replay, Verify};
use crate::manage::Manage;
use crate::play::Play;
use crate::sessions::Sessions;

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
    Hub(Box<Hub>),
    Play(Box<Play>),
    New(New),
    Build(Build),
    Check(Check),
    Inspect(Box<Inspect>),
    Keys(Keys),
    Sessions(Box<Sessions>),
    Replay(Box<Replay>),
    Export(Export),
    Import(Import),
    Verify(Box<Verify>),
    #[command(flatten)]
    Manage(Manage),
    Completions(Completions),
    #[command(name = "__compile", hide = true)]
    Compile(Compile),
    #[command(name = "__broker", hide = true)]
    NetworkBroker(NetworkBroker),
    #[command(name = "__control", hide = true)]
    Control(Control),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let args = std::env::args_os().collect();
    match parse(args).and_then(|parsed| match parsed {
        Parsed::Run(cli) => run(*cli),
        Parsed::Print(text) => terminal::print(&text).map(|()| CommandStatus::Success),
    }) {
        Ok(status) => ExitCode::from(status.code()),
        Err(error) => {
            if error.is_labelled() {
                terminal::error(&error.to_string());
            } else {
                terminal::unlabelled_error(&error.to_string());
            }
            ExitCode::from(error.code())
        }
    }
}

/// What a command line asks for.
enum Parsed {
    /// To run a command.
    Run(Box<Cli>),
    /// To print a text.
    Print(String),
}

/// Parses a command line, with the settings of the configuration file that it
/// names. A usage error exits the process.
fn parse(args: Vec<OsString>) -> Result<Parsed, CommandError> {
    let Expanded {
        command,
        args,
        file,
        from_file,
    } = config_file::expand(Cli::command(), args)?;
    let matches = command
        .clone()
        .try_get_matches_from(args)
        .unwrap_or_else(|error| error.exit());
    if let Some(("serve", serve)) = matches.subcommand()
        && serve.get_flag("print_config")
    {
        let text = print_config::text(&command, serve, file.as_deref(), &from_file);
        return Ok(Parsed::Print(text));
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    Ok(Parsed::Run(Box::new(cli)))
}

fn run(cli: Cli) -> Result<CommandStatus, CommandError> {
    let mut log = match cli.command {
        // It is part of another process, which has the log.
        Command::Compile(_) | Command::NetworkBroker(_) => Log::none(),
        Command::Serve(_) | Command::Hub(_) | Command::Control(_) => {
            logging::start(&cli.log, "info")?
        }
        Command::Inspect(_) | Command::Replay(_) | Command::Verify(_) => {
            logging::start(&cli.log, "warn")?
        }
        _ => {
            let mut log = logging::start(&cli.log, "warn")?;
            log.start_thread();
            log
        }
    };
    cli.command.run(&mut log, &cli.log)
}

impl Command {
    /// Runs the command. Those that harden the process start the thread of the
    /// log themselves, afterwards.
    fn run(self, log: &mut Log, log_flags: &LogFlags) -> Result<CommandStatus, CommandError> {
        match self {
            Command::Serve(serve) => serve.run(log),
            Command::Hub(hub) => hub.run(log_flags),
            Command::Control(control) => control.run(log),
            Command::Play(play) => play.run(),
            Command::New(new) => new.run(),
            Command::Build(build) => build.run(),
            Command::Check(check) => check.run(),
            Command::Inspect(inspect) => inspect.run(log),
            Command::Keys(keys) => keys.run(),
            Command::Sessions(sessions) => sessions.run(),
            Command::Replay(replay) => replay.run(log),
            Command::Export(export) => export.run(),
            Command::Import(import) => import.run(),
            Command::Verify(verify) => verify.run(log),
            Command::Manage(manage) => manage.run(),
            Command::Completions(completions) => completions.run(&Cli::command()),
            Command::Compile(compile) => compile.run(),
            Command::NetworkBroker(broker) => broker.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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

    fn parse_text(args: &[&str]) -> Result<String, String> {
        let args = [&["orwd"], args].concat().into_iter().map(OsString::from);
        match parse(args.collect()) {
            Ok(Parsed::Print(text)) => Ok(text),
            Ok(Parsed::Run(_)) => Ok("runs".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns a value that the argument accepts, as TOML.
    fn sample(arg: &clap::Arg) -> String {
        use clap::ArgAction;
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            return "true".to_owned();
        }
        let default = arg.get_default_values().first();
        let choice = arg
            .get_possible_values()
            .last()
            .map(|value| value.get_name().to_owned());
        let by_name = || {
            let name = arg.get_value_names().and_then(|names| names.first());
            match name.map_or("", |name| name.as_str()) {
                "SIZE" => "64MiB",
                "TIME" => "5m",
                "COUNT" => "5",
                "NAME" => "example.org",
                "NAME=RULE|NAME=manifest" => "judge=manifest",
                "ADDR" => "127.0.0.1:9090",
                _ => "info",
            }
            .to_owned()
        };
        let value = choice
            .or_else(|| default.map(|value| value.to_string_lossy().into_owned()))
            .unwrap_or_else(by_name);
        match arg.get_action() {
            ArgAction::Append => format!("[{value:?}]"),
            _ => format!("{value:?}"),
        }
    }

    #[test]
    fn every_flag_of_serve_is_a_key_of_the_configuration_file() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("orwd.server.toml");
        let mut command = Cli::command();
        command.build();
        let serve = command.find_subcommand("serve").unwrap();
        // `build` and `no-build` exclude each other.
        let skipped = [&config_file::NOT_IN_FILE[..], &["build"]].concat();
        let flags = serve
            .get_arguments()
            .map(|arg| (config_file::key(arg), arg));
        let flags: Vec<_> = flags
            .filter(|(key, _)| !skipped.contains(&key.as_str()))
            .collect();
        assert!(flags.len() > 40, "{}", flags.len());
        let whole: String = flags
            .iter()
            .map(|(key, arg)| format!("{key} = {}\n", sample(arg)))
            .collect();
        std::fs::write(&file, whole).unwrap();
        let printed = parse_text(&["serve", "--config", text(&file), "--print-config"]).unwrap();
        let from_file = format!("  # {}", file.display());
        for (key, arg) in &flags {
            let line = printed
                .lines()
                .find(|line| line.starts_with(&format!("{key} = ")));
            let line = line.unwrap_or_else(|| panic!("{key} is not in\n{printed}"));
            assert!(line.ends_with(&from_file), "{line}");
            let value = sample(arg);
            let path = value.trim_matches(['"', '[', ']']);
            assert!(line.contains(path), "{line}");
        }
        // What is printed is a configuration file with the same settings.
        let again = dir.path().join("again.toml");
        std::fs::write(&again, &printed).unwrap();
        let reprinted = parse_text(&["serve", "--config", text(&again), "--print-config"]).unwrap();
        let plain = |text: &str| text.replace("again.toml", "orwd.server.toml");
        assert_eq!(plain(&reprinted), printed);
    }

    #[test]
    fn a_flag_comes_before_the_file_and_the_file_before_the_default() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("orwd.server.toml");
        let write = |content: &str| std::fs::write(&file, content).unwrap();
        let config = format!("--config={}", file.display());
        let shown = |args: &[&str], key: &str| {
            let args = [&["serve", &config, "--print-config"], args].concat();
            let printed = parse_text(&args).unwrap();
            let line = printed
                .lines()
                .find(|line| line.starts_with(&format!("{key} = ")));
            line.unwrap().split("  # ").next().unwrap().to_owned()
        };
        write("paths = [\"env\"]\nmemory = \"64MiB\"\nmax-sessions = 7\nkeep-going = true\n");
        assert_eq!(shown(&[], "memory"), "memory = \"64MiB\"");
        assert_eq!(shown(&[], "max-sessions"), "max-sessions = \"7\"");
        assert_eq!(shown(&[], "keep-going"), "keep-going = true");
        assert_eq!(shown(&[], "drain"), "drain = \"30s\"");
        assert_eq!(
            shown(&["--memory", "32MiB"], "memory"),
            "memory = \"32MiB\""
        );
        assert_eq!(shown(&["--memory=32MiB"], "memory"), "memory = \"32MiB\"");
        // Paths are relative to the file, and those on the command line count.
        let env = dir.path().join("env");
        assert_eq!(shown(&[], "paths"), format!("paths = [{:?}]", text(&env)));
        assert_eq!(shown(&["other"], "paths"), "paths = [\"other\"]");
        for (content, line, part) in [
            (
                "\nmemroy = \"1MiB\"",
                2,
                "unknown key `memroy`; did you mean `memory`?",
            ),
            ("max_sessions = 1", 1, "did you mean `max-sessions`?"),
            (
                "quite-different = 1",
                1,
                "the keys are the flags of `orwd serve --help`",
            ),
            (
                "print-config = true",
                1,
                "is a flag of the command line only",
            ),
            (
                "listen = 8080",
                1,
                "`listen`: expected an address and a port",
            ),
            ("\n\nmemory = \"0\"", 3, "`memory`: 0B is out of range"),
            ("memory = 1.5", 1, "expected a string or a whole number"),
            (
                "memory = [\"1MiB\"]",
                1,
                "expected a string or a whole number",
            ),
            (
                "keep-going = \"yes\"",
                1,
                "`keep-going`: expected true or false",
            ),
            (
                "hardening = \"none\"",
                1,
                "[possible values: available, required, off]",
            ),
            ("[limits]\nmemory = \"64MiB\"", 1, "unknown key `limits`"),
            ("a = \n", 1, ""),
        ] {
            write(content);
            let error = parse_text(&["serve", &config, "x"]).unwrap_err();
            let start = format!("{}:{line}: ", file.display());
            assert!(error.starts_with(&start), "{content}: {error}");
            assert!(error.contains(part), "{content}: {error}");
        }
        let missing = parse_text(&["serve", "--config", "/nosuch.toml", "x"]).unwrap_err();
        assert!(
            missing.contains("cannot read the configuration /nosuch.toml"),
            "{missing}"
        );
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
            sealed_for: None,
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
        cli.command.run(&mut Log::none(), &cli.log)
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
