//! Loads environments: first compiled and checked, then running.

pub(crate) mod network;
pub(crate) mod python;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use orwd_catalog::source::{self, Discovered, SourceProblem};
use orwd_catalog::{
    ComponentFile, Environment, EnvironmentNetwork, EnvironmentSource, EnvironmentSpec, LoadError,
    PreparedEnvironment,
};
use orwd_config::Paths;
use orwd_engine::{CodeCache, Engine, EngineSettings};
use orwd_model::{AdmissionLimits, ClockMode, DataMode, EnvName, HttpLimits, SessionLimits};
use orwd_network::Broker;
use orwd_python_build::PythonPlaces;
use orwd_sandbox::{DataDir, DataDirError, DataRules, PrivatePlaces};

use super::compiler::compiler;
use super::{runtime, source_tree};
use crate::console::CommandError;

/// Environments that are compiled and loaded. No guest code has run, and no
/// thread has started.
pub(crate) struct PreparedEnvironments {
    engine: Engine,
    cache: CodeCache,
    environments: Vec<Candidate>,
    problems: Vec<String>,
    broker: Option<Arc<Broker>>,
}

/// Environments that describe themselves and can be served, and the problems of
/// the others.
pub(crate) struct LoadedEnvironments {
    pub(crate) engine: Engine,
    pub(crate) environments: Vec<Environment>,
    pub(crate) problems: Vec<String>,
    /// Sends the HTTP requests of guests, if an environment may make any.
    pub(crate) broker: Option<Arc<Broker>>,
}

/// One prepared environment, and what its log line needs.
struct Candidate {
    prepared: PreparedEnvironment,
    path: PathBuf,
    started: Instant,
}

/// Finds the environments at these paths, and builds those that may be built:
/// Python environments, unless `no_build`, and others by the mode in `paths`.
pub(crate) fn discover(
    at: &[PathBuf],
    paths: &Paths,
    no_build: bool,
    admission: &AdmissionLimits,
    progress: &dyn Fn(&str),
) -> Result<Discovered, CommandError> {
    let own: Vec<PathBuf> = source_tree::examples().into_iter().collect();
    let places = PythonPlaces {
        cache: &paths.cache,
        wheel_index: paths.wheel_index.as_deref(),
    };
    let served = python::build_among(at, places, no_build, progress)?;
    source::discover(served, paths, &own, admission, progress)
        .map_err(|error| CommandError::usage(error.to_string()))
}

/// Returns a function that opens a data directory whose path was noted.
pub(crate) fn open_noted_data(
    paths: &Paths,
    admission: &AdmissionLimits,
) -> impl Fn(&Path) -> Result<DataDir, DataDirError> {
    let rules = DataRules::new(PrivatePlaces::new(&paths.private), admission);
    let cache = paths.cache.clone();
    move |path| DataDir::reopen(path, &rules).and_then(|data| data.with_digest(&cache))
}

/// Returns the settings of an engine for this many sessions in memory.
pub(crate) fn engine_settings(limits: SessionLimits, max_sessions: u32) -> EngineSettings {
    EngineSettings {
        max_sessions,
        max_memory: limits.memory,
        max_tables: limits.tables,
        threads: runtime::threads(),
    }
}

/// Compiles and loads environments. Blocks until the compiler is done.
pub(crate) fn prepare(
    discovered: Discovered,
    paths: &Paths,
    admission: AdmissionLimits,
    limits: SessionLimits,
    http: &HttpLimits,
    settings: EngineSettings,
) -> Result<PreparedEnvironments, CommandError> {
    let engine = Engine::new(settings, compiler(admission)?)?;
    let cache = CodeCache::open(&paths.cache)
        .map_err(|error| CommandError::new(format!("{error}; pass another with --cache DIR")))?;
    let networks = network::networks(&discovered, paths, http)?;
    let problems = discovered.problems.iter().map(SourceProblem::to_string);
    let mut problems: Vec<String> = problems.collect();
    let mut environments = Vec::new();
    for (source, network) in discovered.sources.iter().zip(networks.environments) {
        let started = Instant::now();
        let spec = EnvironmentSpec {
            network,
            ..spec(source, limits)
        };
        match PreparedEnvironment::new(&engine, Some(&cache), spec) {
            Ok(prepared) => environments.push(Candidate {
                prepared,
                path: source.path().to_owned(),
                started,
            }),
            Err(error) => problems.push(problem(source.path(), &error)),
        }
    }
    Ok(PreparedEnvironments {
        engine,
        cache,
        environments,
        problems,
        broker: networks.broker,
    })
}

impl PreparedEnvironments {
    /// Iterates over the environments.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PreparedEnvironment> {
        let environments = self.environments.iter();
        environments.map(|candidate| &candidate.prepared)
    }

    /// Loads an earlier version of an environment, with the data and the network of
    /// the served one. Each of its sessions has its own limits and clock.
    pub(crate) fn load_version(
        &self,
        name: EnvName,
        component: PathBuf,
        limits: SessionLimits,
    ) -> Result<PreparedEnvironment, LoadError> {
        let mut served = self.iter().map(PreparedEnvironment::spec);
        let served = served.find(|spec| spec.name == name);
        let data = served.and_then(|served| served.data.clone());
        let mode = served.map(|served| served.mode.clone()).unwrap_or_default();
        let network = served.map(|served| served.network.clone());
        self.load_unserved(
            name,
            component,
            limits,
            data,
            mode,
            network.unwrap_or_default(),
        )
    }

    /// Loads the component of imported sessions, with the data that their importer
    /// named. They never publish and reach nothing.
    pub(crate) fn load_imported(
        &self,
        name: EnvName,
        component: PathBuf,
        limits: SessionLimits,
        data: Option<DataDir>,
    ) -> Result<PreparedEnvironment, LoadError> {
        let (mode, network) = (DataMode::default(), EnvironmentNetwork::default());
        self.load_unserved(name, component, limits, data, mode, network)
    }

    fn load_unserved(
        &self,
        name: EnvName,
        component: PathBuf,
        limits: SessionLimits,
        data: Option<DataDir>,
        mode: DataMode,
        network: EnvironmentNetwork,
    ) -> Result<PreparedEnvironment, LoadError> {
        let component = ComponentFile::open(&component).map_err(|reason| LoadError::Read {
            path: component,
            reason,
        })?;
        let spec = EnvironmentSpec {
            data,
            mode,
            name,
            component,
            limits,
            secrets: Vec::new(),
            network,
            toolsets: Vec::new(),
            clock: ClockMode::Virtual,
            seed: None,
        };
        PreparedEnvironment::new(&self.engine, Some(&self.cache), spec)
    }

    /// Starts the engine, and gets each environment's description.
    pub(crate) async fn open(self) -> Result<LoadedEnvironments, CommandError> {
        let mut problems = self.problems;
        let mut environments = Vec::new();
        self.engine.start()?;
        for candidate in self.environments {
            match candidate.prepared.open().await {
                Ok(environment) => {
                    log_loaded(&environment, candidate.started);
                    environments.push(environment);
                }
                Err(error) => problems.push(problem(&candidate.path, &error)),
            }
        }
        Ok(LoadedEnvironments {
            engine: self.engine,
            environments,
            problems,
            broker: self.broker,
        })
    }
}

fn problem(path: &Path, error: &LoadError) -> String {
    format!("{}: {error}", path.display())
}

fn spec(source: &EnvironmentSource, limits: SessionLimits) -> EnvironmentSpec {
    let (spec, capped) = source.spec(limits);
    let environment = &source.name;
    for capped in &capped {
        tracing::warn!(
            %environment,
            limit = capped.limit,
            requested = %capped.requested,
            allowed = %capped.allowed,
            "manifest limit capped"
        );
    }
    if source.manifest.mode != source.mode {
        tracing::warn!(
            %environment,
            "manifest requests a shared data mode, which requires a data directory and --writable-data"
        );
    }
    spec
}

fn log_loaded(environment: &Environment, started: Instant) {
    tracing::info!(
        environment = %environment.name(),
        digest = %environment.component().digest(),
        component = %environment.file().display(),
        data = environment.data().map(|data| tracing::field::display(data.path().display())),
        mode = environment.mode().as_str(),
        network = reachable(environment),
        milliseconds = started.elapsed().as_millis() as u64,
        "environment loaded"
    );
}

/// Returns what an environment may reach; none if its manifest asks for nothing.
fn reachable(environment: &Environment) -> Option<String> {
    let network = environment.network();
    if network.requested.is_empty() {
        return None;
    }
    Some(match network.granted.as_slice() {
        [] => "not allowed".to_owned(),
        granted if network.secrets_in_guest => format!("{} secrets-in-guest", granted.join(" ")),
        granted => granted.join(" "),
    })
}

/// Joins problems into one message.
pub(crate) fn join_problems(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => {
            let lines: Vec<String> = many
                .iter()
                .map(|problem| format!("  - {}", problem.replace('\n', "\n    ")))
                .collect();
            format!(
                "{} environments cannot be served:\n{}",
                many.len(),
                lines.join("\n")
            )
        }
    }
}
