//! The versions of environments that sessions run on.
//!
//! New sessions get what is served. One that began on another version stays
//! with it: its component is on the shelf, and is loaded again when a session
//! on it wakes.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::catalog::{Blueprint, Environment, Shelf};
use crate::engine::{Cache, Engine};
use crate::journal::Created;
use crate::model::{Digest, EnvName};

/// All versions that can be had.
pub(super) struct Versions {
    served: HashMap<EnvName, Environment>,
    older: tokio::sync::Mutex<HashMap<(EnvName, Digest), Environment>>,
    keep: Option<Keep>,
}

/// Where older versions are.
#[derive(Clone)]
pub struct Keep {
    /// The components.
    pub shelf: Shelf,
    /// Their compiled code.
    pub cache: Option<Cache>,
}

impl Versions {
    pub(super) fn new(served: HashMap<EnvName, Environment>, keep: Option<Keep>) -> Versions {
        Versions {
            served,
            older: tokio::sync::Mutex::default(),
            keep,
        }
    }

    /// What is served under this name.
    pub(super) fn served(&self, name: &EnvName) -> Option<&Environment> {
        self.served.get(name)
    }

    /// The version that an episode began on; or why it cannot be had.
    pub(super) async fn of(
        &self,
        engine: &Engine,
        created: &Created,
    ) -> Result<Environment, String> {
        let (name, digest) = (&created.environment, created.component);
        let served = self.served(name);
        if let Some(env) = served.filter(|env| env.component().digest() == digest) {
            return Ok(env.clone());
        }
        // Held while one is loaded, so that it is loaded once.
        let mut older = self.older.lock().await;
        let key = (name.clone(), digest);
        if let Some(env) = older.get(&key) {
            return Ok(env.clone());
        }
        let env = self.load(engine, created, served).await?;
        older.insert(key, env.clone());
        Ok(env)
    }

    async fn load(
        &self,
        engine: &Engine,
        created: &Created,
        served: Option<&Environment>,
    ) -> Result<Environment, String> {
        let digest = created.component;
        let gone = || format!("its component {digest} is not there any more");
        let keep = self.keep.as_ref().ok_or_else(gone)?;
        let component: PathBuf = keep.shelf.find(digest).ok_or_else(gone)?;
        let blueprint = Blueprint {
            name: created.environment.clone(),
            component,
            data: served.and_then(|env| env.data().cloned()),
            mode: served.map(|env| env.mode().clone()).unwrap_or_default(),
            limits: created.limits,
            secrets: Vec::new(),
            clock: super::replay::genesis(created).clock,
            seed: None,
        };
        let env = Environment::load(engine, keep.cache.as_ref(), blueprint)
            .await
            .map_err(|error| format!("its component cannot be loaded: {error}"))?;
        tracing::info!(environment = %created.environment, %digest, "an older version is in use again");
        Ok(env)
    }
}
