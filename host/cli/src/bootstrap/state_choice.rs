//! Chooses the default state directory of a server.
//!
//! What is served has its own directory, at whatever address. Servers of the
//! same environments that run at the same time have one each: `NAME`, `NAME-2`
//! and so on. A server takes the one that it had at its address, or else the
//! first that no server uses. Sessions that are elsewhere are named in the log.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use orwd_config::{Listen, PersistenceConfig};
use orwd_journal::{EpisodeFilter, JournalStore, SqliteStore, StateDir};

/// Servers of the same environments.
const MAX_SERVERS: usize = 16;

/// Other state directories that are searched for sessions.
const MAX_SEARCHED: usize = 64;

/// File with the address at which a state directory was last served.
const ADDRESS: &str = "address";

/// Replaces the default state directory by the one that this server uses.
pub(crate) fn choose(config: &mut PersistenceConfig, listen: Listen) {
    let Some(first) = config.state.clone().filter(|_| config.default_state) else {
        return;
    };
    let candidates: Vec<PathBuf> = (1..=MAX_SERVERS)
        .map(|number| numbered(&first, number))
        .collect();
    let is_free = |dir: &&PathBuf| !is_in_use(dir);
    let had = |dir: &&PathBuf| {
        let noted = fs::read_to_string(dir.join(ADDRESS));
        listen.0.port() != 0 && noted.is_ok_and(|noted| noted.trim() == listen.to_string())
    };
    let chosen = candidates.iter().filter(had).find(is_free);
    let chosen = chosen.or_else(|| candidates.iter().find(is_free));
    // If all are in use, opening the first one says so.
    config.state = Some(chosen.unwrap_or(&first).clone());
}

/// Notes the address at which a state directory is served.
pub(crate) fn note_address(config: &PersistenceConfig, listen: Listen) {
    if let Some(dir) = config.state.as_deref().filter(|_| config.default_state)
        && let Err(error) = fs::write(dir.join(ADDRESS), format!("{listen}\n"))
    {
        tracing::warn!(state = %dir.display(), %error, "address not noted");
    }
}

/// Logs where other sessions are, if this state directory is a default one and
/// has none, or is one of several of the same environments.
pub(crate) fn warn_of_sessions_elsewhere(config: &PersistenceConfig) {
    let Some(own) = config.state.as_deref().filter(|_| config.default_state) else {
        return;
    };
    let is_new = !own.join("format").exists();
    let Some(entries) = own.parent().and_then(|root| fs::read_dir(root).ok()) else {
        return;
    };
    for entry in entries.flatten().take(MAX_SEARCHED) {
        let dir = entry.path();
        let is_sibling = is_new || base(&dir) == base(own);
        if dir == own || !is_sibling || !dir.join("format").exists() || is_in_use(&dir) {
            continue;
        }
        let sessions = open_sessions(&dir);
        if sessions > 0 {
            tracing::warn!(
                state = %dir.display(), sessions,
                "another state directory has open sessions; to continue them, serve their \
                 environments with it by --state"
            );
        }
    }
}

/// Returns the number of open sessions in a state directory.
fn open_sessions(dir: &Path) -> usize {
    let live = EpisodeFilter {
        live: true,
        ..EpisodeFilter::default()
    };
    let store = SqliteStore::visit(dir);
    store.map_or(0, |store| store.list(&live).map_or(0, |live| live.len()))
}

fn is_in_use(dir: &Path) -> bool {
    StateDir::open_existing(dir).is_ok_and(|state| state.is_in_use())
}

fn numbered(first: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return first.to_owned();
    }
    let mut name = OsString::from(first.file_name().unwrap_or_default());
    name.push(format!("-{number}"));
    first.with_file_name(name)
}

/// Returns the name without the number of a server.
fn base(dir: &Path) -> Option<String> {
    let name = dir.file_name()?.to_str()?;
    match name.rsplit_once('-') {
        Some((base, number)) if number.len() <= 2 && number.parse::<u8>().is_ok() => {
            Some(base.to_owned())
        }
        _ => Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn config(state: &Path) -> PersistenceConfig {
        PersistenceConfig {
            state: Some(state.to_owned()),
            default_state: true,
            ..PersistenceConfig::disabled()
        }
    }

    /// Chooses a directory at an address, and starts to use it.
    fn start(first: &Path, address: &str) -> (String, orwd_journal::StateLock) {
        let listen = address.parse().unwrap();
        let mut config = config(first);
        choose(&mut config, listen);
        let dir = config.state.clone().unwrap();
        let lock = StateDir::open(&dir).unwrap().lock().unwrap();
        note_address(&config, listen);
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        (name, lock)
    }

    #[test]
    fn a_server_finds_its_directory_at_any_address() {
        let root = TempDir::new().unwrap();
        let first = root.path().join("env-0123456789ab");
        let name = |address: &str| start(&first, address).0;
        assert_eq!(name("127.0.0.1:8080"), "env-0123456789ab");
        assert_eq!(name("127.0.0.1:9000"), "env-0123456789ab");
        assert_eq!(name("127.0.0.1:0"), "env-0123456789ab");
    }

    #[test]
    fn servers_at_the_same_time_have_a_directory_each_and_find_it_again() {
        let root = TempDir::new().unwrap();
        let first = root.path().join("env-0123456789ab");
        let one = start(&first, "127.0.0.1:8080");
        let two = start(&first, "127.0.0.1:9000");
        let free = start(&first, "127.0.0.1:0");
        let names = [&one.0, &two.0, &free.0];
        assert_eq!(
            names,
            [
                "env-0123456789ab",
                "env-0123456789ab-2",
                "env-0123456789ab-3"
            ]
        );
        drop((one, two, free));
        assert_eq!(start(&first, "127.0.0.1:9000").0, "env-0123456789ab-2");
        // A directory that the operator chose is not replaced.
        let chosen = root.path().join("chosen");
        let mut config = PersistenceConfig {
            default_state: false,
            ..config(&chosen)
        };
        let _lock = StateDir::open(&chosen).unwrap().lock().unwrap();
        choose(&mut config, "127.0.0.1:0".parse().unwrap());
        assert_eq!(config.state, Some(chosen));
    }
}
