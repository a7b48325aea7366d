//! The sessions of a server, and how each gets its actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orwd_journal::IndexedEpisode;
use orwd_model::EnvName;
use tokio::sync::mpsc;

use crate::actor::command::Command;
use crate::actor::session_actor::{GuestState, SessionActor};
use crate::actor::state::{Phase, SessionIdentity, SharedState};
use crate::api::principal::Principal;
use crate::context::SessionContext;
use crate::handle::session_handle::SessionHandle;
use crate::lifecycle::readiness::JournalProbe;
use crate::lifecycle::table::{SessionKey, SessionTable};
use crate::limits::quota::QuotaPermit;

/// The most commands in the queue of one session.
const QUEUE_LENGTH: usize = 256;

/// The sequence number of the last record of an episode that has had no request
/// except its setup.
const SETUP_RESPONSE: u64 = 2;

/// The sessions of a server and what they share.
pub(crate) struct SessionRegistry {
    pub(crate) context: Arc<SessionContext>,
    /// The served environments; the first is the default.
    pub(crate) names: Vec<EnvName>,
    pub(crate) table: Arc<SessionTable>,
    pub(crate) journal_probe: JournalProbe,
    stopping: AtomicBool,
}

impl SessionRegistry {
    pub(crate) fn new(context: SessionContext, names: Vec<EnvName>) -> SessionRegistry {
        let max_open_sessions = context.settings.max_open_sessions;
        SessionRegistry {
            context: Arc::new(context),
            names,
            table: Arc::new(SessionTable::new(max_open_sessions)),
            journal_probe: JournalProbe::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Creates no more sessions from now on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Returns whether no more sessions are created.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Starts the actor of a session.
    pub(crate) fn start(
        &self,
        shared: Arc<SharedState>,
        guest: GuestState,
        quota: Option<QuotaPermit>,
    ) -> SessionHandle {
        let (sender, receiver) = mpsc::channel::<Command>(QUEUE_LENGTH);
        let context = self.context.clone();
        let keys = context.results.empty_charge(&shared.identity.owner);
        shared.retries().charge_to(keys);
        let commands = sender.downgrade();
        let actor = SessionActor::new(context.clone(), shared.clone(), commands, guest, quota);
        self.context.engine.spawn(actor.run(receiver));
        SessionHandle::new(context, shared, sender)
    }

    /// Adds a hibernated session from the journal.
    pub(crate) fn restore(&self, episode: &IndexedEpisode) {
        let header = &episode.header;
        let owner = Principal::of(header.owner.as_deref());
        let key = SessionKey::new(&owner, &header.session);
        let identity = SessionIdentity {
            owner,
            id: header.session.clone(),
            episode: episode.id,
            environment: header.environment.clone(),
            component: header.component,
            created: header.created,
            import: header.import.clone(),
            creation: None,
        };
        let result_ttl = self.context.settings.result_ttl;
        let counters = self.context.counters.of_environment(&identity.environment);
        let phase = Phase::Hibernated;
        let shared = Arc::new(SharedState::new(identity, phase, result_ttl, counters));
        if episode.head > SETUP_RESPONSE {
            shared.delivery.set();
        }
        // It counts, even if the limit is lower than before.
        let quota = self.context.session_quota.acquire_over_limit(&key.owner);
        let handle = self.start(shared, GuestState::Hibernated, quota);
        self.table.insert(key, handle);
    }
}
