//! One environment at one version: what is loaded once and shared by all the
//! sessions on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::questions::Questions;
use super::shelf::Shelf;
use orwd_config::Limit;
use orwd_engine::{
    CodeCache, Component, ComponentError, ComponentFileError, Engine, EntryError, Instance,
    TaskLookupError,
};
use orwd_model::{
    ClockMode, DataDigest, DataMode, DeterminismConfig, Digest, EnvName, EnvironmentDescription,
    Fault, Json, Seed, SessionId, SessionLimits, SleepMode,
};
use orwd_sandbox::{DataDir, InstanceConfig, InstanceLabel};

/// What an environment is loaded from; all of it checked already, but for the
/// component.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The name that clients use.
    pub name: EnvName,
    /// The file of the component.
    pub component: PathBuf,
    /// What its sessions see at `/orwd_data`.
    pub data: Option<DataDir>,
    /// What becomes of what its sessions write.
    pub mode: DataMode,
    /// The limits of each session on it.
    pub limits: SessionLimits,
    /// The secrets that it asks for; others it does not get.
    pub secrets: Vec<String>,
    /// The clock of its sessions.
    pub clock: ClockMode,
    /// The seed of sessions whose client sets none; without one it is drawn.
    pub seed: Option<Seed>,
}

/// Why an environment cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: std::io::Error,
    },
    /// It holds no environment.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// It cannot be instantiated within its limits.
    #[error("no instance of it can be made: {0}")]
    Start(Fault),
    /// It does not describe itself, or describes something unfit.
    #[error("asked to describe itself, it fails: {0}")]
    Describe(EntryError),
}

/// One environment; clones share it.
#[derive(Clone)]
pub struct Environment(Arc<Inner>);

/// One environment whose component is compiled and loaded, and of which nothing
/// has run yet.
pub struct Prepared {
    blueprint: Blueprint,
    engine: Engine,
    component: Component,
}

struct Inner {
    blueprint: Blueprint,
    engine: Engine,
    component: Component,
    description: EnvironmentDescription,
    questions: Questions,
}

impl Prepared {
    /// Compiles the component, or takes its compiled code from the cache. Waits
    /// for the compiler.
    pub fn new(
        engine: &Engine,
        cache: Option<&CodeCache>,
        blueprint: Blueprint,
    ) -> Result<Prepared, LoadError> {
        let wasm = Component::read(engine, &blueprint.component).map_err(|error| match error {
            ComponentFileError::Io(reason) => LoadError::Read {
                path: blueprint.component.clone(),
                reason,
            },
            ComponentFileError::LimitExceeded(error) => LoadError::Component(error.into()),
        })?;
        let component = Component::load(engine, cache, &wasm)?;
        Ok(Prepared {
            blueprint,
            engine: engine.clone(),
            component,
        })
    }

    /// What it was made from.
    pub fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// The digest of its component.
    pub fn digest(&self) -> Digest {
        self.component.digest()
    }

    /// Keeps its component for the sessions that begin on it.
    pub fn put_on(&self, shelf: &Shelf) -> std::io::Result<()> {
        shelf.keep(self.digest(), &self.blueprint.component)
    }

    /// Makes an instance on trial and asks it to describe itself. The engine
    /// must have been started.
    pub async fn open(self) -> Result<Environment, LoadError> {
        let Prepared {
            blueprint,
            engine,
            component,
        } = self;
        let mut instance = on_trial(&engine, &component, &blueprint)
            .await
            .map_err(LoadError::Start)?;
        let description = instance.describe().await.map_err(LoadError::Describe)?;
        let questions = Questions::begin(
            engine.clone(),
            component.clone(),
            blueprint.clone(),
            instance,
        );
        Ok(Environment(Arc::new(Inner {
            blueprint,
            engine,
            component,
            description,
            questions,
        })))
    }
}

impl Environment {
    /// The name that clients use.
    pub fn name(&self) -> &EnvName {
        &self.0.blueprint.name
    }

    /// The environment in its own words.
    pub fn description(&self) -> &EnvironmentDescription {
        &self.0.description
    }

    /// The component that it runs.
    pub fn component(&self) -> &Component {
        &self.0.component
    }

    /// The file of the component.
    pub fn file(&self) -> &Path {
        &self.0.blueprint.component
    }

    /// The limits of each session.
    pub fn limits(&self) -> &SessionLimits {
        &self.0.blueprint.limits
    }

    /// The same by the names that they are set by, written with their units.
    pub fn limits_in_words(&self) -> Vec<(&'static str, String)> {
        let amount = |limit: Limit| (limit.name(), limit.get(self.limits()).to_string());
        Limit::ALL.into_iter().map(amount).collect()
    }

    /// The secrets that it asks for.
    pub fn secrets(&self) -> &[String] {
        &self.0.blueprint.secrets
    }

    /// What its sessions see at `/orwd_data`.
    pub fn data(&self) -> Option<&DataDir> {
        self.0.blueprint.data.as_ref()
    }

    /// What becomes of what its sessions write.
    pub fn mode(&self) -> &DataMode {
        &self.0.blueprint.mode
    }

    /// The digest of its data as it is now, if it has any and that is to be
    /// known. Waits for the disk, in nobody's way.
    pub async fn data_digest(&self) -> std::io::Result<Option<DataDigest>> {
        let Some(data) = self.data().cloned() else {
            return Ok(None);
        };
        if let Some(recent) = data.recent_digest() {
            return Ok(Some(recent));
        }
        let digest = tokio::task::spawn_blocking(move || data.digest()).await;
        digest.map_err(std::io::Error::other)?
    }

    /// The clock of its sessions.
    pub fn clock(&self) -> ClockMode {
        self.0.blueprint.clock
    }

    /// The seed of a session whose client sets none: the manifest's, or else
    /// a new one.
    pub fn seed(&self) -> Seed {
        self.0.blueprint.seed.unwrap_or_else(Seed::random)
    }

    /// How many tasks a split has.
    pub async fn num_tasks(&self, split: &str) -> Result<u64, TaskLookupError> {
        self.check_split(split)?;
        self.0.questions.num_tasks(split).await
    }

    /// One task.
    pub async fn task(&self, split: &str, index: i64) -> Result<Json, TaskLookupError> {
        self.check_split(split)?;
        self.0.questions.task(split, index).await
    }

    /// The tasks from `start` to before `stop`, which are places in the split.
    pub async fn tasks(
        &self,
        split: &str,
        start: u64,
        stop: u64,
    ) -> Result<Vec<Json>, TaskLookupError> {
        self.check_split(split)?;
        self.0.questions.tasks(split, start, stop).await
    }

    fn check_split(&self, split: &str) -> Result<(), TaskLookupError> {
        if self.description().has_split(split) {
            Ok(())
        } else {
            Err(TaskLookupError::InvalidSplit)
        }
    }

    /// Makes an instance for a session, new or played again.
    pub async fn start(
        &self,
        session: &SessionId,
        birth: Birth,
        slot: OwnedSemaphorePermit,
    ) -> Result<Instance, Fault> {
        let inner = &self.0;
        // A client may choose an id of any length; the log shows its start.
        let label: String = session.as_str().chars().take(80).collect();
        start(
            &inner.engine,
            &inner.component,
            &inner.blueprint,
            &label,
            birth,
            Some(slot),
        )
        .await
    }
}

/// Makes an instance that answers questions about tasks.
pub(super) async fn on_trial(
    engine: &Engine,
    component: &Component,
    blueprint: &Blueprint,
) -> Result<Instance, Fault> {
    let birth = Birth {
        determinism: DeterminismConfig::CATALOG,
        sleep_mode: SleepMode::RealTime,
        limits: blueprint.limits,
        mode: blueprint.mode.clone(),
    };
    start(engine, component, blueprint, "catalog", birth, None).await
}

/// What one instance of an environment has for itself.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Its chance and time.
    pub determinism: DeterminismConfig,
    /// Whether it is waited for when it sleeps.
    pub sleep_mode: SleepMode,
    /// What it may use up: for a session played again, what it might then.
    pub limits: SessionLimits,
    /// What becomes of what it writes.
    pub mode: DataMode,
}

/// Makes an instance with the world that the blueprint gives it.
async fn start(
    engine: &Engine,
    component: &Component,
    blueprint: &Blueprint,
    session: &str,
    birth: Birth,
    slot: Option<OwnedSemaphorePermit>,
) -> Result<Instance, Fault> {
    let config = InstanceConfig {
        label: InstanceLabel {
            environment: blueprint.name.as_str().into(),
            session: session.into(),
        },
        determinism: birth.determinism,
        sleep_mode: birth.sleep_mode,
        data: blueprint.data.clone(),
        mode: birth.mode,
        limits: birth.limits,
    };
    Instance::start(engine, component, config, slot).await
}
