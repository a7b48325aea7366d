//! Opens what outlives the server: the journal, and the components of its
//! sessions.
//!
//! All of it is opened before hardening, which denies the lock on the state
//! directory, the file of the seal key, and compiling. If a component cannot be
//! loaded, the server still starts; requests to its sessions get the reason.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orwd_catalog::source::Discovered;
use orwd_catalog::{ComponentStore, PreparedEnvironment};
use orwd_config::PersistenceConfig;
use orwd_engine::EngineSettings;
use orwd_journal::{
    Durability, EpisodeFilter, IndexedEpisode, Journal, JournalError, JournalStore, ReceiptSigner,
    SealKey, SqliteStore, StateDir,
};
use orwd_model::{Digest, EnvName, SessionLimits};
use orwd_sandbox::{DataDir, DataDirError};
use orwd_session::{MemoryMonitor, OlderVersion, VersionData, VersionError, VersionKey};

use super::environments::PreparedEnvironments;
use crate::console::CommandError;

/// Environment variable with the seal key itself, as an alternative to a file.
const SEAL_KEY: &str = "ORWD_SEAL_KEY";

/// Opens a data directory whose path was noted.
type OpenNoted<'o> = &'o dyn Fn(&Path) -> Result<DataDir, DataDirError>;

/// What outlives the server, opened. The journal's thread has not started.
pub(crate) struct Persistence {
    state: Option<State>,
    versions: Vec<OlderVersion>,
    pub(crate) hibernate_after: Option<Duration>,
    monitor: Option<MemoryMonitor>,
}

struct State {
    dir: PathBuf,
    store: SqliteStore,
    durability: Durability,
    seal: Option<SealKey>,
}

impl Persistence {
    /// Returns the state of a server that persists nothing.
    pub(crate) fn disabled() -> Persistence {
        Persistence {
            state: None,
            versions: Vec::new(),
            hibernate_after: None,
            monitor: None,
        }
    }

    /// Returns the state of a server that keeps no journal.
    fn unjournaled(memory_high_watermark: Option<u64>) -> Persistence {
        Persistence {
            monitor: memory_monitor(memory_high_watermark),
            ..Persistence::disabled()
        }
    }

    /// Opens the journal, stores the served components, and loads the other
    /// versions that live sessions run on.
    pub(crate) fn open(
        config: &PersistenceConfig,
        prepared: &PreparedEnvironments,
        limits: SessionLimits,
        open_data: OpenNoted<'_>,
        memory_high_watermark: Option<u64>,
    ) -> Result<Persistence, CommandError> {
        let durability = config.durability;
        if durability == Durability::None {
            return Ok(Persistence::unjournaled(memory_high_watermark));
        }
        let Some(dir) = &config.state else {
            return Ok(Persistence::unjournaled(memory_high_watermark));
        };
        let seal = seal_key(config.seal_key.as_deref())?;
        let store = SqliteStore::open(dir, durability)?;
        // Damaged keys are reported before anything runs.
        ReceiptSigner::open(store.dir())?;
        match &seal {
            Some(seal) => seal.check_known(store.dir())?,
            None => SealKey::check_none_known(store.dir())?,
        }
        let components = ComponentStore::open(dir.join("components")).map_err(|error| {
            let dir = dir.display();
            CommandError::new(format!("cannot store components in {dir}: {error}"))
        })?;
        tracing::info!(
            state = %dir.display(), %durability, sealing = seal.is_some(),
            "journal opened"
        );
        note_data(store.dir(), prepared);
        let live = live_versions(&store)?;
        note_largest_limits(store.dir(), limits, !live.is_empty());
        store_components(&components, prepared, &live);
        Ok(Persistence {
            versions: load_versions(&components, prepared, &live, limits, open_data),
            state: Some(State {
                dir: dir.clone(),
                store,
                durability,
                seal,
            }),
            hibernate_after: config.hibernate_after,
            monitor: memory_monitor(memory_high_watermark),
        })
    }

    /// Returns the state directory, which the server writes to.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.state.as_ref().map(|state| state.dir.as_path())
    }

    /// Returns the versions that live sessions run on and that are not served.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &PreparedEnvironment> {
        let versions = self.versions.iter();
        versions.filter_map(|version| version.prepared.as_ref().ok())
    }

    /// Starts the journal's thread. Returns the journal, the versions that are
    /// no longer served, and the memory monitor.
    pub(crate) fn start(
        self,
    ) -> Result<(Journal, Vec<OlderVersion>, Option<MemoryMonitor>), CommandError> {
        let journal = match self.state {
            Some(state) => Journal::with_state(state.store, state.durability, state.seal)?,
            None => Journal::disabled(),
        };
        Ok((journal, self.versions, self.monitor))
    }
}

/// Raises the engine's limits to those of live sessions, which keep the limits
/// that they started with.
pub(crate) fn raise_limits(config: &PersistenceConfig, settings: &mut EngineSettings) {
    let state = config.state.as_deref().map(StateDir::open_existing);
    if let Some(Ok(state)) = state
        && let Some((memory, tables)) = state.saved_memory_limits()
    {
        settings.max_memory = settings.max_memory.max(memory);
        settings.max_tables = settings.max_tables.max(tables);
    }
}

/// Notes the largest limits of live sessions and of new ones.
fn note_largest_limits(state: &StateDir, limits: SessionLimits, live: bool) {
    let (memory, tables) = state
        .saved_memory_limits()
        .filter(|_| live)
        .unwrap_or_default();
    let noted = state.save_memory_limits(memory.max(limits.memory), tables.max(limits.tables));
    if let Err(error) = noted {
        tracing::warn!(reason = %error, "session limits not noted");
    }
}

/// Computes the digest of each environment's data, which the journal records
/// with each session. Reads all of it the first time.
pub(crate) fn digest_data(discovered: &mut Discovered, cache: &Path) -> Result<(), CommandError> {
    for source in &mut discovered.sources {
        if let Some(data) = source.data.take() {
            source.data = Some(data.with_digest(cache)?);
        }
    }
    Ok(())
}

/// Notes the data directory of each environment. A replay then needs only the
/// state directory.
fn note_data(state: &StateDir, prepared: &PreparedEnvironments) {
    for spec in prepared.iter().map(PreparedEnvironment::spec) {
        let data = spec.data.as_ref().map(DataDir::path);
        if let Err(error) = state.save_data_path(&spec.name, data) {
            tracing::warn!(environment = %spec.name, reason = %error, "data directory not noted");
        }
    }
}

/// Opens the memory monitor, if the system reports its memory.
fn memory_monitor(high_watermark: Option<u64>) -> Option<MemoryMonitor> {
    MemoryMonitor::open(high_watermark)
        .inspect_err(|error| tracing::warn!(reason = %error, "memory monitor disabled"))
        .ok()
}

/// Returns the versions that live sessions run on.
fn live_versions(store: &SqliteStore) -> Result<HashSet<VersionKey>, CommandError> {
    let live = store
        .list(&EpisodeFilter {
            live: true,
            ..EpisodeFilter::default()
        })
        .map_err(JournalError::from)?;
    let version = |episode: IndexedEpisode| VersionKey {
        data: VersionData::of(episode.header.import.as_ref()),
        name: episode.header.environment,
        digest: episode.header.component,
    };
    Ok(live.into_iter().map(version).collect())
}

/// Stores the served components, and removes those that no session needs.
fn store_components(
    components: &ComponentStore,
    prepared: &PreparedEnvironments,
    live: &HashSet<VersionKey>,
) {
    let mut needed: HashSet<Digest> = live.iter().map(|version| version.digest).collect();
    for prepared in prepared.iter() {
        needed.insert(prepared.digest());
        if let Err(error) = prepared.store_component(components) {
            tracing::warn!(
                environment = %prepared.spec().name,
                reason = %error,
                "component not stored; its sessions end when the file is replaced"
            );
        }
    }
    if let Err(error) = components.retain(&needed) {
        tracing::warn!(reason = %error, "old components not removed");
    }
}

/// Loads the versions that live sessions need and that are not served.
fn load_versions(
    components: &ComponentStore,
    prepared: &PreparedEnvironments,
    live: &HashSet<VersionKey>,
    limits: SessionLimits,
    open_data: OpenNoted<'_>,
) -> Vec<OlderVersion> {
    let served: HashSet<VersionKey> = prepared
        .iter()
        .map(|prepared| VersionKey {
            name: prepared.spec().name.clone(),
            digest: prepared.digest(),
            data: VersionData::Served,
        })
        .collect();
    let load = |key: &VersionKey| {
        let VersionKey { name, digest, data } = key;
        let imported = matches!(data, VersionData::Imported(_));
        let prepared = load_version(components, prepared, key, limits, open_data);
        match &prepared {
            Ok(_) => tracing::info!(environment = %name, %digest, imported, "older version loaded"),
            Err(reason) => {
                tracing::warn!(environment = %name, imported, %reason, "older version not loaded");
            }
        }
        OlderVersion {
            key: key.clone(),
            prepared,
        }
    };
    live.difference(&served).map(load).collect()
}

/// Loads a version. One of an imported session gets the data that its importer
/// named, and none of the served environment of its name.
fn load_version(
    components: &ComponentStore,
    prepared: &PreparedEnvironments,
    key: &VersionKey,
    limits: SessionLimits,
    open_data: OpenNoted<'_>,
) -> Result<PreparedEnvironment, VersionError> {
    let VersionKey { name, digest, data } = key;
    let component = components.find(*digest).map_err(|error| {
        VersionError::Unavailable(format!("its component {digest} cannot be read: {error}"))
    })?;
    let component = component.ok_or_else(|| {
        VersionError::Gone(format!("its component {digest} is not available any more"))
    })?;
    let loaded = match data {
        VersionData::Served => prepared.load_version(name.clone(), component, limits),
        VersionData::Imported(path) => {
            let open = |path: &PathBuf| {
                open_data(path).map_err(|error| {
                    VersionError::Unavailable(format!("its data cannot be opened: {error}"))
                })
            };
            let data = path.as_ref().map(open).transpose()?;
            let name = imported_name(*digest).map_err(VersionError::Gone)?;
            prepared.load_imported(name, component, limits, data)
        }
    };
    loaded.map_err(|error| VersionError::of_load("its component cannot be loaded", &error))
}

/// Returns the name under which the component of imported sessions appears in the
/// log. That in a file may be the name of any environment.
fn imported_name(digest: Digest) -> Result<EnvName, String> {
    let digits: String = digest.hex().chars().take(12).collect();
    EnvName::new(&format!("imported-{digits}")).map_err(|error| error.to_string())
}

/// Reads the key that seals secrets, from the file or else from the environment
/// variable.
pub(crate) fn seal_key(file: Option<&Path>) -> Result<Option<SealKey>, CommandError> {
    Ok(match (file, std::env::var(SEAL_KEY)) {
        (Some(path), _) => Some(SealKey::read(path)?),
        (None, Ok(text)) => Some(SealKey::parse(&text)?),
        (None, Err(_)) => None,
    })
}
