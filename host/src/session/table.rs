//! All environments and sessions of a host: what the protocol talks to.
//!
//! The table maps owners and ids to handles, and its lock is held for a look-up and no
//! longer. An id is reserved before anything slow begins, so that of two
//! creations with one id exactly one goes on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::handle::{Handle, too_deep};
use super::owner::{Command, Owner};
use super::reaper;
use super::service::{CatalogError, CreateError, Created, NewSession, Principal, Service};
use super::shares::{AllTaken, PerKey, Share, Shares};
use super::state::Shared;
use crate::catalog::Environment;
use crate::engine::{ENGINE, Engine, EntryError, TaskLookup};
use crate::model::{
    EnvName, FaultCode, Genesis, Json, Pace, Secrets, Seed, SessionId, Split, TOOLSETS, TaskSource,
    Timestamp, ToolListing, quoted,
};

/// What may wait in the queue of one session.
const QUEUE: usize = 256;

/// What the operator decides about sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// How long a session may go unasked.
    pub idle_timeout: Duration,
    /// How long a request waits for setup.
    pub setup_gate: Duration,
    /// How long a result can be fetched again.
    pub result_linger: Duration,
    /// What one key may have at once.
    pub per_key: PerKey,
}

/// Everything that is served; clones share it.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

pub(super) struct Inner {
    engine: Engine,
    settings: SessionSettings,
    names: Vec<EnvName>,
    environments: HashMap<EnvName, Environment>,
    stopping: AtomicBool,
    /// Sessions by the key that holds them.
    held: Arc<Shares>,
    /// Calls in flight by the key that they came with.
    calls: Arc<Shares>,
    table: Mutex<HashMap<Key, Place>>,
}

/// What a session is found by: nobody finds another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    owner: Principal,
    pub(super) id: SessionId,
}

impl Key {
    fn new(owner: &Principal, id: &SessionId) -> Key {
        Key {
            owner: owner.clone(),
            id: id.clone(),
        }
    }
}

/// What the table holds for a key.
enum Place {
    /// Somebody is creating it.
    Reserved,
    Open(Handle),
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handles(&self) -> Vec<(Key, Handle)> {
        let open = |(key, place): (&Key, &Place)| match place {
            Place::Open(handle) => Some((key.clone(), handle.clone())),
            Place::Reserved => None,
        };
        self.table().iter().filter_map(open).collect()
    }

    /// Takes a session out if it is open and the condition holds.
    pub(super) fn remove_if(
        &self,
        key: &Key,
        condition: impl FnOnce(&Handle) -> bool,
    ) -> Option<Handle> {
        let mut table = self.table();
        let Entry::Occupied(place) = table.entry(key.clone()) else {
            return None;
        };
        let holds = matches!(place.get(), Place::Open(handle) if condition(handle));
        match holds.then(|| place.remove()) {
            Some(Place::Open(handle)) => Some(handle),
            Some(Place::Reserved) | None => None,
        }
    }
}

/// A reserved id; free again when this is dropped, unless a session took it.
struct Reservation {
    table: Arc<Inner>,
    key: Key,
    /// The owner's share of what is served, for the session to hold.
    share: Option<Share>,
}

impl Reservation {
    fn new(table: &Arc<Inner>, key: Key) -> Result<Reservation, CreateError> {
        match table.table().entry(key.clone()) {
            Entry::Occupied(_) => return Err(CreateError::Exists),
            Entry::Vacant(place) => {
                place.insert(Place::Reserved);
            }
        }
        let mut reservation = Reservation {
            table: table.clone(),
            key,
            share: None,
        };
        let share = table.held.take(&reservation.key.owner);
        reservation.share = share.map_err(|AllTaken| CreateError::TooMany)?;
        Ok(reservation)
    }

    fn fill(self, handle: Handle) {
        self.table
            .table()
            .insert(self.key.clone(), Place::Open(handle));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut table = self.table.table();
        if let Entry::Occupied(place) = table.entry(self.key.clone())
            && matches!(place.get(), Place::Reserved)
        {
            place.remove();
        }
    }
}

impl Sessions {
    /// Serves these environments, the first being the default. Starts the
    /// reaper, so it is called within a runtime.
    pub fn new(
        engine: Engine,
        environments: Vec<Environment>,
        settings: SessionSettings,
    ) -> Sessions {
        let names = environments.iter().map(|env| env.name().clone()).collect();
        let environments = environments
            .into_iter()
            .map(|env| (env.name().clone(), env))
            .collect();
        let inner = Arc::new(Inner {
            engine,
            settings,
            names,
            environments,
            stopping: AtomicBool::new(false),
            held: Shares::new(settings.per_key.sessions),
            calls: Shares::new(settings.per_key.calls),
            table: Mutex::new(HashMap::new()),
        });
        tokio::spawn(reaper::run(Arc::downgrade(&inner), settings.idle_timeout));
        Sessions(inner)
    }

    /// From now on no session is opened.
    pub fn refuse_new(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Ends every session and waits for their teardowns.
    pub async fn end_all(&self) {
        self.refuse_new();
        let keys: Vec<Key> = self.0.table().keys().cloned().collect();
        let mut ending = tokio::task::JoinSet::new();
        for key in keys {
            if let Some(handle) = self.0.remove_if(&key, |_| true) {
                ending.spawn(handle.delete_and_wait());
            }
        }
        while ending.join_next().await.is_some() {}
    }

    fn get(&self, env: &EnvName) -> Result<&Environment, CatalogError> {
        self.0.environments.get(env).ok_or_else(|| {
            let message = format!("the environment {env} is not served any more");
            CatalogError::Failed(message)
        })
    }

    fn find(&self, name: Option<&str>) -> Option<&Environment> {
        let name = match name {
            Some(name) => EnvName::new(name).ok()?,
            None => self.0.names.first()?.clone(),
        };
        self.0.environments.get(&name)
    }

    async fn resolve(env: &Environment, source: TaskSource) -> Result<Json, CatalogError> {
        match source {
            TaskSource::Spec(task) => Ok(task),
            TaskSource::Index { split, index } => lookup(env, &split, index).await,
        }
    }

    /// Makes the instance, opens the episode and hands both to a new owner.
    /// Runs to its end even if the client that asked has gone.
    async fn open(
        self,
        env: Environment,
        mut reservation: Reservation,
        task: Json,
        secrets: Secrets,
        toolset: Option<String>,
        seed: Option<Seed>,
    ) -> Result<Created, CreateError> {
        let Some(slot) = self.0.engine.slot() else {
            return Err(CreateError::Full);
        };
        let genesis = Genesis {
            seed: seed.unwrap_or_else(|| env.seed()),
            start: Timestamp::now(),
            clock: env.clock(),
        };
        let mut instance = env
            .start(&reservation.key.id, genesis, Pace::Live, slot)
            .await
            .map_err(|fault| match fault.code {
                FaultCode::Overloaded => CreateError::Full,
                _ => CreateError::Faulted(fault),
            })?;
        let refused = |error| match error {
            EntryError::Failed(message) => CreateError::Refused(message),
            EntryError::Fault(fault) => CreateError::Faulted(fault),
        };
        instance
            .open(&task, secrets, genesis.seed)
            .await
            .map_err(refused)?;
        if let Some(name) = toolset {
            return Err(if TOOLSETS.contains(&name.as_str()) {
                CreateError::NoSandbox(name)
            } else {
                CreateError::UnknownToolset(name)
            });
        }
        let tools = if env.description().supports.task_tools {
            instance.task_tools().await.map_err(refused)?
        } else {
            Vec::new()
        };
        if self.0.stopping.load(Ordering::Acquire) {
            return Err(CreateError::Stopping);
        }
        let settings = &self.0.settings;
        let shared = Shared::new(
            reservation.key.id.clone(),
            reservation.key.owner.clone(),
            self.0.calls.clone(),
            env,
            tools,
            settings.result_linger,
        );
        let shared = Arc::new(shared);
        let (sender, receiver) = mpsc::channel::<Command>(QUEUE);
        let owner = Owner::new(shared.clone(), instance, reservation.share.take());
        self.0.engine.spawn(owner.run(receiver));
        reservation.fill(Handle::new(shared, sender, settings.setup_gate));
        Ok(Created {
            seed: genesis.seed,
            replayable: genesis.clock.is_replayable(),
        })
    }
}

async fn lookup(env: &Environment, split: &str, index: Option<i64>) -> Result<Json, CatalogError> {
    if !env.description().has_split(split) {
        return Err(CatalogError::InvalidSplit);
    }
    let index = index.ok_or(CatalogError::InvalidIndex)?;
    Ok(env.task(split, index).await?)
}

impl From<TaskLookup> for CatalogError {
    fn from(error: TaskLookup) -> CatalogError {
        match error {
            TaskLookup::InvalidSplit => CatalogError::InvalidSplit,
            TaskLookup::InvalidIndex => CatalogError::InvalidIndex,
            TaskLookup::Entry(EntryError::Failed(message)) => CatalogError::Failed(message),
            TaskLookup::Entry(EntryError::Fault(fault)) => CatalogError::Faulted(fault),
        }
    }
}

impl Service for Sessions {
    type Session = Handle;

    fn environments(&self) -> &[EnvName] {
        &self.0.names
    }

    fn environment(&self, name: &str) -> Option<EnvName> {
        self.find(Some(name)).map(|env| env.name().clone())
    }

    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn limits(&self, env: &EnvName) -> Vec<(&'static str, String)> {
        self.get(env)
            .map_or_else(|_| Vec::new(), Environment::limits_in_words)
    }

    fn required_secrets(&self, env: &EnvName) -> Vec<String> {
        self.get(env)
            .map_or_else(|_| Vec::new(), |env| env.secrets().to_vec())
    }

    fn splits(&self, env: &EnvName) -> Vec<Split> {
        self.get(env)
            .map_or_else(|_| Vec::new(), |env| env.description().splits.clone())
    }

    fn tools(&self, env: &EnvName) -> ToolListing {
        self.get(env).map_or_else(
            |_| ToolListing {
                tools: Vec::new(),
                terminal: None,
                supports_score_group: false,
            },
            |env| env.description().listing(Vec::new()),
        )
    }

    async fn num_tasks(&self, env: &EnvName, split: &str) -> Result<u64, CatalogError> {
        Ok(self.get(env)?.num_tasks(split).await?)
    }

    async fn tasks(&self, env: &EnvName, split: &str) -> Result<Vec<Json>, CatalogError> {
        let env = self.get(env)?;
        let count = env.num_tasks(split).await?;
        if !env.description().supports.listing {
            return Err(CatalogError::ListingUnsupported);
        }
        Ok(env.tasks(split, 0, count).await?)
    }

    async fn task(
        &self,
        env: &EnvName,
        split: &str,
        index: Option<i64>,
    ) -> Result<Json, CatalogError> {
        lookup(self.get(env)?, split, index).await
    }

    async fn task_range(
        &self,
        env: &EnvName,
        split: &str,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> Result<Vec<Json>, CatalogError> {
        let env = self.get(env)?;
        let count = env.num_tasks(split).await?;
        let start = start.map_or(0, |bound| clamp(bound, count));
        let stop = stop.map_or(count, |bound| clamp(bound, count));
        if env.description().supports.listing {
            return Ok(env.tasks(split, start, stop).await?);
        }
        let mut tasks = Vec::new();
        for index in start..stop {
            let index = i64::try_from(index).map_err(|_| CatalogError::InvalidIndex)?;
            tasks.push(env.task(split, index).await?);
        }
        Ok(tasks)
    }

    async fn create(
        &self,
        owner: &Principal,
        id: SessionId,
        new: NewSession,
    ) -> Result<Created, CreateError> {
        if self.0.stopping.load(Ordering::Acquire) {
            return Err(CreateError::Stopping);
        }
        let reservation = Reservation::new(&self.0, Key::new(owner, &id))?;
        let env = self.find(new.environment.as_deref()).ok_or_else(|| {
            CreateError::UnknownEnvironment(new.environment.clone().unwrap_or_default())
        })?;
        if let TaskSource::Spec(task) = &new.source {
            let (levels, most) = (task.levels(), env.limits().json_depth);
            if levels > most {
                return Err(CreateError::TooDeep(too_deep("task_spec", levels, most)));
            }
        }
        let task = Sessions::resolve(env, new.source).await?;
        let mut secrets = new.secrets.map_err(CreateError::Secrets)?;
        let withheld = secrets.keep(env.secrets());
        tell_withheld(env.name(), &withheld);
        let (reply, answer) = oneshot::channel();
        let opening = self.clone().open(
            env.clone(),
            reservation,
            task,
            secrets,
            new.toolset,
            new.seed,
        );
        self.0.engine.spawn(async move {
            // Nobody may be waiting any more; the session is there all the same.
            let _ = reply.send(opening.await);
        });
        answer.await.unwrap_or(Err(CreateError::Stopping))
    }

    fn session(&self, owner: &Principal, id: &SessionId) -> Option<Handle> {
        match self.0.table().get(&Key::new(owner, id)) {
            Some(Place::Open(handle)) => {
                handle.shared.touch();
                Some(handle.clone())
            }
            Some(Place::Reserved) | None => None,
        }
    }

    async fn delete(&self, owner: &Principal, id: &SessionId) {
        if let Some(handle) = self.0.remove_if(&Key::new(owner, id), |_| true) {
            handle.delete().await;
        }
    }
}

/// Names of secrets that clients send by themselves, whatever the environment.
const UNASKED: [&str; 2] = ["api_key", "OPENREWARD_API_KEY"];

/// Secrets that the manifest does not declare stay here: a key that a client
/// sends along is nothing that any environment may have. Whoever misses one
/// finds the reason in the log.
fn tell_withheld(environment: &EnvName, names: &[String]) {
    let missed = names.iter().filter(|name| !UNASKED.contains(&&***name));
    // As many as make a line; the names are the client's own.
    let told: Vec<String> = missed.take(8).map(|name| quoted(shortened(name))).collect();
    if !told.is_empty() {
        tracing::warn!(
            %environment,
            names = told.join(", "),
            "secrets that the environment's manifest does not declare were not handed over"
        );
    }
}

fn shortened(name: &str) -> &str {
    const LONGEST: usize = 64;
    name.char_indices()
        .nth(LONGEST)
        .and_then(|(end, _)| name.get(..end))
        .unwrap_or(name)
}

/// A bound of a Python slice as a place: negative ones count from the end, and
/// what lies outside is moved to the edge.
fn clamp(bound: i64, count: u64) -> u64 {
    if bound < 0 {
        count.saturating_sub(bound.unsigned_abs())
    } else {
        bound.unsigned_abs().min(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_slice_of_five() {
        for (bound, place) in [
            (0, 0),
            (3, 3),
            (5, 5),
            (99, 5),
            (-1, 4),
            (-5, 0),
            (-99, 0),
            (i64::MIN, 0),
            (i64::MAX, 5),
        ] {
            assert_eq!(clamp(bound, 5), place, "{bound}");
        }
    }
}
