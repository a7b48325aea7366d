//! The client that a session belongs to.

use std::sync::Arc;

use orwd_engine::Owner;

/// The owner of a session. A session id is unique among the sessions of one
/// principal; other principals cannot find it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Every client of a server without API keys.
    Anyone,
    /// The holder of the API key with this name.
    Named(Arc<str>),
}

impl Principal {
    /// Returns the name of the key, if there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Principal::Anyone => None,
            Principal::Named(name) => Some(name),
        }
    }

    /// Returns the owner for whom the engine runs this principal's guests.
    pub(crate) fn cpu_owner(&self) -> Owner {
        Owner::Client(match self {
            Principal::Anyone => None,
            Principal::Named(name) => Some(name.clone()),
        })
    }

    /// Returns the holder of the key with this name; without a name, anyone.
    pub fn of(name: Option<&str>) -> Principal {
        name.map_or(Principal::Anyone, |name| Principal::Named(name.into()))
    }
}
