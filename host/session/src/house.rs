//! What all sessions of a host have in common.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::mint::Mint;
use super::residents::Residents;
use super::shares::{PerKey, Shares};
use super::turns::Turns;
use super::versions::Versions;
use orwd_engine::Engine;
use orwd_journal::{Durability, Journal};

/// What the operator decides about sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// How long a session may go unasked.
    pub idle_timeout: Duration,
    /// How long a request waits for setup, or for a session to wake.
    pub setup_wait: Duration,
    /// How long a result can be fetched again.
    pub result_ttl: Duration,
    /// How long a guest has nothing to do before it is put to sleep; none if
    /// it never is, not even where another needs its place.
    pub hibernate_after: Option<Duration>,
    /// How long a session that has ended stays in the journal.
    pub retention: Duration,
    /// Sessions open at once, in memory or not.
    pub max_open: usize,
    /// What one key may have at once.
    pub per_key: PerKey,
}

/// Everything that an owner needs beside its own session.
pub(super) struct House {
    pub(super) engine: Engine,
    pub(super) settings: SessionSettings,
    pub(super) journal: Journal,
    pub(super) mint: Mint,
    pub(super) versions: Versions,
    pub(super) residents: Residents,
    /// Sessions of one owner that are rebuilt at once: each keeps a thread
    /// busy, and those of others need not wait for them.
    pub(super) waking: Turns,
    /// Sessions by the key that holds them, asleep or not.
    pub(super) held: Arc<Shares>,
    /// Calls in flight by the key that they came with.
    pub(super) calls: Arc<Shares>,
}

impl House {
    /// Whether anything is written down.
    pub(super) fn is_kept(&self) -> bool {
        self.journal.durability() != Durability::None
    }

    /// A place for an instance, if need be after another has been put to
    /// sleep.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.residents.slot(&self.engine).await
    }
}
