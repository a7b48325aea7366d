//! Episodes that are done again, of one session or of a whole journal.
//!
//! Everything that needs the machine is had before the walls are up: components
//! are compiled, data is opened, secrets are unsealed. Whoever made a file that
//! was brought here may have made its component, too. Then the episodes are
//! done, as many at once as there is work for, and told of in their order. What
//! cannot be done costs itself and no other.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tempfile::NamedTempFile;

use super::logging::Log;
use super::scratch::Scratch;
use super::{Failure, compile, host, keep, runtime, wall};
use orwd_catalog::{Blueprint, Environment, Prepared};
use orwd_config::{AdmissionFlags, EnvironmentFlags, Places, WallWish};
use orwd_engine::{CodeCache, Engine, EngineSettings};
use orwd_journal::{
    CreatedRecord, EpisodeHistory, EpisodeId, EpisodeStep, GuestOutcome, GuestRequest,
    JournalStore, SealKey, SealedSecrets, SqliteStore,
};
use orwd_model::{ClockMode, DataMode, Digest, EnvName, Secrets};
use orwd_sandbox::DataDir;
use orwd_session::{Rehearsed, Rerun, rehearse};

/// Where what an episode needs is found.
#[derive(Args, Debug)]
pub(super) struct RehearsalFlags {
    /// Directory that the environment saw as /orwd_data, if it is not where the
    /// server last had it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// File with the key that secrets were sealed with [default: the key in
    /// ORWD_SEAL_KEY, if there is one]
    #[arg(long, value_name = "FILE", env = "ORWD_SEAL_KEY_FILE")]
    seal_key: Option<PathBuf>,

    /// Where compiled code is kept [default: orwd in the user's cache
    /// directory]
    #[arg(long, value_name = "DIR", env = "ORWD_CACHE")]
    cache: Option<PathBuf>,

    #[command(flatten)]
    admission: AdmissionFlags,
}

/// An episode that is to be done again.
pub(super) struct Piece {
    pub(super) episode: EpisodeId,
    pub(super) created: CreatedRecord,
    /// Its records; none if they are read from the journal when it is its turn.
    pub(super) history: Option<EpisodeHistory>,
    pub(super) component: Code,
    /// Where its data was, as far as that is known.
    pub(super) data: Option<PathBuf>,
}

/// What an episode is done on.
pub(super) enum Code {
    /// The component that it was made with.
    Own(PathBuf),
    /// The same, in a file that is there for this alone.
    Brought(NamedTempFile),
    /// Whatever the caller says.
    Another(PathBuf),
}

/// A step that was done again, or was not.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) record: u64,
    pub(super) kind: &'static str,
    pub(super) tool: Option<String>,
    pub(super) verdict: Verdict,
    /// The fault that it was, if it was one.
    pub(super) fault: Option<&'static str>,
    pub(super) reward: Option<f64>,
    pub(super) reward_now: Option<f64>,
}

/// How a step compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Equal,
    Different,
    NotDone,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Verdict::Equal => "equal",
            Verdict::Different => "different",
            Verdict::NotDone => "not done again",
        }
    }
}

/// What came of an episode.
pub(super) enum Report {
    /// It was done.
    Done(Done),
    /// It is of a kind that cannot be done again anywhere.
    Never(String),
    /// It could not be done here and now.
    Failed(String),
}

/// What came of an episode that was done.
pub(super) struct Done {
    /// What is different about its data, if anything is.
    pub(super) data: Option<String>,
    /// Its steps, in order.
    pub(super) steps: Vec<Played>,
}

impl Done {
    /// How much is different, the data included.
    pub(super) fn different(&self) -> u64 {
        let differs = |step: &&Played| step.verdict == Verdict::Different;
        let steps = self.steps.iter().filter(differs).count() as u64;
        steps + u64::from(self.data.is_some())
    }
}

/// Where the data of an episode is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Where {
    /// It had none.
    Nowhere,
    At(PathBuf),
    /// It had some, and nobody says where.
    Lost,
}

/// One environment at one version over one directory of data.
type Staging = (EnvName, Option<Digest>, Where);

impl RehearsalFlags {
    fn places(&self) -> Result<Places, Failure> {
        let flags = EnvironmentFlags {
            data: self.data.clone(),
            writable_data: false,
            cache: self.cache.clone(),
            no_build: true,
        };
        Ok(flags.resolve()?)
    }

    /// The key that secrets were sealed with, if there is one.
    pub(super) fn seal_key(&self) -> Result<Option<SealKey>, Failure> {
        keep::seal_key(self.seal_key.as_deref())
    }

    /// Does all of these, and tells of each in their order.
    pub(super) fn perform(
        &self,
        pieces: Vec<Piece>,
        store: Option<SqliteStore>,
        log: &mut Log,
        mut each: impl FnMut(&Score, Report) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let places = self.places()?;
        let names: Vec<&EnvName> = pieces.iter().map(|p| &p.created.environment).collect();
        if self.data.is_some() && names.iter().any(|name| Some(name) != names.first()) {
            return Err(Failure::usage(
                "--data is for one environment, and these sessions are of several",
            ));
        }
        let threads = host::threads();
        let at_once = threads * 2;
        let largest = |limit: fn(&CreatedRecord) -> usize| {
            let limits = pieces.iter().map(|piece| limit(&piece.created));
            limits.max().unwrap_or_default()
        };
        let settings = EngineSettings {
            max_sessions: u32::try_from(at_once).unwrap_or(u32::MAX),
            max_memory: largest(|created| created.limits.memory),
            max_tables: largest(|created| created.limits.tables),
            threads,
        };
        let engine = Engine::new(settings, compile::compiler(self.admission.resolve())?)?;
        let mut stages = Stages {
            engine: &engine,
            places: &places,
            cache: CodeCache::open(&places.cache)?,
            data: HashMap::new(),
            ready: HashMap::new(),
        };
        let sealed = |piece: &Piece| matches!(piece.created.secrets, SealedSecrets::Sealed(_));
        let key = if pieces.iter().any(sealed) {
            self.seal_key()?
        } else {
            None
        };
        let key = key.map(Arc::new);
        let mut scores = Vec::new();
        for piece in pieces {
            let staging = stages.set(&piece, self.data.as_deref());
            let created = piece.created;
            let secrets = match (created.clock, &created.secrets) {
                (ClockMode::Real, _) => Err(Report::Never(
                    "its environment saw the real clock, so that it cannot be done again".into(),
                )),
                (_, SealedSecrets::Withheld) => Err(Report::Never(
                    "it was given secrets that were not written down, for the server had no key \
                     to seal them with"
                        .into(),
                )),
                (_, SealedSecrets::Sealed(_)) if key.is_none() => Err(Report::Failed(
                    "it was given secrets, which are sealed; say the key with --seal-key FILE or \
                     in ORWD_SEAL_KEY"
                        .into(),
                )),
                (_, secrets) => secrets
                    .open(key.as_deref(), piece.episode)
                    .map_err(|error| Report::Failed(error.to_string())),
            };
            scores.push(Score {
                episode: piece.episode,
                key: key
                    .clone()
                    .filter(|_| matches!(created.secrets, SealedSecrets::Sealed(_))),
                created,
                history: piece.history,
                staging,
                secrets,
            });
        }
        let ready = stages.ready;
        let scratch = Scratch::make()?;
        let state = store.as_ref().map(|store| store.dir().path());
        let prepared = ready.values().filter_map(|stage| stage.as_ref().ok());
        let needs = wall::needs(prepared, None, state, &scratch);
        wall::raise(WallWish::Available, &needs)?;
        log.queue();
        let runtime = runtime(1)?;
        let store = store.map(Arc::new);
        let performed = runtime.block_on(async {
            engine.start()?;
            let stages = open(ready).await;
            let mut rest = scores.into_iter();
            let mut running = VecDeque::new();
            loop {
                while running.len() < at_once
                    && let Some(score) = rest.next()
                {
                    let stage = match stages.get(&score.staging) {
                        Some(stage) => stage.clone(),
                        None => Err("its component was not loaded".to_owned()),
                    };
                    let (on, store) = (engine.clone(), store.clone());
                    running.push_back(engine.spawn(async move {
                        let (score, report) = score.play(&on, stage, store).await;
                        (score, report)
                    }));
                }
                let Some(task) = running.pop_front() else {
                    return Ok::<(), Failure>(());
                };
                let Some(task) = task else {
                    return Err(Failure::new("the engine does not run"));
                };
                let (score, report) = task.await?;
                each(&score, report)?;
            }
        });
        runtime.shutdown_background();
        performed
    }
}

/// Lets every environment describe itself.
async fn open(
    ready: HashMap<Staging, Result<Prepared, String>>,
) -> HashMap<Staging, Result<Environment, String>> {
    let mut stages = HashMap::new();
    for (staging, prepared) in ready {
        let stage = match prepared {
            Ok(prepared) => prepared.open().await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        stages.insert(staging, stage);
    }
    stages
}

/// What episodes are done on.
struct Stages<'e> {
    engine: &'e Engine,
    places: &'e Places,
    cache: CodeCache,
    data: HashMap<PathBuf, Result<DataDir, String>>,
    ready: HashMap<Staging, Result<Prepared, String>>,
}

impl Stages<'_> {
    /// Makes what an episode is done on, if it is not there yet.
    fn set(&mut self, piece: &Piece, data: Option<&Path>) -> Staging {
        let created = &piece.created;
        let (file, own) = match &piece.component {
            Code::Own(path) => (path.as_path(), Some(created.component)),
            Code::Brought(file) => (file.path(), Some(created.component)),
            Code::Another(path) => (path.as_path(), None),
        };
        // A directory that it did not have would not be the same, and one that
        // is named is there to be compared.
        let noted = || piece.data.clone().filter(|_| created.data.is_some());
        let data = match data.map(Path::to_owned).or_else(noted) {
            Some(path) => Where::At(path),
            None if created.data.is_some() => Where::Lost,
            None => Where::Nowhere,
        };
        let staging = (created.environment.clone(), own, data.clone());
        if !self.ready.contains_key(&staging) {
            let stage = self.make(created, file, own, data);
            self.ready.insert(staging.clone(), stage);
        }
        staging
    }

    fn make(
        &mut self,
        created: &CreatedRecord,
        file: &Path,
        own: Option<Digest>,
        data: Where,
    ) -> Result<Prepared, String> {
        let data = match data {
            Where::At(path) => {
                let cache = self.places.cache.as_path();
                let open = || {
                    let data = DataDir::open(&path).and_then(|data| data.with_digest(cache));
                    data.map_err(|error| format!("{error}; say another with --data DIR"))
                };
                Some(self.data.entry(path.clone()).or_insert_with(open).clone()?)
            }
            Where::Lost => {
                return Err(
                    "it had data, and nothing says where that is; say it with --data DIR".into(),
                );
            }
            Where::Nowhere => None,
        };
        let blueprint = Blueprint {
            name: created.environment.clone(),
            component: file.to_owned(),
            data,
            mode: DataMode::default(),
            limits: created.limits,
            secrets: Vec::new(),
            clock: ClockMode::Virtual,
            seed: None,
        };
        let prepared = Prepared::new(self.engine, Some(&self.cache), blueprint)
            .map_err(|error| error.to_string())?;
        match own {
            Some(own) if own != prepared.digest() => Err(format!(
                "{} is not the component {own} that it was made with",
                file.display()
            )),
            _ => Ok(prepared),
        }
    }
}

/// An episode with all that it takes to do it.
pub(super) struct Score {
    pub(super) episode: EpisodeId,
    pub(super) created: CreatedRecord,
    history: Option<EpisodeHistory>,
    staging: Staging,
    secrets: Result<Secrets, Report>,
    /// Opens what is sealed of its records.
    key: Option<Arc<SealKey>>,
}

impl Score {
    async fn play(
        mut self,
        engine: &Engine,
        stage: Result<Environment, String>,
        store: Option<Arc<SqliteStore>>,
    ) -> (Score, Report) {
        let secrets = std::mem::replace(&mut self.secrets, Ok(Secrets::default()));
        let report = match secrets {
            Ok(secrets) => match self.perform(engine, stage, secrets, store).await {
                Ok(done) => Report::Done(done),
                Err(why) => Report::Failed(why),
            },
            Err(report) => report,
        };
        (self, report)
    }

    async fn perform(
        &mut self,
        engine: &Engine,
        stage: Result<Environment, String>,
        secrets: Secrets,
        store: Option<Arc<SqliteStore>>,
    ) -> Result<Done, String> {
        let env = stage?;
        let mut history = match (self.history.take(), store) {
            (Some(history), _) => history,
            (None, Some(store)) => {
                let rows = store.read(self.episode, 0);
                let rows = rows.map_err(|error| error.to_string())?;
                EpisodeHistory::read(self.episode, &rows).map_err(|error| error.to_string())?
            }
            (None, None) => return Err("its records are nowhere".to_owned()),
        };
        if let Some(key) = &self.key {
            history.unseal(key).map_err(|error| error.to_string())?;
        }
        let mut steps = Vec::new();
        let each = |rehearsed: Rehearsed<'_>| steps.push(Played::of(&rehearsed));
        let data = rehearse(engine, &env, &history, secrets, each).await?;
        Ok(Done { data, steps })
    }
}

impl Played {
    fn of(rehearsed: &Rehearsed<'_>) -> Played {
        let Rehearsed { step, now } = rehearsed;
        let then = step
            .outcome
            .as_ref()
            .and_then(|answer| answer.record.outcome.as_ref());
        let (verdict, after) = match now {
            Rerun::Same => (Verdict::Equal, then),
            Rerun::Different(outcome) => (Verdict::Different, Some(outcome)),
            Rerun::Skipped => (Verdict::NotDone, None),
        };
        Played {
            record: step.seq,
            kind: step.record.request.as_str(),
            tool: tool(step),
            verdict,
            fault: then.and_then(fault),
            reward: then.and_then(reward),
            reward_now: after.and_then(reward),
        }
    }
}

fn tool(step: &EpisodeStep) -> Option<String> {
    match &step.record.request {
        GuestRequest::Call { tool, .. } => Some(tool.clone()),
        _ => None,
    }
}

fn fault(outcome: &GuestOutcome) -> Option<&'static str> {
    match outcome {
        GuestOutcome::Faulted(fault) => Some(fault.code.as_str()),
        _ => None,
    }
}

fn reward(outcome: &GuestOutcome) -> Option<f64> {
    match outcome {
        GuestOutcome::Output(output) => output.reward.map(|reward| reward.get()),
        _ => None,
    }
}
