//! The secrets of a session's owner.
//!
//! They go to the session that they came with and nowhere else: the types have
//! no `Display` and no `Serialize`, and their `Debug` shows names alone.

use std::fmt;

/// One named secret.
#[derive(Clone)]
pub struct Secret {
    /// The name that the environment asks for.
    pub name: String,
    /// The value.
    pub value: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

/// All that came with one session.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Takes them in the order in which they came.
    pub fn new(secrets: Vec<Secret>) -> Secrets {
        Secrets(secrets)
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after another.
    pub fn iter(&self) -> std::slice::Iter<'_, Secret> {
        self.0.iter()
    }

    /// Hands them on, to the guest.
    pub fn into_inner(self) -> Vec<Secret> {
        self.0
    }
}
