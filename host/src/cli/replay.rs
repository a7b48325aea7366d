//! `orwd replay`: does a session again and shows where it comes out otherwise.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::logging::Log;
use super::scratch::Scratch;
use super::{Ending, Failure, compile, export, runtime, terminal, wall};
use crate::catalog::{Blueprint, Prepared};
use crate::config::{AdmissionFlags, EnvironmentFlags, WallWish};
use crate::engine::{Cache, Engine, EngineSettings};
use crate::journal::{ClockMode, History, Outcome, SealedSecrets, SqliteStore, Step, Store};
use crate::model::{ClockMode as Clock, Secrets};
use crate::sandbox::{DataDir, Mode};
use crate::session::{Rehearsed, Rerun, rehearse};

/// Do a session again from its journal, call by call
///
/// Every call is made again, at the moment and with the seed that it had, and
/// what comes of it is held against what came of it then. With another
/// component the difference is a re-score: what would that version have given
/// for the same calls? The server may be running. Exits with 0 if all is equal
/// and with 4 if something differs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd replay my-session --state ~/orwd-state
  orwd replay my-session.episode --against my-env/target/my-env.wasm
  orwd replay my-session --state ~/orwd-state --json")]
pub(super) struct Replay {
    /// A session's id, that of an episode (one life of a session), or a file
    /// of `orwd export`
    #[arg(value_name = "SESSION|FILE")]
    which: String,

    /// Directory of state of the server, for a session
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,

    /// Another component to do it on
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,

    /// Print an object of JSON for each step
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    environments: EnvironmentFlags,

    #[command(flatten)]
    admission: AdmissionFlags,
}

/// A step, as it is shown.
#[derive(Serialize)]
struct Line<'h> {
    record: u64,
    kind: &'static str,
    tool: Option<&'h str>,
    verdict: &'static str,
    reward: Option<f64>,
    reward_now: Option<f64>,
}

impl Replay {
    pub(super) fn run(self, log: &mut Log) -> Result<Ending, Failure> {
        let Source {
            history,
            component,
            _kept: kept,
        } = self.source()?;
        let created = history.created();
        if created.clock == ClockMode::Real {
            return Err(Failure::new(
                "the environment saw the real clock, so that the session cannot be done again",
            ));
        }
        if created.secrets != SealedSecrets::None {
            return Err(Failure::new(
                "the session was given secrets, which are not taken out of the journal for this",
            ));
        }
        let places = self.environments.resolve()?;
        let settings = EngineSettings {
            max_sessions: 1,
            max_memory: created.limits.memory,
            max_tables: created.limits.tables,
            threads: 1,
        };
        let compiler = compile::compiler(self.admission.resolve())?;
        let engine = Engine::idle(settings, compiler)?;
        let cache = Cache::open(&places.cache)?;
        let data = places.data.as_deref().map(DataDir::open).transpose()?;
        let blueprint = Blueprint {
            name: created.environment.clone(),
            component,
            data,
            mode: Mode::default(),
            limits: created.limits,
            secrets: Vec::new(),
            clock: Clock::Virtual,
            seed: None,
        };
        let prepared = Prepared::new(&engine, Some(&cache), blueprint)?;
        drop(kept);
        // Whoever made the file may have made the component, too.
        let scratch = Scratch::make()?;
        let needs = wall::needs(std::iter::once(&prepared), None, None, &scratch);
        wall::raise(WallWish::Available, &needs)?;
        log.queue();
        let runtime = runtime(1)?;
        let mut lines = Vec::new();
        let rehearsed = runtime.block_on(async {
            engine.start()?;
            let env = prepared.open().await?;
            let each = |rehearsed: Rehearsed<'_>| lines.push(self.line(&rehearsed));
            rehearse(&engine, &env, &history, Secrets::default(), each)
                .await
                .map_err(Failure::new)
        });
        runtime.shutdown_background();
        rehearsed?;
        let different = lines.iter().filter(|(_, differs)| *differs).count();
        let text: String = lines.iter().map(|(line, _)| line.as_str()).collect();
        terminal::print(&text)?;
        if !self.json {
            terminal::print(&format!("{} steps, {different} different\n", lines.len()))?;
        }
        Ok(if different == 0 {
            Ending::Fine
        } else {
            Ending::Different
        })
    }

    /// The history, and the component to do it on.
    fn source(&self) -> Result<Source, Failure> {
        let path = Path::new(&self.which);
        if path.is_file() {
            let portable = export::read(path)?;
            let history = portable.history().clone();
            let (component, _kept) = match (&self.against, portable.component()) {
                (Some(against), _) => (against.clone(), None),
                (None, Some(bytes)) => {
                    let mut file = tempfile::NamedTempFile::new()?;
                    std::io::Write::write_all(&mut file, bytes)?;
                    (file.path().to_owned(), Some(file))
                }
                (None, None) => {
                    return Err(Failure::usage(
                        "the file holds no component; say one with --against COMPONENT",
                    ));
                }
            };
            return Ok(Source {
                history,
                component,
                _kept,
            });
        }
        let state = self.state.as_ref().ok_or_else(|| {
            Failure::usage("say where the server keeps its sessions with --state DIR")
        })?;
        let store = SqliteStore::visit(state)?;
        let episode = export::find(&store, &self.which)?;
        let history = History::read(episode.id, &store.read(episode.id, 0)?)?;
        let kept = store.dir().component(episode.opening.component);
        Ok(Source {
            history,
            component: self.against.clone().unwrap_or(kept),
            _kept: None,
        })
    }

    fn line(&self, rehearsed: &Rehearsed<'_>) -> (String, bool) {
        let Rehearsed { step, now } = rehearsed;
        let then = step
            .answer
            .as_ref()
            .and_then(|answer| answer.answered.outcome.as_ref());
        let (verdict, after) = match now {
            Rerun::Same => ("equal", then),
            Rerun::Different(outcome) => ("different", Some(outcome)),
            Rerun::Skipped => ("not done again", None),
        };
        let line = Line {
            record: step.seq,
            kind: step.asked.ask.as_str(),
            tool: tool(step),
            verdict,
            reward: then.and_then(reward),
            reward_now: after.and_then(reward),
        };
        let differs = matches!(now, Rerun::Different(_));
        if self.json {
            let text = serde_json::to_string(&line).unwrap_or_default();
            return (format!("{text}\n"), differs);
        }
        let mut text = format!("{:>6}  {:<11} {verdict}", line.record, line.kind);
        if let Some(tool) = line.tool {
            text.push_str(&format!("  {}", crate::model::quoted(tool)));
        }
        if line.reward != line.reward_now && differs {
            let shown = |reward: Option<f64>| reward.map_or("none".to_owned(), |r| r.to_string());
            text.push_str(&format!(
                "  reward {} -> {}",
                shown(line.reward),
                shown(line.reward_now)
            ));
        }
        text.push('\n');
        (text, differs)
    }
}

/// What is done again, and on what.
struct Source {
    history: History,
    component: PathBuf,
    /// The file of a component that came with the history.
    _kept: Option<tempfile::NamedTempFile>,
}

fn tool(step: &Step) -> Option<&str> {
    match &step.asked.ask {
        crate::journal::Ask::Call { tool, .. } => Some(tool),
        _ => None,
    }
}

fn reward(outcome: &Outcome) -> Option<f64> {
    match outcome {
        Outcome::Output(output) => output.reward.map(|reward| reward.get()),
        _ => None,
    }
}
