//! Starts and stops the sessions of a server, and creates new ones.

use std::collections::HashMap;
use std::sync::Arc;

use orwd_catalog::Environment;
use orwd_engine::{Engine, EntryError, TaskLookupError};
use orwd_journal::{DiskPermit, DiskQuota, EpisodeId, Journal, JournalError};
use orwd_limiter::ByteBudget;
use orwd_model::{EnvName, HeapSize, Json, SessionId, TaskSource, python_repr};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::actor::command::EndCause;
use crate::actor::session_actor::GuestState;
use crate::api::create::{CreatedSession, NewSession};
use crate::api::error::{AdminError, CatalogError, CreateError};
use crate::api::principal::Principal;
use crate::context::{SessionContext, SessionSettings};
use crate::handle::begin_run::too_deep;
use crate::lifecycle::cleanup::reaper;
use crate::lifecycle::cleanup::retention;
use crate::lifecycle::create::{CreateSpec, create};
use crate::lifecycle::create_retry::{create_again, result};
use crate::lifecycle::registry::SessionRegistry;
use crate::lifecycle::table::{PendingCreation, Reservation, ReserveError, SessionKey};
use crate::limits::eviction::ResidentSet;
use crate::limits::guest_memory::{GUESTS_TOO_LARGE, GuestMemory};
use crate::limits::history_reader::HistoryReader;
use crate::limits::listings::Listings;
use crate::limits::memory_pressure::{self, MemoryMonitor};
use crate::limits::permit_turns::PermitTurns;
use crate::limits::quota::{QuotaCounter, QuotaExceeded, QuotaPermit};
use crate::limits::resume_limiter::ResumeLimiter;
use crate::metrics::counters::SessionCounters;
use crate::metrics::gauges::SessionGauges;
use crate::runs::result_memory::ResultMemory;
use crate::runs::run_id::RunIdSigner;
use crate::versions::{OlderVersion, VersionRegistry};

/// Bytes of disk that a creation with a task of ordinary size may take, about. A
/// larger task counts with its own size.
const CREATION_BYTES: u64 = 1 << 20;

/// Why a session is not created at the moment.
const TOO_LARGE_TASKS: &str = "calls and creations that wait take all memory for them; try again \
                               (--request-memory)";

/// The environments and sessions of a server; clones share them.
#[derive(Clone)]
pub struct SessionManager(pub(crate) Arc<SessionRegistry>);

impl SessionManager {
    /// Serves these environments, of which the first is the default, and the
    /// live sessions of the journal, some of which need `older` versions.
    /// Starts background tasks, so it must be called within a runtime.
    pub async fn start(
        engine: Engine,
        environments: Vec<Environment>,
        settings: SessionSettings,
        journal: Journal,
        older: Vec<OlderVersion>,
        memory_monitor: Option<MemoryMonitor>,
    ) -> Result<SessionManager, JournalError> {
        let names: Vec<EnvName> = environments.iter().map(|env| env.name().clone()).collect();
        let run_ids = RunIdSigner::new(journal.host_key("task ids").await?);
        let live = journal.live().await?;
        let served: HashMap<EnvName, Environment> = environments
            .into_iter()
            .map(|env| (env.name().clone(), env))
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let counters = SessionCounters::new(names.iter());
        let residents = Arc::new(ResidentSet::new(
            settings.hibernate_after.is_some(),
            counters.evicted.clone(),
        ));
        let guest_memory = GuestMemory::new(settings.memory.guests, residents.clone());
        let context = SessionContext {
            engine,
            settings,
            disk_quota: DiskQuota::new(journal.clone(), settings.disk),
            journal,
            run_ids,
            versions: VersionRegistry::new(served, older),
            residents,
            guest_memory: Arc::new(guest_memory),
            resume_limiter: ResumeLimiter::new(threads * 2),
            permit_turns: PermitTurns::default(),
            session_quota: QuotaCounter::new(settings.key_quota.sessions),
            call_quota: QuotaCounter::new(settings.key_quota.calls),
            requests: ByteBudget::new(settings.memory.requests, settings.memory.requests / 2),
            results: Arc::new(ResultMemory::new(
                settings.memory.results,
                settings.result_ttl,
            )),
            histories: HistoryReader::new(settings.memory.histories),
            listings: Listings::new(settings.listing, settings.memory.listings),
            counters,
        };
        context.disk_quota.note_limits().await?;
        let registry = Arc::new(SessionRegistry::new(context, names));
        if !live.is_empty() {
            tracing::info!(sessions = live.len(), "sessions restored from the journal");
        }
        for episode in &live {
            registry.restore(episode);
        }
        tokio::spawn(reaper::run(Arc::downgrade(&registry), settings));
        if registry.context.is_journaled() {
            let retention = settings.retention;
            tokio::spawn(retention::run(Arc::downgrade(&registry), retention));
        }
        if let Some(monitor) = memory_monitor {
            let context = Arc::downgrade(&registry.context);
            tokio::spawn(memory_pressure::run(context, monitor));
        }
        Ok(SessionManager(registry))
    }

    /// Adds what sessions and the journal count to a registry. Returns a function
    /// that reads the rest, to be called before each scrape.
    pub fn register_metrics(&self, registry: &mut Registry) -> impl Fn() + Send + Sync + 'static {
        let context = &self.0.context;
        context.counters.register(registry);
        context.journal.register_metrics(registry);
        let gauges = SessionGauges::register(registry);
        let server = Arc::downgrade(&self.0);
        move || {
            if let Some(server) = server.upgrade() {
                gauges.update(&server);
            }
        }
    }

    /// Creates no more sessions from now on.
    pub fn refuse_new(&self) {
        self.0.stop();
    }

    /// Ends every session in this process, and waits for it. Those that the
    /// journal can rebuild continue after a restart; the others are torn down.
    pub async fn end_all(&self) {
        self.refuse_new();
        let mut ending = tokio::task::JoinSet::new();
        for (key, _) in self.0.table.handles() {
            if let Some(handle) = self.0.table.remove(&key) {
                ending.spawn(handle.end_and_wait(EndCause::Stopped));
            }
        }
        while ending.join_next().await.is_some() {}
    }

    /// Returns the latest episode of the owner's session of this id.
    pub(crate) async fn episode(
        &self,
        owner: &Principal,
        id: &SessionId,
    ) -> Result<EpisodeId, AdminError> {
        let journal = &self.0.context.journal;
        if let Some(handle) = self.0.table.find(&SessionKey::new(owner, id)) {
            return Ok(handle.shared.identity.episode);
        }
        let found = journal.find(owner.name(), id).await?;
        found.map(|found| found.id).ok_or(AdminError::NoSession)
    }

    /// Returns the served environment of this name, or the default.
    pub(super) fn find_environment(&self, name: Option<&str>) -> Option<&Environment> {
        let name = match name {
            Some(name) => EnvName::new(name).ok()?,
            None => self.0.names.first()?.clone(),
        };
        self.0.context.versions.served(&name)
    }

    /// Creates a session, or repeats the response of the request that did.
    pub(super) async fn create_session(
        &self,
        owner: &Principal,
        id: SessionId,
        new: NewSession,
    ) -> Result<CreatedSession, CreateError> {
        if self.0.is_stopping() {
            return Err(CreateError::Stopping);
        }
        let fingerprint = self.0.context.run_ids.fingerprint(&new.fingerprint);
        // Dropped with this future, which is dropped when the client leaves.
        let client = Arc::new(());
        let (done, receiver) = watch::channel(None);
        let creation = PendingCreation {
            fingerprint,
            client: Arc::downgrade(&client),
            result: receiver.clone(),
        };
        let key = SessionKey::new(owner, &id);
        let reservation = match Reservation::new(&self.0.table, key, creation) {
            Ok(reservation) => reservation,
            Err(ReserveError::Taken(entry)) => {
                return create_again(&self.0.context, entry, fingerprint).await;
            }
            Err(ReserveError::Full) => return Err(CreateError::Full),
        };
        let quota = self
            .0
            .context
            .session_quota
            .try_acquire(owner)
            .map_err(|QuotaExceeded| CreateError::TooManySessions)?;
        let task_size = match &new.source {
            // The task itself, and the first record.
            TaskSource::Spec(task) => task.heap_size().saturating_mul(2),
            TaskSource::Index { .. } => 0,
        };
        let guests = &self.0.context.guest_memory;
        let setup_wait = self.0.context.settings.setup_wait;
        if !guests.wait_for_share(owner, setup_wait).await {
            return Err(CreateError::Busy(GUESTS_TOO_LARGE));
        }
        let disk_quota = &self.0.context.disk_quota;
        let disk = disk_quota.admit(owner.name(), CREATION_BYTES.max(task_size as u64));
        let disk = disk.await.map_err(CreateError::Disk)?;
        let memory = self.0.context.requests.try_take(owner, task_size);
        let memory = memory.map_err(|_| CreateError::Busy(TOO_LARGE_TASKS))?;
        let env = self
            .find_environment(new.environment.as_deref())
            .ok_or_else(|| {
                CreateError::UnknownEnvironment(new.environment.clone().unwrap_or_default())
            })?;
        let task_by_client = matches!(new.source, TaskSource::Spec(_));
        let task = resolve(env, owner, new.source).await?;
        let mut secrets = new.secrets.map_err(CreateError::Secrets)?;
        let withheld = secrets.retain_named(env.secrets());
        log_withheld(env.name(), &withheld);
        let spec = CreateSpec {
            env: env.clone(),
            task,
            task_by_client,
            secrets,
            toolset: new.toolset,
            seed: new.seed,
            fingerprint,
        };
        let manager = self.clone();
        self.0.context.engine.spawn(async move {
            let created = manager.open(reservation, quota, disk, spec).await;
            drop(memory);
            // The session exists even if the client has left.
            done.send_replace(Some(created));
        });
        result(receiver).await
    }

    async fn open(
        self,
        reservation: Reservation,
        quota: Option<QuotaPermit>,
        disk: DiskPermit,
        spec: CreateSpec,
    ) -> Result<CreatedSession, CreateError> {
        let opened = create(&self.0.context, &reservation.key, spec).await?;
        drop(disk);
        if self.0.is_stopping() {
            return Err(CreateError::Stopping);
        }
        let guest = GuestState::Live(Box::new(opened.live));
        let handle = self.0.start(opened.shared, guest, quota);
        reservation.fill(handle);
        self.0.context.counters.created.inc();
        Ok(opened.created)
    }
}

/// Returns the task of a new session.
async fn resolve(
    env: &Environment,
    owner: &Principal,
    source: TaskSource,
) -> Result<Json, CreateError> {
    match source {
        TaskSource::Spec(task) => {
            let (levels, limit) = (task.depth(), env.limits().json_depth);
            if levels > limit {
                return Err(CreateError::TooDeep(too_deep("task_spec", levels, limit)));
            }
            Ok(task)
        }
        TaskSource::Index { split, index } => Ok(find_task(env, owner, &split, index).await?),
    }
}

/// Returns one task of an environment.
pub(super) async fn find_task(
    env: &Environment,
    owner: &Principal,
    split: &str,
    index: Option<i64>,
) -> Result<Json, CatalogError> {
    if !env.description().has_split(split) {
        return Err(CatalogError::InvalidSplit);
    }
    let index = index.ok_or(CatalogError::InvalidIndex)?;
    Ok(env.task(&owner.cpu_owner(), split, index).await?)
}

impl From<TaskLookupError> for CatalogError {
    fn from(error: TaskLookupError) -> CatalogError {
        match error {
            TaskLookupError::InvalidSplit => CatalogError::InvalidSplit,
            TaskLookupError::InvalidIndex => CatalogError::InvalidIndex,
            TaskLookupError::Entry(EntryError::Failed(message)) => CatalogError::Failed(message),
            TaskLookupError::Entry(EntryError::Fault(fault)) => CatalogError::Faulted(fault),
        }
    }
}

/// The secrets that clients send to every environment.
const IMPLICIT_SECRETS: [&str; 2] = ["api_key", "OPENREWARD_API_KEY"];

/// The most names in one log line, and the most characters of a name.
const MAX_LOGGED_NAMES: usize = 8;
const MAX_LOGGED_CHARS: usize = 64;

/// Logs the secrets that were not given to the guest because the manifest does
/// not declare them.
fn log_withheld(environment: &EnvName, names: &[String]) {
    let names: Vec<String> = names
        .iter()
        .filter(|name| !IMPLICIT_SECRETS.contains(&&***name))
        // The names are the client's own, and may be many and long.
        .take(MAX_LOGGED_NAMES)
        .map(|name| python_repr(shortened(name)))
        .collect();
    if !names.is_empty() {
        tracing::warn!(
            %environment,
            names = names.join(", "),
            "undeclared secrets withheld from the environment"
        );
    }
}

fn shortened(name: &str) -> &str {
    name.char_indices()
        .nth(MAX_LOGGED_CHARS)
        .and_then(|(end, _)| name.get(..end))
        .unwrap_or(name)
}
