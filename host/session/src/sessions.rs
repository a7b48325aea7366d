//! All environments and sessions of a host: what the protocol talks to.

use super::handle::{Handle, too_deep};
use super::house::{House, SessionSettings};
use super::mint::Mint;
use super::open::{self, Opening};
use super::owner::{Command, Ending, Holding, Owner};
use super::pressure::{self, Gauge};
use super::prune;
use super::reaper;
use super::residents::Residents;
use super::service::{
    BeyondError, CatalogError, CreateError, Created, NewSession, Principal, Service,
};
use super::shares::{AllTaken, Share, Shares};
use super::state::{Identity, Phase, Shared};
use super::table::{Creating, Key, Reservation, Table, Taken};
use super::turns::Turns;
use super::versions::{Older, Versions};
use orwd_catalog::Environment;
use orwd_engine::{ENGINE_VERSION, Engine, EntryError, TaskLookupError};
use orwd_journal::{EpisodeId, IndexedEpisode, Journal, JournalError};
use orwd_model::{EnvName, Json, SessionId, Split, TaskSource, ToolListing, python_repr};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, watch};

/// What may wait in the queue of one session.
const QUEUE: usize = 256;

/// The last record of an episode of which nothing was asked but its setup.
const SET_UP: u64 = 2;

/// Everything that is served; clones share it.
#[derive(Clone)]
pub struct Sessions(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) house: Arc<House>,
    names: Vec<EnvName>,
    stopping: AtomicBool,
    pub(super) table: Arc<Table>,
}

impl Sessions {
    /// Serves these environments, the first being the default, and the
    /// sessions that the journal has, for whose sake there are `older` versions.
    /// Starts the reaper, so it is called within a runtime.
    pub async fn open_all(
        engine: Engine,
        environments: Vec<Environment>,
        settings: SessionSettings,
        journal: Journal,
        older: Vec<Older>,
        gauge: Option<Gauge>,
    ) -> Result<Sessions, JournalError> {
        let names = environments.iter().map(|env| env.name().clone()).collect();
        let mint = Mint::new(journal.host_key("task ids").await?);
        let live = journal.live().await?;
        let served: HashMap<EnvName, Environment> = environments
            .into_iter()
            .map(|env| (env.name().clone(), env))
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let house = House {
            engine,
            settings,
            journal,
            mint,
            versions: Versions::new(served, older),
            residents: Residents::new(settings.hibernate_after.is_some()),
            waking: Turns::new(threads * 2),
            held: Shares::new(settings.per_key.sessions),
            calls: Shares::new(settings.per_key.calls),
        };
        let inner = Arc::new(Inner {
            house: Arc::new(house),
            names,
            stopping: AtomicBool::new(false),
            table: Arc::new(Table::new(settings.max_open)),
        });
        if !live.is_empty() {
            tracing::info!(sessions = live.len(), "sessions of the journal go on");
        }
        for episode in &live {
            inner.restore(episode);
        }
        tokio::spawn(reaper::run(Arc::downgrade(&inner), settings));
        if inner.house.is_kept() {
            tokio::spawn(prune::run(Arc::downgrade(&inner), settings.retention));
            if let Some(gauge) = gauge {
                tokio::spawn(pressure::run(Arc::downgrade(&inner), gauge));
            }
        }
        Ok(Sessions(inner))
    }

    /// From now on no session is opened.
    pub fn refuse_new(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Ends every session in this process and waits until they are: those that
    /// the journal can bring back go on when the host does, the others are torn
    /// down.
    pub async fn end_all(&self) {
        self.refuse_new();
        let mut ending = tokio::task::JoinSet::new();
        for (key, _) in self.0.table.handles() {
            if let Some(handle) = self.0.table.remove_if(&key, |_| true) {
                ending.spawn(handle.end_and_wait(Ending::Stopped));
            }
        }
        while ending.join_next().await.is_some() {}
    }

    /// The last life of the owner's session of this id.
    pub(super) async fn episode(
        &self,
        owner: &Principal,
        id: &SessionId,
    ) -> Result<EpisodeId, BeyondError> {
        let journal = &self.0.house.journal;
        if let Some(handle) = self.0.table.find(&Key::new(owner, id)) {
            return Ok(handle.shared.identity.episode);
        }
        let found = journal.find(owner.name(), id).await?;
        found.map(|found| found.id).ok_or(BeyondError::NoSession)
    }

    fn get(&self, env: &EnvName) -> Result<&Environment, CatalogError> {
        self.0.house.versions.served(env).ok_or_else(|| {
            let message = format!("the environment {env} is not served any more");
            CatalogError::Failed(message)
        })
    }

    fn find(&self, name: Option<&str>) -> Option<&Environment> {
        let name = match name {
            Some(name) => EnvName::new(name).ok()?,
            None => self.0.names.first()?.clone(),
        };
        self.0.house.versions.served(&name)
    }

    async fn resolve(env: &Environment, source: TaskSource) -> Result<Json, CatalogError> {
        match source {
            TaskSource::Spec(task) => Ok(task),
            TaskSource::Index { split, index } => lookup(env, &split, index).await,
        }
    }

    async fn open(
        self,
        reservation: Reservation,
        share: Option<Share>,
        opening: Opening,
    ) -> Result<Created, CreateError> {
        let opened = open::open(&self.0.house, &reservation.key, opening).await?;
        if self.0.stopping.load(Ordering::Acquire) {
            return Err(CreateError::Stopping);
        }
        let handle = self.0.start(opened.shared, opened.holding, share);
        reservation.fill(handle);
        Ok(opened.created)
    }
}

impl Inner {
    /// Gives a session its owner.
    pub(super) fn start(
        &self,
        shared: Arc<Shared>,
        holding: Holding,
        share: Option<Share>,
    ) -> Handle {
        let (sender, receiver) = mpsc::channel::<Command>(QUEUE);
        let house = self.house.clone();
        let commands = sender.downgrade();
        let owner = Owner::new(house.clone(), shared.clone(), commands, holding, share);
        self.house.engine.spawn(owner.run(receiver));
        Handle::new(house, shared, sender)
    }

    /// Puts a session of the journal into the table, asleep.
    pub(super) fn restore(&self, episode: &IndexedEpisode) -> Handle {
        let opening = &episode.header;
        let owner = Principal::of(opening.owner.as_deref());
        let key = Key::new(&owner, &opening.session);
        let identity = Identity {
            owner,
            id: opening.session.clone(),
            episode: episode.id,
            environment: opening.environment.clone(),
            component: opening.component,
            created: opening.created,
            birthmark: None,
        };
        let linger = self.house.settings.result_ttl;
        let shared = Arc::new(Shared::new(identity, Phase::Asleep, linger));
        if episode.head > SET_UP {
            shared.told.note();
        }
        // It counts, though the limit may be another now.
        let share = self.house.held.take_anyway(&key.owner);
        let handle = self.start(shared, Holding::Asleep, share);
        self.table.put(key, handle.clone());
        handle
    }
}

async fn lookup(env: &Environment, split: &str, index: Option<i64>) -> Result<Json, CatalogError> {
    if !env.description().has_split(split) {
        return Err(CatalogError::InvalidSplit);
    }
    let index = index.ok_or(CatalogError::InvalidIndex)?;
    Ok(env.task(split, index).await?)
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

impl Service for Sessions {
    type Session = Handle;

    fn environments(&self) -> &[EnvName] {
        &self.0.names
    }

    fn environment(&self, name: &str) -> Option<EnvName> {
        self.find(Some(name)).map(|env| env.name().clone())
    }

    fn engine(&self) -> &'static str {
        ENGINE_VERSION
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
        let imprint = self.0.house.mint.imprint(&new.imprint);
        // Gone with this future, which is dropped when the client leaves.
        let asker = Arc::new(());
        let (done, outcome) = watch::channel(None);
        let creating = Creating {
            imprint,
            asker: Arc::downgrade(&asker),
            outcome: outcome.clone(),
        };
        let reservation = match Reservation::new(&self.0.table, Key::new(owner, &id), creating) {
            Ok(reservation) => reservation,
            Err(Taken::By(place)) => return open::again(&self.0.house, place, imprint).await,
            Err(Taken::Full) => return Err(CreateError::Full),
        };
        let share = self.0.house.held.take(owner);
        let share = share.map_err(|AllTaken| CreateError::TooMany)?;
        let env = self.find(new.environment.as_deref()).ok_or_else(|| {
            CreateError::UnknownEnvironment(new.environment.clone().unwrap_or_default())
        })?;
        if let TaskSource::Spec(task) = &new.source {
            let (levels, most) = (task.depth(), env.limits().json_depth);
            if levels > most {
                return Err(CreateError::TooDeep(too_deep("task_spec", levels, most)));
            }
        }
        let task = Sessions::resolve(env, new.source).await?;
        let mut secrets = new.secrets.map_err(CreateError::Secrets)?;
        let withheld = secrets.retain_named(env.secrets());
        tell_withheld(env.name(), &withheld);
        let opening = Opening {
            env: env.clone(),
            task,
            secrets,
            toolset: new.toolset,
            seed: new.seed,
            imprint,
        };
        let sessions = self.clone();
        self.0.house.engine.spawn(async move {
            let created = sessions.open(reservation, share, opening).await;
            // Nobody may be waiting any more; the session is there all the same.
            done.send_replace(Some(created));
        });
        open::outcome(outcome).await
    }

    fn session(&self, owner: &Principal, id: &SessionId) -> Option<Handle> {
        let handle = self.0.table.find(&Key::new(owner, id))?;
        handle.shared.touch();
        // Who talks to a session knows that it was created.
        handle.shared.told.note();
        Some(handle)
    }

    async fn delete(&self, owner: &Principal, id: &SessionId) {
        if let Some(handle) = self.0.table.remove_if(&Key::new(owner, id), |_| true) {
            handle.end(Ending::Deleted).await;
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
    let told: Vec<String> = missed
        .take(8)
        .map(|name| python_repr(shortened(name)))
        .collect();
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
