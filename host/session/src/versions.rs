//! The environment versions that sessions run on.
//!
//! A new session uses the served version and keeps it for life. Older versions
//! that live sessions use are compiled and loaded before hardening, since no
//! code can be loaded later. They are first run when such a session resumes. A
//! version that cannot be loaded affects only its own sessions.
//!
//! An imported session names an environment, but anyone may have written that
//! name. It therefore has a version of its own, found by the digest of its
//! component, with the data that its importer named and no other.

use std::collections::HashMap;
use std::path::PathBuf;

use orwd_catalog::{Environment, PreparedEnvironment};
use orwd_journal::{CreatedRecord, ImportOrigin};
use orwd_model::{Digest, EnvName};

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
    /// The version itself, or for people why it cannot be loaded.
    pub prepared: Result<PreparedEnvironment, String>,
}

/// All available versions.
pub(crate) struct VersionRegistry {
    served: HashMap<EnvName, Environment>,
    older: tokio::sync::Mutex<HashMap<VersionKey, VersionState>>,
}

/// The state of an older version.
enum VersionState {
    /// Loaded, and never run.
    Prepared(Box<PreparedEnvironment>),
    Ready(Environment),
    /// For people, why it cannot be used.
    Unavailable(String),
}

impl VersionRegistry {
    pub(crate) fn new(
        served: HashMap<EnvName, Environment>,
        older: Vec<OlderVersion>,
    ) -> VersionRegistry {
        let older = older.into_iter().map(|older| {
            let version = match older.prepared {
                Ok(prepared) => VersionState::Prepared(Box::new(prepared)),
                Err(reason) => VersionState::Unavailable(reason),
            };
            (older.key, version)
        });
        VersionRegistry {
            served,
            older: tokio::sync::Mutex::new(older.collect()),
        }
    }

    /// Returns the served version of an environment.
    pub(crate) fn served(&self, name: &EnvName) -> Option<&Environment> {
        self.served.get(name)
    }

    /// Returns a version, or why it is not available.
    pub(crate) async fn find(&self, key: &VersionKey) -> Result<Environment, String> {
        let VersionKey { name, digest, data } = key;
        let digest = *digest;
        let served = match data {
            VersionData::Served => self.served(name),
            VersionData::Imported(_) => None,
        };
        if let Some(env) = served.filter(|env| env.component().digest() == digest) {
            return Ok(env.clone());
        }
        // Locked while the version is first run, so that this happens once.
        let mut older = self.older.lock().await;
        let missing = || format!("its component {digest} is not available any more");
        let version = older.get_mut(key).ok_or_else(missing)?;
        // Stays in place if this future is dropped during the first run.
        let interrupted = "loading its component was interrupted".to_owned();
        match std::mem::replace(version, VersionState::Unavailable(interrupted)) {
            VersionState::Prepared(prepared) => match prepared.open().await {
                Ok(env) => {
                    tracing::info!(environment = %name, %digest, "older environment version in use");
                    *version = VersionState::Ready(env.clone());
                    Ok(env)
                }
                Err(error) => {
                    let reason = format!("its component cannot be used: {error}");
                    *version = VersionState::Unavailable(reason.clone());
                    Err(reason)
                }
            },
            VersionState::Ready(env) => {
                *version = VersionState::Ready(env.clone());
                Ok(env)
            }
            VersionState::Unavailable(reason) => {
                *version = VersionState::Unavailable(reason.clone());
                Err(reason)
            }
        }
    }
}
