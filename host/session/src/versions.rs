//! The environment versions that sessions run on.
//!
//! A new session uses the served version and keeps it for life. Older versions
//! that live sessions use are compiled and loaded before hardening, since no
//! code can be loaded later. They are first run when such a session resumes. A
//! version that cannot be loaded affects only its own sessions: they are lost if the
//! version is gone, and wait if the host failed.
//!
//! An imported session names an environment, but anyone may have written that
//! name. It therefore has a version of its own, found by the digest of its
//! component, with the data that its importer named and no other.

use std::collections::HashMap;
use std::path::PathBuf;

use orwd_catalog::{Environment, LoadError, PreparedEnvironment};
use orwd_journal::{CreatedRecord, ImportOrigin};
use orwd_model::{Digest, EnvName};
use tokio::sync::OnceCell;

/// Identifies a version of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionKey {
    /// The environment.
    pub name: EnvName,
    /// The digest of its component.
    pub digest: Digest,
    /// Whose data its sessions see.
    pub data: VersionData,
}

/// Whose data the sessions of a version see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VersionData {
    /// That of the served environment of this name.
    Served,
    /// That of an import: this directory, or none.
    Imported(Option<PathBuf>),
}

impl VersionData {
    /// Returns whose data a session sees that comes from there.
    pub fn of(import: Option<&ImportOrigin>) -> VersionData {
        match import {
            None => VersionData::Served,
            Some(import) => VersionData::Imported(import.data.clone()),
        }
    }
}

impl VersionKey {
    /// Returns the version that an episode was created on.
    pub(crate) fn of(created: &CreatedRecord, import: Option<&ImportOrigin>) -> VersionKey {
        VersionKey {
            name: created.environment.clone(),
            digest: created.component,
            data: VersionData::of(import),
        }
    }
}

/// A version that live sessions use and that is not served.
pub struct OlderVersion {
    /// The version.
    pub key: VersionKey,
    /// The version itself, or why it cannot be loaded.
    pub prepared: Result<PreparedEnvironment, VersionError>,
}

/// Why sessions of a version cannot be resumed. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The version does not exist any more, or is not valid on this host. Its
    /// sessions are lost.
    #[error("{0}")]
    Gone(String),
    /// The host failed. Its sessions wait.
    #[error("{0}")]
    Unavailable(String),
}

impl VersionError {
    /// Returns the error of a version that could not be loaded.
    pub fn of_load(context: &str, error: &LoadError) -> VersionError {
        let reason = format!("{context}: {error}");
        if error.is_host_fault() {
            VersionError::Unavailable(reason)
        } else {
            VersionError::Gone(reason)
        }
    }
}

/// All available versions.
pub(crate) struct VersionRegistry {
    served: HashMap<EnvName, Environment>,
    older: HashMap<VersionKey, VersionState>,
}

/// The state of an older version.
enum VersionState {
    Loaded {
        prepared: Box<PreparedEnvironment>,
        /// Empty until it is first run.
        opened: OnceCell<Environment>,
    },
    Failed(VersionError),
}

impl VersionRegistry {
    pub(crate) fn new(
        served: HashMap<EnvName, Environment>,
        older: Vec<OlderVersion>,
    ) -> VersionRegistry {
        let older = older.into_iter().map(|older| {
            let version = match older.prepared {
                Ok(prepared) => VersionState::Loaded {
                    prepared: Box::new(prepared),
                    opened: OnceCell::new(),
                },
                Err(error) => VersionState::Failed(error),
            };
            (older.key, version)
        });
        VersionRegistry {
            served,
            older: older.collect(),
        }
    }

    /// Returns the served version of an environment.
    pub(crate) fn served(&self, name: &EnvName) -> Option<&Environment> {
        self.served.get(name)
    }

    /// Returns a version. Runs an older one if it has not run yet, once for all who
    /// ask; a later request tries again what failed.
    pub(crate) async fn find(&self, key: &VersionKey) -> Result<Environment, VersionError> {
        let VersionKey { name, digest, data } = key;
        let digest = *digest;
        let served = match data {
            VersionData::Served => self.served(name),
            VersionData::Imported(_) => None,
        };
        if let Some(env) = served.filter(|env| env.component().digest() == digest) {
            return Ok(env.clone());
        }
        let (prepared, opened) = match self.older.get(key) {
            None => {
                let reason = format!("its component {digest} is not available any more");
                return Err(VersionError::Gone(reason));
            }
            Some(VersionState::Failed(error)) => return Err(error.clone()),
            Some(VersionState::Loaded { prepared, opened }) => (prepared, opened),
        };
        let open = async || {
            let env = prepared.open().await;
            let env =
                env.map_err(|error| VersionError::of_load("its component cannot be used", &error))?;
            tracing::info!(environment = %name, %digest, "older environment version in use");
            Ok(env)
        };
        opened.get_or_try_init(open).await.cloned()
    }
}
