//! Opens what outlives the server: the journal and the components that its
//! sessions need.
//!
//! All of it is opened before the walls are up: the lock on the directory of
//! state and the key for secrets are out of reach later, and so is compiling.
//! A component that cannot be loaded costs the sessions on it, which say so when
//! they are asked for, and never the start.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Failure;
use super::host::Ready;
use orwd_catalog::source::Gathered;
use orwd_catalog::{Prepared, Shelf};
use orwd_config::{Keeping, KeepingLevel};
use orwd_engine::EngineSettings;
use orwd_journal::{
    Durability, EpisodeFilter, Journal, JournalStore, SealKey, SqliteStore, StateDir,
};
use orwd_model::{Digest, EnvName, SessionLimits};
use orwd_sandbox::DataDir;
use orwd_session::{Gauge, Older};

/// The key itself, for those who would not have it in a file.
const SEAL_KEY: &str = "ORWD_SEAL_KEY";

/// What outlives the server, open but for its thread.
pub(super) struct Kept {
    state: Option<State>,
    older: Vec<Older>,
    pub(super) hibernate_after: Option<Duration>,
    gauge: Option<Gauge>,
    pub(super) keep_ended: Duration,
}

struct State {
    dir: PathBuf,
    store: SqliteStore,
    durability: Durability,
    seal: Option<SealKey>,
}

impl Kept {
    /// Nothing is kept.
    pub(super) fn nothing() -> Kept {
        Kept {
            state: None,
            older: Vec::new(),
            hibernate_after: None,
            gauge: None,
            keep_ended: Duration::MAX,
        }
    }

    /// Opens the journal, puts what is served on the shelf, and loads what live
    /// sessions need beside it.
    pub(super) fn open(
        keeping: &Keeping,
        ready: &Ready,
        limits: SessionLimits,
    ) -> Result<Kept, Failure> {
        let durability = match keeping.level {
            KeepingLevel::Process => Durability::Process,
            KeepingLevel::Power => Durability::Power,
            KeepingLevel::None => return Ok(Kept::nothing()),
        };
        let Some(dir) = &keeping.state else {
            return Ok(Kept::nothing());
        };
        let seal = seal_key(keeping.seal_key.as_deref())?;
        let store = SqliteStore::open(dir, durability)?;
        let shelf = Shelf::open(dir.join("components")).map_err(|error| {
            let dir = dir.display();
            Failure::new(format!("components cannot be kept in {dir}: {error}"))
        })?;
        tracing::info!(
            state = %dir.display(), %durability, sealing = seal.is_some(),
            "sessions are kept"
        );
        note_data(store.dir(), ready);
        let needed = needed(&store)?;
        note_most(store.dir(), limits, !needed.is_empty());
        tidy(&shelf, ready, &needed);
        Ok(Kept {
            older: older(&shelf, ready, &needed, limits),
            state: Some(State {
                dir: dir.clone(),
                store,
                durability,
                seal,
            }),
            hibernate_after: keeping.hibernate_after,
            gauge: gauge(keeping),
            keep_ended: keeping.keep_ended,
        })
    }

    /// The directory of state, which is written from now on.
    pub(super) fn dir(&self) -> Option<&Path> {
        self.state.as_ref().map(|state| state.dir.as_path())
    }

    /// The journal, whose thread begins with this, and the versions that are
    /// not served any more.
    pub(super) fn start(self) -> Result<(Journal, Vec<Older>, Option<Gauge>), Failure> {
        let journal = match self.state {
            Some(state) => Journal::with_state(state.store, state.durability, state.seal)?,
            None => Journal::disabled(),
        };
        Ok((journal, self.older, self.gauge))
    }
}

/// Sessions keep the limits that they began with, and those may have been
/// larger.
pub(super) fn make_room(keeping: &Keeping, settings: &mut EngineSettings) {
    let state = keeping.state.as_deref().map(StateDir::open_existing);
    if let Some(Ok(state)) = state
        && let Some((memory, tables)) = state.saved_memory_limits()
    {
        settings.max_memory = settings.max_memory.max(memory);
        settings.max_tables = settings.max_tables.max(tables);
    }
}

/// Notes what the largest of the live sessions may have, and of those that are
/// about to begin.
fn note_most(state: &StateDir, limits: SessionLimits, live: bool) {
    let (memory, tables) = state
        .saved_memory_limits()
        .filter(|_| live)
        .unwrap_or_default();
    let noted = state.save_memory_limits(memory.max(limits.memory), tables.max(limits.tables));
    if let Err(error) = noted {
        tracing::warn!("the limits of sessions are not noted: {error}");
    }
}

/// Finds out what the data of each environment is, which its sessions are
/// written down with. Reads all of it the first time.
pub(super) fn digest_data(gathered: &mut Gathered, cache: &Path) -> Result<(), Failure> {
    for source in &mut gathered.sources {
        if let Some(data) = source.data.take() {
            source.data = Some(data.with_digest(cache)?);
        }
    }
    Ok(())
}

/// Notes where the data of each environment is, for who does its sessions again
/// and is told nothing but this directory.
fn note_data(state: &StateDir, ready: &Ready) {
    for blueprint in ready.prepared().map(Prepared::blueprint) {
        let data = blueprint.data.as_ref().map(DataDir::path);
        if let Err(error) = state.save_data_path(&blueprint.name, data) {
            tracing::warn!(environment = %blueprint.name, "its data is not noted: {error}");
        }
    }
}

/// What watches the memory, where sessions may leave it and the system says how
/// much there is.
fn gauge(keeping: &Keeping) -> Option<Gauge> {
    keeping.hibernate_after?;
    Gauge::open(keeping.memory_mark)
        .inspect_err(|error| tracing::warn!("memory is not looked after: {error}"))
        .ok()
}

/// The versions that live sessions run on.
fn needed(store: &SqliteStore) -> Result<HashSet<(EnvName, Digest)>, Failure> {
    let live = store
        .list(&EpisodeFilter {
            live: true,
            ..EpisodeFilter::default()
        })
        .map_err(orwd_journal::JournalError::from)?;
    let version = |episode: orwd_journal::IndexedEpisode| {
        let opening = episode.header;
        (opening.environment, opening.component)
    };
    Ok(live.into_iter().map(version).collect())
}

/// Keeps the components that are served, and lets go of those that nobody needs
/// any more.
fn tidy(shelf: &Shelf, ready: &Ready, needed: &HashSet<(EnvName, Digest)>) {
    let mut stays: HashSet<Digest> = needed.iter().map(|(_, digest)| *digest).collect();
    for prepared in ready.prepared() {
        stays.insert(prepared.digest());
        if let Err(error) = prepared.put_on(shelf) {
            tracing::warn!(
                environment = %prepared.blueprint().name,
                "its component cannot be kept, so that its sessions end when it is exchanged: {error}"
            );
        }
    }
    if let Err(error) = shelf.sweep(&stays) {
        tracing::warn!("old components cannot be removed: {error}");
    }
}

/// Loads those that are needed and not served.
fn older(
    shelf: &Shelf,
    ready: &Ready,
    needed: &HashSet<(EnvName, Digest)>,
    limits: SessionLimits,
) -> Vec<Older> {
    let served: HashSet<(EnvName, Digest)> = ready
        .prepared()
        .map(|prepared| (prepared.blueprint().name.clone(), prepared.digest()))
        .collect();
    let load = |(name, digest): &(EnvName, Digest)| {
        let prepared = match shelf.find(*digest) {
            Some(component) => ready
                .older(name.clone(), component, limits)
                .map_err(|error| format!("its component cannot be loaded: {error}")),
            None => Err(format!("its component {digest} is not there any more")),
        };
        match &prepared {
            Ok(_) => {
                tracing::info!(environment = %name, %digest, "sessions go on with an older version")
            }
            Err(why) => tracing::warn!(environment = %name, "sessions cannot go on: {why}"),
        }
        Older {
            name: name.clone(),
            digest: *digest,
            prepared,
        }
    };
    needed.difference(&served).map(load).collect()
}

/// The key that secrets are sealed with: that in the file, or else the one in
/// the environment.
pub(super) fn seal_key(file: Option<&Path>) -> Result<Option<SealKey>, Failure> {
    Ok(match (file, std::env::var(SEAL_KEY)) {
        (Some(path), _) => Some(SealKey::read(path)?),
        (None, Ok(text)) => Some(SealKey::parse(&text)?),
        (None, Err(_)) => None,
    })
}
