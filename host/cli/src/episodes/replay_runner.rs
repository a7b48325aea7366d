//! Replays episodes: one, or all of a journal.
//!
//! Everything that needs the machine happens before hardening: components are
//! compiled, data is opened, secrets are unsealed. An imported file may come
//! from anyone, and so may its component. Then the episodes are replayed in
//! parallel and reported in order. One that cannot be replayed does not affect
//! the others.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use orwd_catalog::{
    ComponentFile, Environment, EnvironmentNetwork, EnvironmentSpec, PreparedEnvironment,
};
use orwd_config::{BuildMode, EnvironmentFlags, HardeningMode, LimitFlags, Paths};
use orwd_engine::{CodeCache, Engine, EngineSettings};
use orwd_journal::{
    CreatedRecord, EpisodeHistory, EpisodeId, EpisodeStep, GuestOutcome, GuestRequest,
    JournalStore, SealKey, SealedSecrets, SqliteStore,
};
use orwd_model::DataMode;
use orwd_model::{AdmissionLimits, ClockMode, Digest, EnvName, LimitSet, Secrets};
use orwd_sandbox::{DataDir, DataRules, PrivatePlaces};
use orwd_session::{DataDifference, ReplayRequests, StepComparison, StepReplay, replay_history};
use tempfile::NamedTempFile;

use super::diff::{FieldDifference, differences};
use super::live_requests::{self, LiveRequests, RequestDifference};
use crate::bootstrap::{TempDirectory, compiler, hardening, persistence, runtime};
use crate::console::{CommandError, Log};

/// Flags for what a replay needs.
#[derive(Args, Debug)]
pub(super) struct ReplayFlags {
    /// Directory that the environment saw as /orwd_data [default: where the
    /// server last had it]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// File with the key that sealed the secrets [default: the key in
    /// ORWD_SEAL_KEY, if set]
    #[arg(long, value_name = "FILE", env = "ORWD_SEAL_KEY_FILE")]
    seal_key: Option<PathBuf>,

    /// Directory for compiled code [default: orwd in the user's cache
    /// directory]
    #[arg(long, value_name = "DIR", env = "ORWD_CACHE")]
    cache: Option<PathBuf>,

    #[command(flatten)]
    admission: LimitFlags<AdmissionLimits>,
}

/// An episode to replay.
pub(super) struct ReplayJob {
    pub(super) episode: EpisodeId,
    pub(super) created: CreatedRecord,
    /// Its records; `None` if they are read from the journal when the replay
    /// starts.
    pub(super) history: Option<EpisodeHistory>,
    pub(super) component: ReplayComponent,
    /// Where its data was, if known.
    pub(super) data: Option<PathBuf>,
    pub(super) source: EpisodeSource,
}

impl ReplayJob {
    /// Whether it was imported, and its importer named no data.
    fn lacks_data(&self) -> bool {
        self.source == EpisodeSource::Imported && self.created.data.is_some() && self.data.is_none()
    }
}

/// Where the records of an episode come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EpisodeSource {
    /// This host ran it.
    Journal,
    /// It was imported into the journal.
    Imported,
    /// A file.
    File,
}

impl EpisodeSource {
    /// Whether the records may be anyone's claims.
    fn is_foreign(self) -> bool {
        self != EpisodeSource::Journal
    }
}

/// Component for a replay.
pub(super) enum ReplayComponent {
    /// The original one, whose digest must match.
    Original(PathBuf),
    /// The original one, in a temporary file.
    Extracted(NamedTempFile),
    /// Another one, chosen by the user.
    Other(PathBuf),
}

/// A step of the original and its replay.
#[derive(Clone, Debug)]
pub(super) struct ReplayedStep {
    pub(super) record: u64,
    /// For calls and scorings: their number, from 1.
    pub(super) step: Option<u64>,
    pub(super) kind: &'static str,
    pub(super) tool: Option<String>,
    pub(super) verdict: StepVerdict,
    /// Code of the original fault, if it was one.
    pub(super) fault: Option<&'static str>,
    pub(super) reward: Option<f64>,
    pub(super) reward_now: Option<f64>,
    /// The fields in which the outcomes differ.
    pub(super) differences: Vec<FieldDifference>,
    /// How many HTTP requests were sent again.
    pub(super) asked: usize,
    /// Those that differ, or whose responses do.
    pub(super) requests: Vec<RequestDifference>,
}

/// How the replay of a step compares with the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepVerdict {
    Equal,
    Different,
    Skipped,
}

impl StepVerdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            StepVerdict::Equal => "equal",
            StepVerdict::Different => "different",
            StepVerdict::Skipped => "skipped",
        }
    }
}

/// Result of replaying one episode.
pub(super) enum ReplayOutcome {
    /// It was replayed.
    Replayed(EpisodeComparison),
    /// It can never be replayed.
    Unsupported(String),
    /// It could not be replayed this time.
    Failed(String),
}

/// Comparison of a replayed episode with the original.
pub(super) struct EpisodeComparison {
    /// How its data differs, if it does.
    pub(super) data: Option<DataDifference>,
    /// Its steps, in order.
    pub(super) steps: Vec<ReplayedStep>,
}

impl EpisodeComparison {
    /// Returns the number of differences, that of its data included if the
    /// episode saw it.
    pub(super) fn differences(&self) -> u64 {
        let differs = |step: &&ReplayedStep| step.verdict == StepVerdict::Different;
        let steps = self.steps.iter().filter(differs).count() as u64;
        steps + u64::from(self.data.as_ref().is_some_and(|data| data.seen))
    }
}

/// Where the data of an episode is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum DataLocation {
    /// It had none.
    None,
    /// The user's path.
    At(PathBuf),
    /// Where it was when it was last served.
    Noted(PathBuf),
    /// It had some, at an unknown path.
    Unknown,
}

/// One version of an environment with one data directory.
type EnvironmentKey = (EnvName, Option<Digest>, DataLocation);

impl ReplayFlags {
    fn paths(&self) -> Result<Paths, CommandError> {
        let flags = EnvironmentFlags {
            cache: self.cache.clone(),
            ..EnvironmentFlags::default()
        };
        Ok(flags.resolve(BuildMode::Never)?)
    }

    /// Returns the key that sealed the secrets, if set.
    pub(super) fn seal_key(&self) -> Result<Option<SealKey>, CommandError> {
        persistence::seal_key(self.seal_key.as_deref())
    }

    /// Replays all jobs, and reports each in order.
    pub(super) fn run(
        &self,
        jobs: Vec<ReplayJob>,
        store: Option<SqliteStore>,
        live: Option<&LiveRequests>,
        log: &mut Log,
        mut report: impl FnMut(&PreparedReplay, ReplayOutcome) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let paths = self.paths()?;
        let mut jobs = jobs;
        for job in &mut jobs {
            // A file may state any.
            job.created.limits = job.created.limits.in_range();
        }
        let names: Vec<&EnvName> = jobs.iter().map(|job| &job.created.environment).collect();
        if self.data.is_some() && names.iter().any(|name| Some(name) != names.first()) {
            return Err(CommandError::usage(
                "--data is for one environment, but these sessions are of several",
            ));
        }
        let threads = runtime::threads();
        let parallel = threads * 2;
        let largest = |limit: fn(&CreatedRecord) -> usize| {
            let limits = jobs.iter().map(|job| limit(&job.created));
            limits.max().unwrap_or_default()
        };
        // Passed for one environment, it must not reach what only has its name.
        let alone = jobs.len() == 1;
        let settings = EngineSettings {
            max_sessions: u32::try_from(parallel).unwrap_or(u32::MAX),
            max_memory: largest(|created| created.limits.memory),
            max_tables: largest(|created| created.limits.tables),
            threads,
        };
        let engine = Engine::new(settings, compiler(self.admission.resolve())?)?;
        let state = store.as_ref().map(|store| store.dir().path().to_owned());
        let private = PrivatePlaces::new(paths.private.iter().chain(&state));
        let mut loader = EnvironmentLoader {
            engine: &engine,
            paths: &paths,
            rules: DataRules::new(private, &self.admission.resolve()),
            live,
            cache: CodeCache::open(&paths.cache)?,
            data: HashMap::new(),
            prepared: HashMap::new(),
        };
        let is_sealed = |job: &ReplayJob| matches!(job.created.secrets, SealedSecrets::Sealed(_));
        let key = if jobs.iter().any(is_sealed) {
            self.seal_key()?
        } else {
            None
        };
        let key = key.map(Arc::new);
        let mut replays = Vec::new();
        for job in jobs {
            let data = self
                .data
                .as_deref()
                .filter(|_| alone || !job.source.is_foreign());
            let environment = loader.load(&job, data);
            let key = key.clone().filter(|_| is_sealed(&job));
            let secrets = match job.lacks_data() && data.is_none() {
                true => Err(ReplayOutcome::Unsupported(
                    "it was imported without its data; to replay it alone, pass --data DIR".into(),
                )),
                false => open_secrets(&job, key.as_deref()),
            };
            replays.push(PreparedReplay {
                episode: job.episode,
                secrets,
                key,
                created: job.created,
                source: job.source,
                history: job.history,
                environment,
            });
        }
        let prepared = loader.prepared;
        let temp_dir = TempDirectory::create()?;
        let state = store.as_ref().map(|store| store.dir().path());
        let environments = prepared.values().filter_map(|result| result.as_ref().ok());
        let policy = hardening::policy(environments, None, state, &temp_dir);
        hardening::apply(HardeningMode::Available, &policy)?;
        log.start_thread();
        let runtime = runtime::start(1)?;
        let store = store.map(Arc::new);
        let result = runtime.block_on(async {
            engine.start()?;
            if let Some(live) = live {
                live.broker.connect()?;
            }
            let requests = match live {
                Some(_) => ReplayRequests::SentAgain,
                None => ReplayRequests::Recorded,
            };
            let environments = open(prepared).await;
            let mut waiting = replays.into_iter();
            let mut running = VecDeque::new();
            loop {
                while running.len() < parallel
                    && let Some(replay) = waiting.next()
                {
                    let environment = match environments.get(&replay.environment) {
                        Some(environment) => environment.clone(),
                        None => Err("its component was not loaded".to_owned()),
                    };
                    let (on, store) = (engine.clone(), store.clone());
                    let task = async move { replay.run(&on, environment, store, requests).await };
                    running.push_back(engine.spawn(task));
                }
                let Some(task) = running.pop_front() else {
                    return Ok::<(), CommandError>(());
                };
                let Some(task) = task else {
                    return Err(CommandError::new("the engine is not running"));
                };
                let (replay, outcome) = task.await?;
                report(&replay, outcome)?;
            }
        });
        runtime.shutdown_background();
        result
    }
}

/// Opens the secrets of an episode, or returns why it cannot be replayed.
fn open_secrets(job: &ReplayJob, key: Option<&SealKey>) -> Result<Secrets, ReplayOutcome> {
    match (job.created.clock, &job.created.secrets) {
        (ClockMode::Real, _) => Err(ReplayOutcome::Unsupported(
            "its environment used the real clock, so it cannot be replayed".into(),
        )),
        (_, SealedSecrets::Withheld) => Err(ReplayOutcome::Unsupported(
            "it had secrets that were not journaled, since the server had no seal key".into(),
        )),
        (_, SealedSecrets::Sealed(_)) if key.is_none() => Err(ReplayOutcome::Failed(
            "it has sealed secrets; pass the key with --seal-key FILE or in ORWD_SEAL_KEY".into(),
        )),
        (_, secrets) => secrets
            .open(key, job.episode, job.created.component)
            .map_err(|error| ReplayOutcome::Failed(error.to_string())),
    }
}

/// Gets the description of each environment.
async fn open(
    prepared: HashMap<EnvironmentKey, Result<PreparedEnvironment, String>>,
) -> HashMap<EnvironmentKey, Result<Environment, String>> {
    let mut environments = HashMap::new();
    for (key, prepared) in prepared {
        let environment = match prepared {
            Ok(prepared) => prepared.open().await.map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        environments.insert(key, environment);
    }
    environments
}

/// Loads the environments of replays, each once.
struct EnvironmentLoader<'e> {
    engine: &'e Engine,
    paths: &'e Paths,
    rules: DataRules,
    live: Option<&'e LiveRequests>,
    cache: CodeCache,
    data: HashMap<PathBuf, Result<DataDir, String>>,
    prepared: HashMap<EnvironmentKey, Result<PreparedEnvironment, String>>,
}

impl EnvironmentLoader<'_> {
    /// Loads the environment of a job, unless it is loaded already.
    fn load(&mut self, job: &ReplayJob, data: Option<&Path>) -> EnvironmentKey {
        let created = &job.created;
        let (file, original) = match &job.component {
            ReplayComponent::Original(path) => (path.as_path(), Some(created.component)),
            ReplayComponent::Extracted(file) => (file.path(), Some(created.component)),
            ReplayComponent::Other(path) => (path.as_path(), None),
        };
        // A noted directory that the episode did not have would change it. One
        // that the user passes is compared.
        let noted = || job.data.clone().filter(|_| created.data.is_some());
        let data = match (data, noted()) {
            (Some(path), _) => DataLocation::At(path.to_owned()),
            (None, Some(path)) => DataLocation::Noted(path),
            (None, None) if created.data.is_some() => DataLocation::Unknown,
            (None, None) => DataLocation::None,
        };
        let key = (created.environment.clone(), original, data.clone());
        if !self.prepared.contains_key(&key) {
            let prepared = self.prepare(created, file, original, data);
            self.prepared.insert(key.clone(), prepared);
        }
        key
    }

    fn prepare(
        &mut self,
        created: &CreatedRecord,
        file: &Path,
        original: Option<Digest>,
        data: DataLocation,
    ) -> Result<PreparedEnvironment, String> {
        let data = match data {
            DataLocation::At(ref path) | DataLocation::Noted(ref path) => {
                let cache = self.paths.cache.as_path();
                let rules = &self.rules;
                let is_noted = matches!(data, DataLocation::Noted(_));
                let open = || {
                    // Its author may have replaced a noted directory by a link.
                    let opened = match is_noted {
                        true => DataDir::reopen(path, rules),
                        false => DataDir::open(path, rules),
                    };
                    let data = opened.and_then(|data| data.with_digest(cache));
                    data.map_err(|error| format!("{error}; pass another with --data DIR"))
                };
                Some(self.data.entry(path.clone()).or_insert_with(open).clone()?)
            }
            DataLocation::Unknown => {
                return Err(
                    "it had a data directory, whose path is unknown; pass it with --data DIR"
                        .into(),
                );
            }
            DataLocation::None => None,
        };
        let component = ComponentFile::open(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let spec = EnvironmentSpec {
            name: created.environment.clone(),
            component,
            data,
            mode: DataMode::default(),
            limits: created.limits,
            secrets: Vec::new(),
            network: match self.live {
                Some(live) => live.of(&created.environment),
                None => EnvironmentNetwork::default(),
            },
            toolsets: Vec::new(),
            clock: ClockMode::Virtual,
            seed: None,
        };
        let prepared = PreparedEnvironment::new(self.engine, Some(&self.cache), spec)
            .map_err(|error| error.to_string())?;
        match original {
            Some(original) if original != prepared.digest() => Err(format!(
                "{} is not the component of the episode: expected {original}, found {}",
                file.display(),
                prepared.digest()
            )),
            _ => Ok(prepared),
        }
    }
}

/// An episode with everything that its replay needs.
pub(super) struct PreparedReplay {
    pub(super) episode: EpisodeId,
    pub(super) created: CreatedRecord,
    pub(super) source: EpisodeSource,
    history: Option<EpisodeHistory>,
    environment: EnvironmentKey,
    secrets: Result<Secrets, ReplayOutcome>,
    /// Unseals its records.
    key: Option<Arc<SealKey>>,
}

impl PreparedReplay {
    async fn run(
        mut self,
        engine: &Engine,
        environment: Result<Environment, String>,
        store: Option<Arc<SqliteStore>>,
        requests: ReplayRequests,
    ) -> (PreparedReplay, ReplayOutcome) {
        let secrets = std::mem::replace(&mut self.secrets, Ok(Secrets::default()));
        let outcome = match secrets {
            Ok(secrets) => {
                let compared = self.compare(engine, environment, secrets, store, requests);
                match compared.await {
                    Ok(comparison) => ReplayOutcome::Replayed(comparison),
                    Err(reason) => ReplayOutcome::Failed(reason),
                }
            }
            Err(outcome) => outcome,
        };
        (self, outcome)
    }

    async fn compare(
        &mut self,
        engine: &Engine,
        environment: Result<Environment, String>,
        secrets: Secrets,
        store: Option<Arc<SqliteStore>>,
        requests: ReplayRequests,
    ) -> Result<EpisodeComparison, String> {
        let environment = environment?;
        let mut history = match (self.history.take(), store) {
            (Some(history), _) => history,
            (None, Some(store)) => {
                let rows = store.read(self.episode, 0);
                let rows = rows.map_err(|error| error.to_string())?;
                EpisodeHistory::read(self.episode, &rows).map_err(|error| error.to_string())?
            }
            (None, None) => return Err("its records are missing".to_owned()),
        };
        if let Some(key) = &self.key {
            history.unseal(key).map_err(|error| error.to_string())?;
        }
        let mut steps = Vec::new();
        let mut count = 0;
        let each = |replayed: StepReplay<'_>| {
            let number = replayed.step.record.request.is_run().then(|| {
                count += 1;
                count
            });
            steps.push(ReplayedStep::of(&replayed, number));
        };
        let data = replay_history(engine, &environment, &history, secrets, requests, each).await?;
        Ok(EpisodeComparison { data, steps })
    }
}

impl ReplayedStep {
    fn of(replayed: &StepReplay<'_>, number: Option<u64>) -> ReplayedStep {
        let StepReplay {
            step,
            comparison: now,
            asked,
        } = replayed;
        let original = step
            .outcome
            .as_ref()
            .and_then(|answer| answer.record.outcome.as_ref());
        let (verdict, after) = match now {
            StepComparison::Equal => (StepVerdict::Equal, original),
            StepComparison::Different(outcome) => (StepVerdict::Different, Some(outcome)),
            StepComparison::Skipped => (StepVerdict::Skipped, None),
        };
        ReplayedStep {
            record: step.seq,
            step: number,
            kind: step.record.request.as_str(),
            tool: tool(step),
            verdict,
            fault: original.and_then(fault),
            reward: original.and_then(reward),
            reward_now: after.and_then(reward),
            differences: match (original, now) {
                (Some(original), StepComparison::Different(outcome)) => {
                    differences(original, outcome)
                }
                _ => Vec::new(),
            },
            asked: asked.as_ref().map_or(0, Vec::len),
            requests: match asked {
                Some(asked) => live_requests::compare(step, asked),
                None => Vec::new(),
            },
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
