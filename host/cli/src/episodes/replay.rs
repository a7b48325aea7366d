//! `orwd replay`: replays sessions and reports differences.

use std::path::{Path, PathBuf};

use clap::Args;
use orwd_journal::{
    EpisodeFilter, EpisodeHistory, IndexedEpisode, JournalError, JournalStore, SqliteStore,
};
use orwd_model::python_repr;
use orwd_session::DataDifference;
use serde::Serialize;

use super::diff::FieldDifference;
use super::live_requests::{LiveFlags, RequestDifference};
use super::replay_runner::{
    EpisodeSource, PreparedReplay, ReplayComponent, ReplayFlags, ReplayJob, ReplayOutcome,
    ReplayedStep, StepVerdict,
};
use super::{export, lookup, state_dir};
use crate::console::{CommandError, CommandStatus, Log, terminal};

/// Replay sessions from their journal, call by call
///
/// Each call runs with its original time and seed, and its result is compared
/// with the recorded one. With --against, the comparison is a re-score: what the
/// other version would have returned for the same calls. The server may be
/// running. Exit code: 0 if all steps are equal, 4 if some differ.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd replay my-session
  orwd replay my-session.episode --against my-env/target/my-env.wasm
  orwd replay --all --state ~/orwd-state
  orwd replay my-session --live --allow-network my-env=https://api.openai.com
  orwd replay my-session --json")]
pub(crate) struct Replay {
    /// Session ids, episode ids (an episode is one run of a session from its
    /// start to its end), or files of `orwd export`
    #[arg(value_name = "SESSION|FILE", required_unless_present = "all")]
    which: Vec<String>,

    /// Replay every session of the journal, live or ended, except those that
    /// can never be replayed
    #[arg(long, conflicts_with = "which")]
    all: bool,

    /// State directory of the server, for sessions [default: the only one in
    /// the user's state directory]
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,

    /// Replay on this component in place of the original
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,

    /// Print a JSON object for each step
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    replay: ReplayFlags,

    #[command(flatten)]
    live: LiveFlags,
}

/// JSON of a step, or of a difference in the data.
#[derive(Serialize)]
struct StepLine<'s> {
    record: u64,
    step: Option<u64>,
    kind: &'static str,
    tool: Option<&'s str>,
    verdict: &'static str,
    fault: Option<&'static str>,
    reward: Option<f64>,
    reward_now: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'s str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    differences: &'s [FieldDifference],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    requests: &'s [RequestDifference],
}

/// JSON of a line, with its session.
#[derive(Serialize)]
struct SessionLine<'s> {
    environment: &'s str,
    session: &'s str,
    episode: String,
    imported: bool,
    #[serde(flatten)]
    line: &'s StepLine<'s>,
}

impl<'s> StepLine<'s> {
    fn of_step(step: &'s ReplayedStep) -> StepLine<'s> {
        StepLine {
            record: step.record,
            step: step.step,
            kind: step.kind,
            tool: step.tool.as_deref(),
            verdict: step.verdict.as_str(),
            fault: step.fault,
            reward: step.reward,
            reward_now: step.reward_now,
            why: None,
            differences: &step.differences,
            requests: &step.requests,
        }
    }

    /// Returns the line of the data, which belongs to the first record.
    fn of_data(reason: &'s str, verdict: &'static str) -> StepLine<'s> {
        StepLine {
            record: 0,
            step: None,
            kind: "data",
            tool: None,
            verdict,
            fault: None,
            reward: None,
            reward_now: None,
            why: Some(reason),
            differences: &[],
            requests: &[],
        }
    }
}

/// Totals over all sessions.
#[derive(Default)]
struct Totals {
    sessions: u64,
    steps: u64,
    different: u64,
    unsupported: u64,
    failed: u64,
    /// HTTP requests that were sent again, and those of another response; none if
    /// they were served from the journal.
    requests: Option<(u64, u64)>,
    /// Where the first difference is, for people.
    first: Option<String>,
}

impl Replay {
    pub(crate) fn run(self, log: &mut Log) -> Result<CommandStatus, CommandError> {
        let mut totals = Totals::default();
        let (jobs, store) = self.jobs(&mut totals)?;
        let live = self.live.start()?;
        totals.requests = live.as_ref().map(|_| (0, 0));
        let single = !self.all && jobs.len() == 1;
        let report = |replay: &PreparedReplay, outcome: ReplayOutcome| {
            if single
                && let ReplayOutcome::Unsupported(reason) | ReplayOutcome::Failed(reason) = &outcome
            {
                return Err(CommandError::new(reason.clone()));
            }
            let text = self.render(&mut totals, replay, &outcome, single);
            if self.json {
                terminal::print(&text)
            } else {
                terminal::print_styled(&text)
            }
        };
        self.replay.run(jobs, store, live.as_ref(), log, report)?;
        if !self.json {
            terminal::print(&totals.text(single))?;
            if let (Some(first), true) = (&totals.first, single) {
                terminal::print(&format!("the first difference is in {first}\n"))?;
            }
        }
        match totals {
            Totals { failed: 1.., .. } => Err(CommandError::new(format!(
                "{} sessions could not be replayed",
                totals.failed
            ))),
            Totals { different: 0, .. } => Ok(CommandStatus::Success),
            _ => Ok(CommandStatus::Different),
        }
    }

    /// Returns what to replay, and the journal that it is in.
    fn jobs(
        &self,
        totals: &mut Totals,
    ) -> Result<(Vec<ReplayJob>, Option<SqliteStore>), CommandError> {
        let is_file = |which: &String| Path::new(which).is_file();
        let store = if self.all || !self.which.iter().all(is_file) {
            let state = state_dir::find(self.state.as_deref())?;
            Some(SqliteStore::visit(&state)?)
        } else {
            None
        };
        let mut jobs = Vec::new();
        for which in &self.which {
            jobs.push(match &store {
                _ if is_file(which) => self.file_job(Path::new(which))?,
                Some(store) => self.journal_job(store, &lookup::find(store, which)?)?,
                None => continue,
            });
        }
        if let Some(store) = store.as_ref().filter(|_| self.all) {
            // Oldest first.
            for episode in store.list(&EpisodeFilter::default())?.iter().rev() {
                match self.journal_job(store, episode) {
                    Ok(job) => jobs.push(job),
                    Err(error) => {
                        totals.failed += 1;
                        terminal::error(&format!("{}: {error}", named(episode)));
                    }
                }
            }
        }
        Ok((jobs, store))
    }

    /// Returns the job of an episode in the journal. Its records are read again
    /// when it runs, so that a large journal is never in memory.
    fn journal_job(
        &self,
        store: &SqliteStore,
        episode: &IndexedEpisode,
    ) -> Result<ReplayJob, CommandError> {
        let rows = store.read(episode.id, 0).map_err(JournalError::from)?;
        let history = EpisodeHistory::read(episode.id, &rows)?;
        let original = store.dir().component(episode.header.component);
        Ok(ReplayJob {
            episode: episode.id,
            // The name in an imported episode may be that of any environment.
            data: match &episode.header.import {
                Some(import) => import.data.clone(),
                None => store.dir().saved_data_path(&episode.header.environment)?,
            },
            source: match &episode.header.import {
                Some(_) => EpisodeSource::Imported,
                None => EpisodeSource::Journal,
            },
            created: history.created().clone(),
            history: None,
            component: match &self.against {
                Some(against) => ReplayComponent::Other(against.clone()),
                None => ReplayComponent::Original(original),
            },
        })
    }

    /// Returns the job of an exported episode.
    fn file_job(&self, path: &Path) -> Result<ReplayJob, CommandError> {
        let archive = export::read(path)?;
        let history = archive.history().clone();
        let component = match (&self.against, archive.component()) {
            (Some(against), _) => ReplayComponent::Other(against.clone()),
            (None, Some(bytes)) => {
                let mut file = tempfile::NamedTempFile::new()?;
                std::io::Write::write_all(&mut file, bytes)?;
                ReplayComponent::Extracted(file)
            }
            (None, None) => {
                return Err(CommandError::usage(
                    "the file has no component; pass one with --against COMPONENT",
                ));
            }
        };
        Ok(ReplayJob {
            episode: history.episode(),
            created: history.created().clone(),
            // The name in a file may be that of any environment.
            data: None,
            source: EpisodeSource::File,
            history: Some(history),
            component,
        })
    }

    /// Returns what is printed for an episode.
    fn render(
        &self,
        totals: &mut Totals,
        replay: &PreparedReplay,
        outcome: &ReplayOutcome,
        single: bool,
    ) -> String {
        totals.sessions += 1;
        let created = &replay.created;
        let head = |verdict: &str, rest: &str| {
            if self.json || single {
                return String::new();
            }
            let (session, env) = (created.session.as_str(), &created.environment);
            let session = python_repr(session);
            let origin = if replay.source == EpisodeSource::Imported {
                "  imported"
            } else {
                ""
            };
            format!(
                "{verdict:<14}  {env}  {session}  {}{rest}{origin}\n",
                replay.episode
            )
        };
        let comparison = match outcome {
            ReplayOutcome::Replayed(comparison) => comparison,
            ReplayOutcome::Unsupported(reason) => {
                totals.unsupported += 1;
                return head("unsupported", &format!(": {reason}"));
            }
            ReplayOutcome::Failed(reason) => {
                totals.failed += 1;
                terminal::error(&format!("{}: {reason}", replay.episode));
                return head("failed", "");
            }
        };
        let (steps, different) = (&comparison.steps, comparison.differences());
        totals.steps += steps.len() as u64;
        totals.different += different;
        if let Some((asked, others)) = &mut totals.requests {
            for step in steps {
                *asked += step.asked as u64;
                *others += step.requests.len() as u64;
            }
        }
        let verdict = if different == 0 { "equal" } else { "different" };
        let mut text = head(verdict, &format!("  {} steps", steps.len()));
        if let Some(DataDifference { description, seen }) = &comparison.data {
            let verdict = if *seen { "different" } else { "unseen" };
            text.push_str(&if self.json {
                json(replay, &StepLine::of_data(description, verdict))
            } else {
                format!("{:>6}  {:<11} {verdict}: {description}\n", 0, "data")
            });
        }
        if totals.first.is_none() {
            totals.first = steps.iter().find_map(place_of_difference);
        }
        for step in steps {
            if self.json {
                text.push_str(&json(replay, &StepLine::of_step(step)));
            } else if single || different > 0 || !step.requests.is_empty() {
                text.push_str(&line(step));
            }
        }
        text
    }
}

impl Totals {
    fn text(&self, single: bool) -> String {
        let Totals {
            sessions,
            steps,
            different,
            unsupported,
            failed,
            requests,
            first: _,
        } = self;
        let requests = match requests {
            Some((asked, others)) => {
                format!("; {asked} requests sent again, {others} different")
            }
            None => String::new(),
        };
        if single {
            return format!("{steps} steps, {different} different{requests}\n");
        }
        format!(
            "{sessions} sessions, {steps} steps, {different} different, {unsupported} unsupported, \
             {failed} failed{requests}\n"
        )
    }
}

fn named(episode: &IndexedEpisode) -> String {
    let session = python_repr(episode.header.session.as_str());
    format!("episode {} of session {session}", episode.id)
}

fn json(replay: &PreparedReplay, line: &StepLine<'_>) -> String {
    let line = SessionLine {
        environment: replay.created.environment.as_str(),
        session: replay.created.session.as_str(),
        episode: replay.episode.to_string(),
        imported: replay.source == EpisodeSource::Imported,
        line,
    };
    let text = serde_json::to_string(&line).unwrap_or_default();
    format!("{text}\n")
}

/// Returns where a step differs, in words; `None` if it does not.
fn place_of_difference(step: &ReplayedStep) -> Option<String> {
    if step.verdict != StepVerdict::Different {
        return None;
    }
    let number = step
        .step
        .map(|step| format!("step {step}, "))
        .unwrap_or_default();
    let tool = step
        .tool
        .as_deref()
        .map(|tool| format!(" {}", python_repr(tool)));
    let field = step.differences.first();
    let field = field.map(|difference| format!(", field {}", difference.field));
    Some(format!(
        "{number}record {} ({}{}){}",
        step.record,
        step.kind,
        tool.unwrap_or_default(),
        field.unwrap_or_default()
    ))
}

fn line(step: &ReplayedStep) -> String {
    let verdict = step.verdict.as_str();
    let mut text = format!("{:>6}  {:<11} {verdict}", step.record, step.kind);
    if let Some(tool) = &step.tool {
        text.push_str(&format!("  {}", python_repr(tool)));
    }
    if let Some(fault) = step.fault {
        text.push_str(&format!("  {fault}"));
    }
    if step.verdict == StepVerdict::Different && step.reward != step.reward_now {
        let shown = |reward: Option<f64>| reward.map_or("none".to_owned(), |r| r.to_string());
        text.push_str(&format!(
            "  reward {} -> {}",
            shown(step.reward),
            shown(step.reward_now)
        ));
    }
    text.push('\n');
    text.extend(step.differences.iter().map(FieldDifference::text));
    text.extend(step.requests.iter().map(RequestDifference::text));
    if step.verdict == StepVerdict::Different && step.differences.is_empty() {
        text.push_str("        the recorded content is sealed or was not kept; its hash differs\n");
    }
    text
}
