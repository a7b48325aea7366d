//! The request that creates a session, and its result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orwd_journal::SealedSecrets;
use orwd_model::{ClockMode, DataMode, Secrets, Seed, TaskSource};

/// The parameters of `/create`.
#[derive(Debug)]
pub struct NewSession {
    /// The environment as the client wrote it; none means the default.
    pub environment: Option<String>,
    /// The task.
    pub source: TaskSource,
    /// The secrets, or why they cannot be read. Checked only after the
    /// environment and the task have been found (wire contract section 4: the
    /// precedence of errors).
    pub secrets: Result<Secrets, String>,
    /// The toolset that the client requests.
    pub toolset: Option<String>,
    /// The seed of the session; without one the environment decides.
    pub seed: Option<Seed>,
    /// A hash of the whole request, by which a repetition is recognised.
    pub fingerprint: [u8; 32],
}

/// The result of `/create`.
#[derive(Clone, Debug)]
pub struct CreatedSession {
    /// The seed of the session.
    pub seed: Seed,
    /// Whether the session survives a restart of the server.
    pub resumability: Resumability,
    /// Set once the client has the response.
    pub delivery: DeliveryFlag,
}

/// Whether a session can be rebuilt from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumability {
    /// It can.
    Yes,
    /// It cannot: nothing is journaled.
    NoJournal,
    /// It cannot: the real clock would show other times in a replay.
    RealClock,
    /// It cannot: its secrets are not journaled, since there is no key to seal
    /// them with.
    Secrets,
    /// Perhaps not: other sessions may publish into the data that it reads.
    Shared,
}

impl Resumability {
    /// Returns whether a session of this kind can be rebuilt.
    pub(crate) fn new(
        journaled: bool,
        clock: ClockMode,
        mode: &DataMode,
        secrets: &SealedSecrets,
    ) -> Resumability {
        if !journaled {
            Resumability::NoJournal
        } else if !clock.is_replayable() {
            Resumability::RealClock
        } else if *secrets == SealedSecrets::Withheld {
            Resumability::Secrets
        } else if mode.publishes() {
            Resumability::Shared
        } else {
            Resumability::Yes
        }
    }

    /// Returns, for people, why the session cannot be rebuilt; none if it can.
    pub fn obstacle(self) -> Option<&'static str> {
        match self {
            Resumability::Yes => None,
            Resumability::NoJournal => Some("the server keeps no journal"),
            Resumability::RealClock => Some("the environment sees the real clock"),
            Resumability::Secrets => Some("the server has no key to seal secrets with"),
            Resumability::Shared => Some("others may publish into the data that it reads"),
        }
    }
}

/// Whether the client has the response to `/create`. Until it is set, a
/// repetition of the request gets the same response.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFlag(Arc<AtomicBool>);

impl DeliveryFlag {
    /// Notes that the response was sent, or that the client has used the
    /// session.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether the client is known to have the response.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
