//! The command `orwd sessions`.

use clap::{Args, Subcommand};
use orwd_session::StepCursor;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::render;
use super::source::{Source, SourceFlags};
use super::types::{ListedSession, ShownStep};
use crate::bootstrap::runtime;
use crate::console::{CommandError, CommandStatus, terminal};

/// The states of sessions, open and ended.
const STATES: [&str; 11] = [
    "starting",
    "ready",
    "asleep",
    "data_differs",
    "waking",
    "setup_failed",
    "faulted",
    "lost",
    "stopping",
    "live",
    "ended",
];

/// List, show, delete and fork sessions
///
/// Sessions are those of a running server, or those in the journal of a state
/// directory, whose server may be stopped. A server shows the sessions of the API
/// key that asks. SESSION is the id of a session or of an episode, or the
/// beginning of one that no other begins with.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  orwd sessions list
  orwd sessions list --all --environment counter --url http://127.0.0.1:9000
  orwd sessions show 3f2a --state ~/orwd-state
  orwd sessions fork 3f2a --at 12 --count 4
  orwd sessions delete 3f2a 77b0"
)]
pub(crate) struct Sessions {
    #[command(subcommand)]
    command: SessionsCommand,
}

#[derive(Subcommand, Debug)]
enum SessionsCommand {
    List(List),
    Show(Show),
    Delete(Delete),
    Fork(Fork),
}

/// List sessions
///
/// The oldest is first. Without --all, only open sessions are listed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd sessions list
  orwd sessions list --all --json
  orwd sessions list --status asleep --environment counter
  orwd sessions list --state ~/orwd-state --all --key-name alice")]
struct List {
    /// Include ended sessions, as long as the journal has them
    #[arg(long)]
    all: bool,

    /// Only sessions of this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,

    /// Only sessions in this state; `live` is one in a journal that has not ended
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    status: Option<String>,

    /// With a state directory: only sessions of the API key of this name
    #[arg(long, value_name = "NAME")]
    key_name: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    source: SourceFlags,
}

/// Show a session with its steps: inputs, outputs, rewards, errors and times
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd sessions show 3f2a
  orwd sessions show 3f2a --json
  orwd sessions show 3f2a --state ~/orwd-state")]
struct Show {
    /// Session or episode
    #[arg(value_name = "SESSION")]
    session: String,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    source: SourceFlags,
}

/// End sessions, as their clients would
///
/// An ended session stays in the journal for the server's --retention. With
/// --state the server must be stopped.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd sessions delete 3f2a
  orwd sessions delete 3f2a 77b0 --url http://127.0.0.1:9000")]
struct Delete {
    /// Sessions or episodes
    #[arg(value_name = "SESSION", required = true)]
    sessions: Vec<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    source: SourceFlags,
}

/// Create sessions that share a session's past, on a running server
///
/// Prints their ids. The session itself continues unchanged.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd sessions fork 3f2a
  orwd sessions fork 3f2a --at 12 --count 4")]
struct Fork {
    /// Session or episode
    #[arg(value_name = "SESSION")]
    session: String,

    /// Number of calls and scorings that they share [default: all]
    #[arg(long, value_name = "STEP")]
    at: Option<u64>,

    /// Number of sessions to create
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    source: SourceFlags,
}

/// The JSON of a session with its steps.
#[derive(Serialize)]
struct SessionJson {
    #[serde(flatten)]
    session: Map<String, Value>,
    steps: Vec<Box<RawValue>>,
}

impl Sessions {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let runtime = runtime::start(1)?;
        let result = runtime.block_on(async {
            match self.command {
                SessionsCommand::List(list) => list.run().await,
                SessionsCommand::Show(show) => show.run().await,
                SessionsCommand::Delete(delete) => delete.run().await,
                SessionsCommand::Fork(fork) => fork.run().await,
            }
        });
        runtime.shutdown_background();
        result.map(|()| CommandStatus::Success)
    }
}

impl List {
    async fn run(self) -> Result<(), CommandError> {
        let source = self.source.open().await?;
        if self.key_name.is_some() && matches!(source, Source::Server(_)) {
            return Err(CommandError::usage(
                "--key-name requires --state DIR: a server lists the sessions of the API key that \
                 asks, and no others",
            ));
        }
        let ended = self.all || self.status.is_some();
        let mut sessions = source.list(ended).await?;
        sessions.retain(|session| self.selects(session));
        if self.json {
            return terminal::print(&format!("{}\n", json!({ "sessions": sessions })));
        }
        if sessions.is_empty() {
            terminal::note(if ended {
                "no sessions"
            } else {
                "no open sessions; --all includes those that have ended"
            });
            return Ok(());
        }
        terminal::print_styled(&render::list(&sessions))
    }

    fn selects(&self, session: &ListedSession) -> bool {
        let environment = |name: &String| session.environment.eq_ignore_ascii_case(name);
        self.environment.as_ref().is_none_or(environment)
            && self
                .status
                .as_ref()
                .is_none_or(|status| session.state == *status)
            && (self.key_name.is_none() || session.key == self.key_name)
    }
}

impl Show {
    async fn run(self) -> Result<(), CommandError> {
        let source = self.source.open().await?;
        let found = source.find(&self.session).await?;
        let (session, shown) = source.session(&found).await?;
        if !self.json {
            terminal::print_styled(&render::session(&shown, found.key.as_deref()))?;
        }
        let mut all = Vec::new();
        let (mut calls, mut rewards, mut finished) = (0, Vec::new(), false);
        let mut from = Some(StepCursor::default());
        while let Some(cursor) = from {
            let page = source.steps(&found, cursor).await?;
            from = page.next.as_deref().and_then(StepCursor::parse);
            if self.json {
                all.extend(page.steps);
                continue;
            }
            let mut text = String::new();
            for step in &page.steps {
                let step: ShownStep = serde_json::from_str(step.get())?;
                text.push_str(&render::step(&step));
                calls += u64::from(step.step.is_some());
                if let Some(output) = &step.output {
                    rewards.extend(output.reward);
                    finished |= output.finished;
                }
            }
            terminal::print_styled(&text)?;
        }
        if self.json {
            let shown = SessionJson {
                session,
                steps: all,
            };
            return terminal::print(&format!("{}\n", serde_json::to_string(&shown)?));
        }
        terminal::print_styled(&render::totals(calls, &rewards, finished))
    }
}

impl Delete {
    async fn run(self) -> Result<(), CommandError> {
        let source = self.source.open().await?;
        let mut found = Vec::new();
        // All of them are found before the first is ended.
        for which in &self.sessions {
            let session = source.find(which).await?;
            if session.ended_ms.is_some() {
                return Err(CommandError::new(format!(
                    "session {} has ended already; it leaves the journal after the server's \
                     --retention",
                    session.session
                )));
            }
            found.push(session);
        }
        for session in &found {
            source.end(session).await?;
            if !self.json {
                terminal::print(&format!("session {} deleted\n", session.session))?;
            }
        }
        if self.json {
            let ids: Vec<&str> = found.iter().map(|found| found.session.as_str()).collect();
            terminal::print(&format!("{}\n", json!({ "deleted": ids })))?;
        }
        Ok(())
    }
}

impl Fork {
    async fn run(self) -> Result<(), CommandError> {
        let source = self.source.open().await?;
        let session = source.find(&self.session).await?;
        if session.ended_ms.is_some() {
            return Err(CommandError::new(format!(
                "session {} has ended, and only open sessions can be forked",
                session.session
            )));
        }
        let children = source.fork(&session, self.at, self.count).await?;
        if self.json {
            return terminal::print(&format!("{}\n", json!({ "sessions": children })));
        }
        let lines: String = children.iter().map(|id| format!("{id}\n")).collect();
        terminal::print(&lines)
    }
}
