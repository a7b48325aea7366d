//! The command line: one file a command.
//!
//! What a command is asked for goes to standard output, everything else to
//! standard error, and the exit code is for programs: 0 fine, 1 it failed, 2
//! it was called wrongly; `play` and `replay` add one of their own each. An
//! error says what is wrong and, where we know, what to do.

mod build;
mod compile;
mod descriptors;
mod export;
mod failure;
mod host;
mod import;
mod inspect;
mod keep;
mod keys;
mod logging;
mod new;
mod play;
mod rehearsal;
mod replay;
mod scratch;
mod serve;
mod terminal;
mod verify;
mod wall;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::logging::Log;
pub use failure::Failure;
use orwd_config::LogFlags;

/// Serves reinforcement-learning environments, each session a WebAssembly
/// component instance of its own
#[derive(Parser, Debug)]
#[command(
    name = "orwd",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Examples:
  orwd new my-env              make an environment
  orwd serve my-env            serve it on http://127.0.0.1:8080
  orwd play my-env             play it in the terminal

`orwd help COMMAND` says more about each."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogFlags,
}

#[derive(Subcommand, Debug)]
enum Command {
    Serve(Box<serve::Serve>),
    Play(Box<play::Play>),
    New(new::New),
    Build(build::Build),
    Inspect(Box<inspect::Inspect>),
    Keys(keys::Keys),
    Replay(Box<replay::Replay>),
    Export(export::Export),
    Import(import::Import),
    Verify(Box<verify::Verify>),
    #[command(name = "__compile", hide = true)]
    Compile(compile::Compile),
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// As it should.
    Fine,
    /// The episode was played and did not finish.
    Unfinished,
    /// Something came out otherwise when it was done again.
    Different,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Unfinished) => ExitCode::from(3),
        Ok(Ending::Different) => ExitCode::from(4),
        Err(failure) => {
            terminal::error(&failure.to_string());
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Result<Ending, Failure> {
    let mut log = match cli.command {
        // It is a part of another process, which keeps the log.
        Command::Compile(_) => Log::none(),
        Command::Serve(_) => logging::start(&cli.log, "info")?,
        Command::Inspect(_) | Command::Replay(_) | Command::Verify(_) => {
            logging::start(&cli.log, "warn")?
        }
        _ => {
            let mut log = logging::start(&cli.log, "warn")?;
            log.queue();
            log
        }
    };
    cli.command.run(&mut log)
}

impl Command {
    /// Those that put walls up have the log to themselves until then.
    fn run(self, log: &mut Log) -> Result<Ending, Failure> {
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

/// The threads that requests run on; guests have their own.
fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let built = builder.worker_threads(threads).enable_all().build();
    built.map_err(|error| {
        Failure::new(format!(
            "the threads of the server cannot be started: {error}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
}
