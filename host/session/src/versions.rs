//! The versions of environments that sessions run on.
//!
//! New sessions get what is served. One that began on another version stays
//! with it. Such versions are compiled and loaded before the host puts its
//! walls up, since no code can be later, and first run when a session on one of
//! them wakes. One that cannot be had costs its own sessions and no others.

use std::collections::HashMap;

use orwd_catalog::{Environment, PreparedEnvironment};
use orwd_journal::CreatedRecord;
use orwd_model::{Digest, EnvName};

/// A version that live sessions began on and that is not served any more.
pub struct Older {
    /// The environment.
    pub name: EnvName,
    /// Its version.
    pub digest: Digest,
    /// The version itself; or why it cannot be had, for people.
    pub prepared: Result<PreparedEnvironment, String>,
}

/// All versions that can be had.
pub(super) struct Versions {
    served: HashMap<EnvName, Environment>,
    older: tokio::sync::Mutex<HashMap<(EnvName, Digest), Version>>,
}

/// How far an older version is.
enum Version {
    /// Loaded, and never run.
    Prepared(Box<PreparedEnvironment>),
    Open(Environment),
    /// Not to be had, and why.
    Unfit(String),
}

impl Versions {
    pub(super) fn new(served: HashMap<EnvName, Environment>, older: Vec<Older>) -> Versions {
        let older = older.into_iter().map(|older| {
            let version = match older.prepared {
                Ok(prepared) => Version::Prepared(Box::new(prepared)),
                Err(why) => Version::Unfit(why),
            };
            ((older.name, older.digest), version)
        });
        Versions {
            served,
            older: tokio::sync::Mutex::new(older.collect()),
        }
    }

    /// What is served under this name.
    pub(super) fn served(&self, name: &EnvName) -> Option<&Environment> {
        self.served.get(name)
    }

    /// The version that an episode began on; or why it cannot be had.
    pub(super) async fn of(&self, created: &CreatedRecord) -> Result<Environment, String> {
        let (name, digest) = (&created.environment, created.component);
        let served = self.served(name);
        if let Some(env) = served.filter(|env| env.component().digest() == digest) {
            return Ok(env.clone());
        }
        // Held while one describes itself, so that it does so once.
        let mut older = self.older.lock().await;
        let gone = || format!("its component {digest} is not there any more");
        let version = older.get_mut(&(name.clone(), digest)).ok_or_else(gone)?;
        // Left behind if this is dropped halfway.
        let unfit = Version::Unfit("its component was not loaded to the end".to_owned());
        match std::mem::replace(version, unfit) {
            Version::Prepared(prepared) => match prepared.open().await {
                Ok(env) => {
                    tracing::info!(environment = %name, %digest, "an older version is in use again");
                    *version = Version::Open(env.clone());
                    Ok(env)
                }
                Err(error) => {
                    let why = format!("its component cannot be used: {error}");
                    *version = Version::Unfit(why.clone());
                    Err(why)
                }
            },
            Version::Open(env) => {
                *version = Version::Open(env.clone());
                Ok(env)
            }
            Version::Unfit(why) => {
                *version = Version::Unfit(why.clone());
                Err(why)
            }
        }
    }
}
