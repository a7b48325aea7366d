//! `orwd replay`: does sessions again and shows where they come out otherwise.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::logging::Log;
use super::rehearsal::{Code, Piece, Played, RehearsalFlags, Report, Score, Verdict};
use super::{Ending, Failure, export, terminal};
use orwd_journal::{
    EpisodeFilter, EpisodeHistory, IndexedEpisode, JournalError, JournalStore, SqliteStore,
    StateDir,
};

/// Do sessions again from their journal, call by call
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
  orwd replay --all --state ~/orwd-state
  orwd replay my-session --state ~/orwd-state --json")]
pub(super) struct Replay {
    /// A session's id, that of an episode (one life of a session), or a file
    /// of `orwd export`; one or several
    #[arg(value_name = "SESSION|FILE", required_unless_present = "all")]
    which: Vec<String>,

    /// Every session of the journal, live or ended, but for those that by
    /// their nature cannot be done again
    #[arg(long, conflicts_with = "which", requires = "state")]
    all: bool,

    /// Directory of state of the server, for sessions
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,

    /// Another component to do them on
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,

    /// Print an object of JSON for each step
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    rehearsal: RehearsalFlags,
}

/// A step, or the data, as it is shown.
#[derive(Serialize)]
struct Line<'s> {
    record: u64,
    kind: &'static str,
    tool: Option<&'s str>,
    verdict: &'static str,
    fault: Option<&'static str>,
    reward: Option<f64>,
    reward_now: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'s str>,
}

/// A line together with whose it is.
#[derive(Serialize)]
struct Owned<'s> {
    environment: &'s str,
    session: &'s str,
    episode: String,
    #[serde(flatten)]
    line: &'s Line<'s>,
}

impl<'s> Line<'s> {
    fn of_step(step: &'s Played) -> Line<'s> {
        Line {
            record: step.record,
            kind: step.kind,
            tool: step.tool.as_deref(),
            verdict: step.verdict.as_str(),
            fault: step.fault,
            reward: step.reward,
            reward_now: step.reward_now,
            why: None,
        }
    }

    /// The data, which belongs to the first record.
    fn of_data(why: &'s str) -> Line<'s> {
        Line {
            record: 0,
            kind: "data",
            tool: None,
            verdict: Verdict::Different.as_str(),
            fault: None,
            reward: None,
            reward_now: None,
            why: Some(why),
        }
    }
}

/// What came of all of them.
#[derive(Default)]
struct Tally {
    sessions: u64,
    steps: u64,
    different: u64,
    left_out: u64,
    failed: u64,
}

impl Replay {
    pub(super) fn run(self, log: &mut Log) -> Result<Ending, Failure> {
        let mut tally = Tally::default();
        let (pieces, store) = self.pieces(&mut tally)?;
        let one = !self.all && pieces.len() == 1;
        let shown = |score: &Score, report: Report| {
            if one && let Report::Never(why) | Report::Failed(why) = &report {
                return Err(Failure::new(why.clone()));
            }
            let text = self.show(&mut tally, score, &report, one);
            terminal::print(&text)
        };
        self.rehearsal.perform(pieces, store, log, shown)?;
        if !self.json {
            terminal::print(&tally.told(one))?;
        }
        match tally {
            Tally { failed: 1.., .. } => Err(Failure::new(format!(
                "{} sessions could not be done again",
                tally.failed
            ))),
            Tally { different: 0, .. } => Ok(Ending::Fine),
            _ => Ok(Ending::Different),
        }
    }

    /// What is to be done again, and the journal that it is in.
    fn pieces(&self, tally: &mut Tally) -> Result<(Vec<Piece>, Option<SqliteStore>), Failure> {
        let is_file = |which: &String| Path::new(which).is_file();
        let store = match &self.state {
            Some(state) if self.all || !self.which.iter().all(is_file) => {
                Some(SqliteStore::visit(state)?)
            }
            _ => None,
        };
        let mut pieces = Vec::new();
        for which in &self.which {
            pieces.push(match &store {
                _ if is_file(which) => self.brought(Path::new(which))?,
                Some(store) => self.kept(store, &export::find(store, which)?)?,
                None => {
                    return Err(Failure::usage(
                        "say where the server keeps its sessions with --state DIR",
                    ));
                }
            });
        }
        if let Some(store) = store.as_ref().filter(|_| self.all) {
            // From the oldest on.
            for episode in store.list(&EpisodeFilter::default())?.iter().rev() {
                match self.kept(store, episode) {
                    Ok(piece) => pieces.push(piece),
                    Err(error) => {
                        tally.failed += 1;
                        terminal::error(&format!("{}: {error}", named(episode)));
                    }
                }
            }
        }
        Ok((pieces, store))
    }

    /// An episode of the journal. Its records are read again when it is done,
    /// so that a large journal is never in memory.
    fn kept(&self, store: &SqliteStore, episode: &IndexedEpisode) -> Result<Piece, Failure> {
        let rows = store.read(episode.id, 0).map_err(JournalError::from)?;
        let history = EpisodeHistory::read(episode.id, &rows)?;
        let own = store.dir().component(episode.header.component);
        Ok(Piece {
            episode: episode.id,
            data: store.dir().saved_data_path(&episode.header.environment)?,
            created: history.created().clone(),
            history: None,
            component: self.against.clone().map_or(Code::Own(own), Code::Another),
        })
    }

    /// An episode in a file.
    fn brought(&self, path: &Path) -> Result<Piece, Failure> {
        let archive = export::read(path)?;
        let history = archive.history().clone();
        let component = match (&self.against, archive.component()) {
            (Some(against), _) => Code::Another(against.clone()),
            (None, Some(bytes)) => {
                let mut file = tempfile::NamedTempFile::new()?;
                std::io::Write::write_all(&mut file, bytes)?;
                Code::Brought(file)
            }
            (None, None) => {
                return Err(Failure::usage(
                    "the file holds no component; say one with --against COMPONENT",
                ));
            }
        };
        Ok(Piece {
            episode: history.episode(),
            created: history.created().clone(),
            data: match &self.state {
                Some(state) => StateDir::open_existing(state)?
                    .saved_data_path(&history.created().environment)?,
                None => None,
            },
            history: Some(history),
            component,
        })
    }

    /// What is printed of an episode.
    fn show(&self, tally: &mut Tally, score: &Score, report: &Report, alone: bool) -> String {
        tally.sessions += 1;
        let created = &score.created;
        let head = |verdict: &str, rest: &str| {
            if self.json || alone {
                return String::new();
            }
            let (session, env) = (created.session.as_str(), &created.environment);
            let session = orwd_model::python_repr(session);
            format!("{verdict:<14}  {env}  {session}  {}{rest}\n", score.episode)
        };
        let done = match report {
            Report::Done(done) => done,
            Report::Never(why) => {
                tally.left_out += 1;
                return head("left out", &format!(": {why}"));
            }
            Report::Failed(why) => {
                tally.failed += 1;
                terminal::error(&format!("{}: {why}", score.episode));
                return head("failed", "");
            }
        };
        let (steps, different) = (&done.steps, done.different());
        tally.steps += steps.len() as u64;
        tally.different += different;
        let verdict = if different == 0 { "equal" } else { "different" };
        let mut text = head(verdict, &format!("  {} steps", steps.len()));
        if let Some(why) = &done.data {
            text.push_str(&if self.json {
                json(score, &Line::of_data(why))
            } else {
                format!("{:>6}  {:<11} different: {why}\n", 0, "data")
            });
        }
        for step in steps {
            if self.json {
                text.push_str(&json(score, &Line::of_step(step)));
            } else if alone || different > 0 {
                text.push_str(&line(step));
            }
        }
        text
    }
}

impl Tally {
    fn told(&self, alone: bool) -> String {
        let Tally {
            sessions,
            steps,
            different,
            left_out,
            failed,
        } = self;
        if alone {
            return format!("{steps} steps, {different} different\n");
        }
        format!(
            "{sessions} sessions, {steps} steps, {different} different, {left_out} left out, \
             {failed} failed\n"
        )
    }
}

fn named(episode: &IndexedEpisode) -> String {
    let session = orwd_model::python_repr(episode.header.session.as_str());
    format!("episode {} of session {session}", episode.id)
}

fn json(score: &Score, line: &Line<'_>) -> String {
    let owned = Owned {
        environment: score.created.environment.as_str(),
        session: score.created.session.as_str(),
        episode: score.episode.to_string(),
        line,
    };
    let text = serde_json::to_string(&owned).unwrap_or_default();
    format!("{text}\n")
}

fn line(step: &Played) -> String {
    let verdict = step.verdict.as_str();
    let mut text = format!("{:>6}  {:<11} {verdict}", step.record, step.kind);
    if let Some(tool) = &step.tool {
        text.push_str(&format!("  {}", orwd_model::python_repr(tool)));
    }
    if let Some(fault) = step.fault {
        text.push_str(&format!("  {fault}"));
    }
    if step.verdict == Verdict::Different && step.reward != step.reward_now {
        let shown = |reward: Option<f64>| reward.map_or("none".to_owned(), |r| r.to_string());
        text.push_str(&format!(
            "  reward {} -> {}",
            shown(step.reward),
            shown(step.reward_now)
        ));
    }
    text.push('\n');
    text
}
