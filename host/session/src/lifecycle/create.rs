//! Creates a session: opens its guest, then journals the creation. Only then
//! does the client get the response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orwd_catalog::{DataDigestError, Environment};
use orwd_engine::EntryError;
use orwd_journal::{CreatedRecord, CreationContent, EpisodeId, EpisodeWriter, Hash, JournalError};
use orwd_model::{DeterminismConfig, FaultCode, Json, Secrets, Seed, TOOLSETS, Timestamp};

use crate::actor::state::{CreationInfo, Phase, RuntimeInfo, SessionIdentity, SharedState};
use crate::api::create::{CreatedSession, Resumability};
use crate::api::error::CreateError;
use crate::context::SessionContext;
use crate::episode::episode_log::EpisodeLog;
use crate::episode::guest::{Guest, OpenError};
use crate::episode::live_guest::LiveGuest;
use crate::lifecycle::table::SessionKey;

/// The time between two attempts to journal the creation.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// What the message of an environment begins with if it cannot read the task. Any
/// other refusal is its own failure.
const TASK_MISFIT: &str = "the task spec does not fit: ";

/// A checked request to create a session.
pub(crate) struct CreateSpec {
    pub(crate) env: Environment,
    pub(crate) task: Json,
    /// Whether the client wrote the task itself.
    pub(crate) task_by_client: bool,
    pub(crate) secrets: Secrets,
    pub(crate) toolset: Option<String>,
    pub(crate) seed: Option<Seed>,
    /// The fingerprint of the request.
    pub(crate) fingerprint: Hash,
}

/// A session whose actor is not started yet.
pub(crate) struct OpenedSession {
    pub(crate) shared: Arc<SharedState>,
    pub(crate) live: LiveGuest,
    pub(crate) created: CreatedSession,
}

/// Returns what the placeholders of a session name. It depends on the seed alone, so
/// that the same calls give the same results on every host, and does not tell the
/// guest how to name the session to this server.
fn placeholder_id(seed: Seed) -> String {
    let context = "orwd 2026-11 id in the placeholders of secrets";
    let hash = blake3::derive_key(context, &seed.get().to_le_bytes());
    let id = u128::from_le_bytes(*hash.first_chunk().unwrap_or(&[0; 16]));
    format!("{id:032x}")
}

/// Creates a session. Must run to its end even if the client has gone.
pub(crate) async fn create(
    context: &SessionContext,
    key: &SessionKey,
    spec: CreateSpec,
) -> Result<OpenedSession, CreateError> {
    let CreateSpec {
        env,
        task,
        task_by_client,
        mut secrets,
        toolset,
        seed,
        fingerprint,
    } = spec;
    // Refused only after the episode is opened, as the reference does.
    let offered = match &toolset {
        Some(name) => env.offers_toolset(name).then(|| name.clone()),
        None => None,
    };
    let permit = context.acquire_permit(&key.owner).await;
    let permit = permit.ok_or(CreateError::Full)?;
    let determinism = DeterminismConfig {
        seed: seed.unwrap_or_else(|| env.seed()),
        start: Timestamp::now(),
        clock: env.clock(),
    };
    let mut config = env.instance_config(&key.id, determinism);
    config.label.owner = key.owner.name().unwrap_or_default().into();
    config.observe = context.is_journaled();
    config.disk = context.disk_quota.temporary_files(key.owner.name());
    let episode = EpisodeId::new();
    config.memory = Some(context.guest_memory.of_session(&key.owner, episode));
    let (limits, mode) = (config.limits, config.mode.clone());
    // Computed before the guest sees the data. If another session publishes in
    // between, the digests differ at the next replay.
    let data = if context.is_journaled() {
        env.data_digest().await.map_err(|error| {
            tracing::error!(environment = %env.name(), "environment data cannot be read: {error}");
            match error {
                DataDigestError::Outgrown { for_clients, .. } => {
                    CreateError::DataOutgrown(for_clients)
                }
                DataDigestError::Io(_) => CreateError::JournalUnavailable,
            }
        })?
    } else {
        None
    };
    if !secrets.is_empty() && env.network().hides_secrets() {
        secrets.hide_as(placeholder_id(determinism.seed));
    }
    let sealed = context
        .journal
        .seal(&secrets, episode, env.component().digest())
        .map_err(journal_unavailable)?;
    let journaled = context.is_journaled();
    let resumability = Resumability::new(journaled, determinism.clock, &mode, &sealed);
    let publishes = mode.publishes();
    let opened = Guest::open(&env, config, permit, &task, secrets, offered.clone()).await;
    let (guest, first_task_tools) = opened.map_err(|error| match error {
        OpenError::Start(fault) | OpenError::Entry(EntryError::Fault(fault))
            if fault.code == FaultCode::Overloaded =>
        {
            CreateError::Full
        }
        OpenError::Start(fault) | OpenError::Entry(EntryError::Fault(fault)) => {
            CreateError::Faulted(fault)
        }
        OpenError::Entry(EntryError::Failed(message))
            if task_by_client && message.starts_with(TASK_MISFIT) =>
        {
            CreateError::InvalidTask(message)
        }
        OpenError::Entry(EntryError::Failed(message)) => CreateError::Refused(message),
    })?;
    if let Some(name) = toolset
        && offered.is_none()
    {
        return Err(if TOOLSETS.contains(&name.as_str()) {
            CreateError::NoSandbox(name)
        } else {
            CreateError::UnknownToolset(name)
        });
    }
    let identity = SessionIdentity {
        owner: key.owner.clone(),
        id: key.id.clone(),
        episode,
        environment: env.name().clone(),
        component: env.component().digest(),
        created: determinism.start,
        import: None,
        creation: Some(CreationInfo {
            fingerprint,
            seed: determinism.seed,
            resumability,
        }),
    };
    let log = if journaled {
        let created = CreatedRecord {
            owner: key.owner.name().map(str::to_owned),
            session: key.id.clone(),
            environment: identity.environment.clone(),
            component: identity.component,
            data,
            observed: guest.observed(),
            mode,
            task,
            seed: determinism.seed,
            start: determinism.start,
            clock: determinism.clock,
            limits,
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: orwd_engine::ENGINE_SERIES.to_owned(),
            secrets: sealed,
            request: fingerprint,
            toolset: offered.clone(),
            parent: None,
            content: CreationContent::Plain,
            sealed_for: None,
        };
        let writer = journal_creation(context, episode, created).await?;
        EpisodeLog::new(
            writer,
            limits.journal,
            guest.observed(),
            env.network().sends(),
        )
    } else {
        EpisodeLog::disabled()
    };
    let result_ttl = context.settings.result_ttl;
    let counters = context.counters.of_environment(&identity.environment);
    let shared = SharedState::new(identity, Phase::Starting, result_ttl, counters);
    shared.set_runtime(RuntimeInfo {
        environment: env,
        first_task_tools,
        toolset: offered,
        resumability,
        publishes,
        json_depth: limits.json_depth,
    });
    let created = CreatedSession {
        seed: determinism.seed,
        resumability,
        delivery: shared.delivery.clone(),
    };
    Ok(OpenedSession {
        shared: Arc::new(shared),
        live: LiveGuest { guest, log },
        created,
    })
}

/// Journals the creation. An earlier session of this id may have been deleted
/// while calls were in flight; its end is journaled first.
async fn journal_creation(
    context: &SessionContext,
    episode: EpisodeId,
    created: CreatedRecord,
) -> Result<EpisodeWriter, CreateError> {
    let start = Instant::now();
    loop {
        let (writer, written) = context.journal.begin(episode, created.clone());
        match written.await {
            Ok(()) => return Ok(writer),
            Err(JournalError::Exists { .. }) if start.elapsed() < context.settings.setup_wait => {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            Err(error) => return Err(journal_unavailable(error)),
        }
    }
}

pub(crate) fn journal_unavailable(error: JournalError) -> CreateError {
    tracing::error!("session not created: {error}");
    CreateError::JournalUnavailable
}
