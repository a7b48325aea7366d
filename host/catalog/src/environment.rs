//! One version of an environment, loaded once and shared by its sessions.

use std::path::Path;
use std::sync::Arc;

use orwd_engine::{
    CodeCache, Component, ComponentFileError, Engine, Instance, Owner, SessionPermit,
    TaskLookupError,
};
use orwd_limiter::BytePermit;
use orwd_model::DataMode;
use orwd_model::{
    ClockMode, DataDigest, DeterminismConfig, Digest, EnvName, EnvironmentDescription, Fault, Json,
    LimitSet, Seed, SessionId, SessionLimits,
};
use orwd_sandbox::{DataDir, DataRefusal, InstanceConfig};

use crate::files::ComponentStore;
use crate::probe;
use crate::spec::{EnvironmentNetwork, EnvironmentSpec, LoadError};
use crate::tasks::list::{ListingError, ListingLimits, TaskList, TaskListBuilder};
use crate::tasks::queries::TaskQueries;

/// Longest session id in the log, in characters; clients choose the length.
const LABEL: usize = 80;

/// A served environment. Clones share it.
#[derive(Clone)]
pub struct Environment(Arc<Inner>);

/// An environment whose component is compiled and loaded, and of which no code
/// has run.
#[derive(Clone)]
pub struct PreparedEnvironment {
    spec: EnvironmentSpec,
    engine: Engine,
    component: Component,
}

struct Inner {
    spec: EnvironmentSpec,
    engine: Engine,
    component: Component,
    description: EnvironmentDescription,
    queries: TaskQueries,
    /// One scan of the data at a time.
    digest_turn: Arc<tokio::sync::Mutex<()>>,
}

impl PreparedEnvironment {
    /// Compiles the component, or takes its code from the cache. Blocks until
    /// the compiler is done.
    pub fn new(
        engine: &Engine,
        cache: Option<&CodeCache>,
        spec: EnvironmentSpec,
    ) -> Result<PreparedEnvironment, LoadError> {
        let file = &spec.component;
        let wasm = Component::read(engine, file.file()).map_err(|error| match error {
            ComponentFileError::Io(reason) => LoadError::Read {
                path: file.path().to_owned(),
                reason,
            },
            ComponentFileError::LimitExceeded(error) => LoadError::Component(error.into()),
        })?;
        let component = Component::load(engine, cache, &wasm)?;
        Ok(PreparedEnvironment {
            spec,
            engine: engine.clone(),
            component,
        })
    }

    /// Returns what it was loaded from.
    pub fn spec(&self) -> &EnvironmentSpec {
        &self.spec
    }

    /// Returns the digest of its component.
    pub fn digest(&self) -> Digest {
        self.component.digest()
    }

    /// Stores its component for sessions that outlive this version.
    pub fn store_component(&self, store: &ComponentStore) -> std::io::Result<()> {
        let size = self.component.size() as u64;
        store.insert(self.digest(), size, &self.spec.component)
    }

    /// Creates a probe instance and gets the environment's description. The
    /// engine must be running.
    pub async fn open(&self) -> Result<Environment, LoadError> {
        let PreparedEnvironment {
            spec,
            engine,
            component,
        } = self.clone();
        let mut instance = probe::probe(&engine, &component, &spec)
            .await
            .map_err(LoadError::Start)?;
        let description = instance.describe().await.map_err(LoadError::Describe)?;
        let missing = |name: &&String| !description.has_toolset(name);
        if let Some(name) = spec.toolsets.iter().find(missing) {
            return Err(LoadError::Toolset(name.clone()));
        }
        let queries = TaskQueries::start(engine.clone(), component.clone(), spec.clone(), instance);
        Ok(Environment(Arc::new(Inner {
            spec,
            engine,
            component,
            description,
            queries,
            digest_turn: Arc::default(),
        })))
    }
}

/// Why the data of an environment has no digest at the moment.
#[derive(Debug, thiserror::Error)]
pub enum DataDigestError {
    /// It has outgrown a limit under which it is served.
    #[error("{cause}")]
    Outgrown {
        /// The limit, and what exceeds it.
        cause: std::io::Error,
        /// What clients may know of it.
        for_clients: String,
    },
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Environment {
    /// Returns the name that clients use.
    pub fn name(&self) -> &EnvName {
        &self.0.spec.name
    }

    /// Returns the environment's own description.
    pub fn description(&self) -> &EnvironmentDescription {
        &self.0.description
    }

    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.0.component
    }

    /// Returns the file of the component.
    pub fn file(&self) -> &Path {
        self.0.spec.component.path()
    }

    /// Returns the limits of each session.
    pub fn limits(&self) -> &SessionLimits {
        &self.0.spec.limits
    }

    /// Returns the name of each limit and its amount with a unit.
    pub fn limits_in_words(&self) -> Vec<(&'static str, String)> {
        let limits = SessionLimits::SPECS.iter();
        limits
            .filter_map(|spec| Some((spec.name, spec.amount(self.limits())?.to_string())))
            .collect()
    }

    /// Returns the secrets that it declares.
    pub fn secrets(&self) -> &[String] {
        &self.0.spec.secrets
    }

    /// Returns what its sessions may reach by HTTP.
    pub fn network(&self) -> &EnvironmentNetwork {
        &self.0.spec.network
    }

    /// Whether clients can request a toolset: its manifest lists it, and it has tools of
    /// it.
    pub fn offers_toolset(&self, name: &str) -> bool {
        self.0.spec.toolsets.iter().any(|offered| offered == name)
            && self.0.description.has_toolset(name)
    }

    /// Returns what its sessions see as `/orwd_data`.
    pub fn data(&self) -> Option<&DataDir> {
        self.0.spec.data.as_ref()
    }

    /// Returns what happens to files that its sessions write.
    pub fn mode(&self) -> &DataMode {
        &self.0.spec.mode
    }

    /// Returns the current digest of its data; `None` if it has none or the
    /// digest is not tracked. Waits for the disk on a blocking thread.
    pub async fn data_digest(&self) -> Result<Option<DataDigest>, DataDigestError> {
        let Some(data) = self.data().cloned() else {
            return Ok(None);
        };
        if let Some(recent) = data.recent_digest() {
            return Ok(Some(recent));
        }
        // Those that wait for a scan take no thread.
        let turn = self.0.digest_turn.clone().lock_owned().await;
        if let Some(recent) = data.recent_digest() {
            return Ok(Some(recent));
        }
        let digest = tokio::task::spawn_blocking(move || {
            let digest = data.digest();
            drop(turn);
            digest
        });
        let digest = digest.await.map_err(std::io::Error::other)?;
        digest.map_err(|cause| {
            let refusal = DataRefusal::of(&cause).and_then(DataRefusal::for_clients);
            match refusal {
                Some(for_clients) => DataDigestError::Outgrown { cause, for_clients },
                None => DataDigestError::Io(cause),
            }
        })
    }

    /// Returns the clock of its sessions.
    pub fn clock(&self) -> ClockMode {
        self.0.spec.clock
    }

    /// Returns the seed of a session whose client sets none: the manifest's, or
    /// a random one.
    pub fn seed(&self) -> Seed {
        self.0.spec.seed.unwrap_or_else(Seed::random)
    }

    /// Returns the number of tasks in a split.
    pub async fn num_tasks(&self, owner: &Owner, split: &str) -> Result<u64, TaskLookupError> {
        self.check_split(split)?;
        self.0.queries.num_tasks(owner, split).await
    }

    /// Returns one task.
    pub async fn task(
        &self,
        owner: &Owner,
        split: &str,
        index: i64,
    ) -> Result<Json, TaskLookupError> {
        self.check_split(split)?;
        self.0.queries.task(owner, split, index).await
    }

    /// Collects the tasks with the indexes from `start` up to, but excluding,
    /// `stop`, one page of the guest at a time. Whatever exceeds `limits` is
    /// refused before it is held.
    pub async fn list(
        &self,
        owner: &Owner,
        split: &str,
        (start, stop): (u64, u64),
        limits: &ListingLimits,
        memory: BytePermit<Owner>,
    ) -> Result<TaskList, ListingError> {
        self.check_split(split)?;
        limits.check_count(start, stop)?;
        let mut list = TaskListBuilder::new(limits, memory, start);
        let collect = async {
            if self.description().supports.listing {
                let queries = &self.0.queries;
                queries.list(owner, split, (start, stop), &mut list).await
            } else {
                self.list_one_by_one(owner, split, (start, stop), &mut list)
                    .await
            }
        };
        match tokio::time::timeout(limits.time, collect).await {
            Ok(collected) => collected?,
            Err(_) => return Err(list.too_slow()),
        }
        Ok(list.finish())
    }

    async fn list_one_by_one(
        &self,
        owner: &Owner,
        split: &str,
        (start, stop): (u64, u64),
        list: &mut TaskListBuilder,
    ) -> Result<(), ListingError> {
        for index in start..stop {
            let index = i64::try_from(index).map_err(|_| TaskLookupError::InvalidIndex)?;
            list.push(&self.0.queries.task(owner, split, index).await?)?;
        }
        Ok(())
    }

    fn check_split(&self, split: &str) -> Result<(), TaskLookupError> {
        if self.description().has_split(split) {
            Ok(())
        } else {
            Err(TaskLookupError::InvalidSplit)
        }
    }

    /// Returns the configuration of a new session's instance.
    pub fn instance_config(
        &self,
        session: &SessionId,
        determinism: DeterminismConfig,
    ) -> InstanceConfig {
        let label: String = session.as_str().chars().take(LABEL).collect();
        self.0.spec.instance_config(&label, determinism)
    }

    /// Creates an instance for a session or its replay.
    pub async fn start(
        &self,
        config: InstanceConfig,
        permit: SessionPermit,
    ) -> Result<Instance, Fault> {
        Instance::start(&self.0.engine, &self.0.component, config, Some(permit)).await
    }
}
