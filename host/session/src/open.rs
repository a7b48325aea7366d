//! How a session is opened: its guest is made, the episode begun and the
//! beginning written down, in this order, and only then is the client told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::guest::{Guest, NotOpen};
use super::house::House;
use super::owner::Holding;
use super::record::{Awake, Book};
use super::replay;
use super::service::{CreateError, Created, Resumable};
use super::state::{Birthmark, Ground, Identity, Phase, Shared};
use super::table::{Key, Place};
use orwd_catalog::{Environment, InstanceOptions};
use orwd_engine::EntryError;
use orwd_journal::{CreatedRecord, EpisodeId, EpisodeWriter, Hash, JournalError, SealedSecrets};
use orwd_model::{
    ClockMode, DataMode, DeterminismConfig, FaultCode, Json, Secrets, Seed, SleepMode, TOOLSETS,
    Timestamp,
};

/// The time between two looks whether an id is free.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be opened.
pub(super) struct Opening {
    pub(super) env: Environment,
    pub(super) task: Json,
    pub(super) secrets: Secrets,
    pub(super) toolset: Option<String>,
    pub(super) seed: Option<Seed>,
    /// What the request is known by.
    pub(super) imprint: Hash,
}

/// What is open.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) holding: Holding,
    pub(super) created: Created,
}

/// Opens a session. Runs to its end even if the client that asked has gone.
pub(super) async fn open(
    house: &House,
    key: &Key,
    opening: Opening,
) -> Result<Opened, CreateError> {
    let Opening {
        env,
        task,
        secrets,
        toolset,
        seed,
        imprint,
    } = opening;
    let slot = house.slot().await.ok_or(CreateError::Full)?;
    let determinism = DeterminismConfig {
        seed: seed.unwrap_or_else(|| env.seed()),
        start: Timestamp::now(),
        clock: env.clock(),
    };
    let birth = InstanceOptions {
        determinism,
        sleep_mode: SleepMode::RealTime,
        limits: *env.limits(),
        mode: env.mode().clone(),
    };
    let (limits, mode) = (birth.limits, birth.mode.clone());
    // Before the guest sees any of it: what others publish in between is found
    // out when the two are compared, and not taken for what it saw.
    let data = if house.is_kept() {
        env.data_digest().await.map_err(|error| {
            tracing::error!(environment = %env.name(), "its data cannot be read: {error}");
            CreateError::Unwritten
        })?
    } else {
        None
    };
    let episode = EpisodeId::new();
    let sealed = house.journal.seal(&secrets, episode).map_err(unwritten)?;
    let resumable = resumable(house, determinism.clock, &mode, &sealed);
    let publishes = mode.publishes();
    let opened = Guest::open(&env, &key.id, birth, slot, &task, secrets).await;
    let (guest, first_task_tools) = opened.map_err(|error| match error {
        NotOpen::Start(fault) if fault.code == FaultCode::Overloaded => CreateError::Full,
        NotOpen::Start(fault) | NotOpen::Entry(EntryError::Fault(fault)) => {
            CreateError::Faulted(fault)
        }
        NotOpen::Entry(EntryError::Failed(message)) => CreateError::Refused(message),
    })?;
    if let Some(name) = toolset {
        return Err(if TOOLSETS.contains(&name.as_str()) {
            CreateError::NoSandbox(name)
        } else {
            CreateError::UnknownToolset(name)
        });
    }
    let identity = Identity {
        owner: key.owner.clone(),
        id: key.id.clone(),
        episode,
        environment: env.name().clone(),
        component: env.component().digest(),
        created: determinism.start,
        birthmark: Some(Birthmark {
            imprint,
            seed: determinism.seed,
            resumable,
        }),
    };
    let book = if house.is_kept() {
        let created = CreatedRecord {
            owner: key.owner.name().map(str::to_owned),
            session: key.id.clone(),
            environment: identity.environment.clone(),
            component: identity.component,
            data,
            mode,
            task,
            seed: determinism.seed,
            start: determinism.start,
            clock: determinism.clock,
            limits,
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: orwd_engine::ENGINE_SERIES.to_owned(),
            secrets: sealed,
            request: imprint,
            toolset: None,
            parent: None,
        };
        Book::kept(begin(house, episode, created).await?, limits.journal)
    } else {
        Book::none()
    };
    let shared = Shared::new(identity, Phase::Starting, house.settings.result_ttl);
    shared.stand_on(Ground {
        environment: env,
        first_task_tools,
        resumable,
        publishes,
        json_depth: limits.json_depth,
    });
    let created = Created {
        seed: determinism.seed,
        resumable,
        told: shared.told.clone(),
    };
    Ok(Opened {
        shared: Arc::new(shared),
        holding: Holding::Awake(Box::new(Awake { guest, book })),
        created,
    })
}

/// Writes the beginning down. The last life under this id comes first: calls in
/// flight finish after it was deleted, and its end is written behind them.
async fn begin(
    house: &House,
    episode: EpisodeId,
    created: CreatedRecord,
) -> Result<EpisodeWriter, CreateError> {
    let begun = Instant::now();
    loop {
        let (pen, written) = house.journal.begin(episode, created.clone());
        match written.await {
            Ok(()) => return Ok(pen),
            Err(JournalError::Exists { .. }) if begun.elapsed() < house.settings.setup_wait => {
                tokio::time::sleep(LOOK).await;
            }
            Err(error) => return Err(unwritten(error)),
        }
    }
}

pub(super) fn resumable(
    house: &House,
    clock: ClockMode,
    mode: &DataMode,
    secrets: &SealedSecrets,
) -> Resumable {
    if !house.is_kept() {
        Resumable::NoJournal
    } else if !clock.is_replayable() {
        Resumable::RealClock
    } else if *secrets == SealedSecrets::Withheld {
        Resumable::Secrets
    } else if mode.publishes() {
        Resumable::Shared
    } else {
        Resumable::Yes
    }
}

fn unwritten(error: JournalError) -> CreateError {
    tracing::error!("a session does not begin: {error}");
    CreateError::Unwritten
}

/// An id that is taken is created again: the same answer, if the same was
/// asked and the first answer may not have reached the client.
pub(super) async fn again(
    house: &House,
    place: Place,
    imprint: Hash,
) -> Result<Created, CreateError> {
    let handle = match place {
        Place::Reserved(creating) => {
            let left = creating.asker.strong_count() == 0;
            return if left && creating.imprint == imprint {
                outcome(creating.outcome).await
            } else {
                Err(CreateError::Exists)
            };
        }
        Place::Open(handle) => handle,
    };
    let shared = &handle.shared;
    if shared.told.is_noted() {
        return Err(CreateError::Exists);
    }
    let birthmark = match shared.identity.birthmark {
        Some(birthmark) => birthmark,
        None => {
            let history = house.journal.history(shared.identity.episode).await;
            let history = history.map_err(unwritten)?;
            let created = history.created();
            let determinism = replay::determinism(created);
            Birthmark {
                imprint: created.request,
                seed: determinism.seed,
                resumable: resumable(house, determinism.clock, &created.mode, &created.secrets),
            }
        }
    };
    if birthmark.imprint != imprint {
        return Err(CreateError::Exists);
    }
    shared.touch();
    Ok(Created {
        seed: birthmark.seed,
        resumable: birthmark.resumable,
        told: shared.told.clone(),
    })
}

/// What comes of a creation that goes on.
pub(super) async fn outcome(
    mut outcome: watch::Receiver<Option<Result<Created, CreateError>>>,
) -> Result<Created, CreateError> {
    match outcome.wait_for(Option::is_some).await {
        Ok(created) => created.clone().unwrap_or(Err(CreateError::Stopping)),
        Err(_) => Err(CreateError::Stopping),
    }
}
