//! Forks a session: creates sessions that share its history up to a step.
//!
//! A child refers to the records of its parent in the journal. Content that is
//! sealed is bound to its episode, so it is sealed again for each child. The
//! parent is not involved, and may process requests meanwhile. A guest cannot be
//! copied while it lives, so each child replays the history for itself, all of
//! them concurrently.
//!
//! A child passes the same admission as a session that a client creates.

use std::sync::{Arc, Weak};

use orwd_journal::{
    CreatedRecord, EpisodeHistory, EpisodeId, EpisodeStep, ForkOrigin, Hash, ImportOrigin,
    JournalError, OutcomeRecord, Record, SealedSecrets,
};
use orwd_model::{ClockMode, SessionId};
use tokio::sync::watch;

use crate::actor::command::EndCause;
use crate::actor::session_actor::GuestState;
use crate::actor::state::{Phase, SessionIdentity, SharedState};
use crate::admin::summary::is_counted;
use crate::api::error::{AdminError, SessionError};
use crate::api::service::Session;
use crate::handle::session_handle::SessionHandle;
use crate::lifecycle::registry::SessionRegistry;
use crate::lifecycle::table::{PendingCreation, Reservation, ReserveError, SessionKey};
use crate::limits::history_reader::HistoryPermit;
use crate::limits::quota::{QuotaExceeded, QuotaPermit};

/// The most children of one request.
const MAX_CHILDREN: u32 = 256;

/// Bytes of a child's first record and its row in the index, about, without the
/// task.
const CHILD_BYTES: u64 = 4 << 10;

/// Forks a session after this many of its calls, or after all. The permit to
/// hold its history is released before the children resume, which read theirs.
pub(super) async fn fork(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    at: Option<u64>,
    count: u32,
    reading: HistoryPermit,
) -> Result<Vec<SessionId>, AdminError> {
    if count == 0 || count > MAX_CHILDREN {
        return Err(AdminError::InvalidCount(MAX_CHILDREN));
    }
    let identity = &parent.shared.identity;
    let history = registry.context.journal.history(identity.episode).await?;
    let created = history.created();
    if created.clock == ClockMode::Real || created.secrets == SealedSecrets::Withheld {
        return Err(AdminError::NotReplayable);
    }
    let shared_steps = steps_until(&history, at)?;
    let mut children = Vec::new();
    let forked = create_children(
        registry,
        parent,
        &history,
        shared_steps,
        count,
        &mut children,
    )
    .await;
    drop(history);
    drop(reading);
    let forked = match forked {
        Ok(()) => resume_children(&children).await,
        failed => failed,
    };
    if let Err(error) = forked {
        // The client does not get their ids.
        for (id, _) in &children {
            let key = SessionKey::new(&identity.owner, id);
            if let Some(child) = registry.table.remove(&key) {
                child.end(EndCause::Deleted).await;
            }
        }
        return Err(error);
    }
    Ok(children.into_iter().map(|(id, _)| id).collect())
}

/// A child that is not in the journal yet.
struct PreparedChild {
    reservation: Reservation,
    quota: Option<QuotaPermit>,
    episode: EpisodeId,
    created: CreatedRecord,
    import: Option<ImportOrigin>,
}

/// Creates the children. After a failure the caller removes those in `children`.
async fn create_children(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    history: &EpisodeHistory,
    shared_steps: &[EpisodeStep],
    count: u32,
    children: &mut Vec<(SessionId, SessionHandle)>,
) -> Result<(), AdminError> {
    let context = &registry.context;
    let shared_until = shared_until(history, shared_steps);
    let bytes = child_bytes(history, shared_until.is_none()) * u64::from(count);
    let owner = parent.shared.identity.owner.name();
    let disk = context.disk_quota.admit_exactly(owner, bytes).await;
    let disk = disk.map_err(AdminError::Disk)?;
    let mut prepared = Vec::new();
    for _ in 0..count {
        prepared.push(prepare_child(registry, parent, history, shared_steps)?);
    }
    let written = match shared_until {
        Some(slot) => {
            let records = prepared
                .iter()
                .map(|child| (child.episode, child.created.clone(), child.import.clone()));
            let written = context
                .journal
                .fork(history.episode(), slot, records.collect());
            written.await?
        }
        None => {
            let mut written = Vec::new();
            for child in &prepared {
                written.push(copy_steps(registry, child, shared_steps).await);
            }
            written
        }
    };
    let mut failed = None;
    for (child, written) in prepared.into_iter().zip(written) {
        match written {
            Ok(()) => children.push(start_child(registry, parent, child)),
            Err(error) => failed = Some(error),
        }
    }
    drop(disk);
    if let Some(error) = failed {
        return Err(error.into());
    }
    Ok(())
}

/// Resumes the children, all of them concurrently.
async fn resume_children(children: &[(SessionId, SessionHandle)]) -> Result<(), AdminError> {
    for (_, handle) in children {
        handle.resume();
    }
    for (_, handle) in children {
        // Other errors mean that it needs more time, or is in the same state as
        // its parent was.
        if let Err(SessionError::Lost(reason)) = handle.ready().await {
            return Err(AdminError::Lost(reason));
        }
    }
    Ok(())
}

/// Returns the slot up to which the children can share the parent's records.
/// `None` if the steps must be copied: there are none, they are sealed for the
/// parent, or records of no step lie between them.
fn shared_until(history: &EpisodeHistory, shared_steps: &[EpisodeStep]) -> Option<u64> {
    let mut slot = 0;
    for step in shared_steps {
        let outcome = step.outcome.as_ref()?;
        if step.seq != slot + 1 || outcome.seq != slot + 2 {
            return None;
        }
        slot = outcome.seq;
    }
    (slot > 0 && history.created().secrets == SealedSecrets::None).then_some(slot)
}

/// Returns the bytes that a child takes on disk at once, about.
fn child_bytes(history: &EpisodeHistory, copied: bool) -> u64 {
    let task = history.created().task.as_str().len();
    let first = CHILD_BYTES + u64::try_from(task).unwrap_or_default();
    if copied {
        first + history.bytes()
    } else {
        first
    }
}

/// Returns the steps with a response, up to and including this many calls.
fn steps_until(history: &EpisodeHistory, at: Option<u64>) -> Result<&[EpisodeStep], AdminError> {
    let steps = history.steps();
    let completed = steps
        .iter()
        .position(|step| step.outcome.is_none())
        .unwrap_or(steps.len());
    let completed = steps.get(..completed).unwrap_or_default();
    let Some(at) = at else {
        return Ok(completed);
    };
    let mut calls = 0;
    for (index, step) in completed.iter().enumerate() {
        if is_counted(step) {
            if calls == at {
                return Ok(completed.get(..index).unwrap_or_default());
            }
            calls += 1;
        }
    }
    if calls == at {
        Ok(completed)
    } else {
        Err(AdminError::NoSuchStep(calls))
    }
}

/// Reserves the id and the quota of one child, and builds its first record.
fn prepare_child(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    history: &EpisodeHistory,
    shared_steps: &[EpisodeStep],
) -> Result<PreparedChild, AdminError> {
    let context = &registry.context;
    let text = uuid::Uuid::from_u128(rand::random())
        .hyphenated()
        .to_string();
    let id = SessionId::new(&text).ok_or(AdminError::JournalUnavailable)?;
    let owner = &parent.shared.identity.owner;
    // No `/create` request can be a repetition of this one.
    let creation = PendingCreation {
        fingerprint: Hash::from_bytes(rand::random()),
        client: Weak::new(),
        result: watch::channel(None).1,
    };
    let key = SessionKey::new(owner, &id);
    let reservation = Reservation::new(&registry.table, key, creation);
    let reservation = reservation.map_err(|error| match error {
        ReserveError::Full => AdminError::Full,
        // The id is random.
        ReserveError::Taken(_) => AdminError::JournalUnavailable,
    })?;
    let quota = context
        .session_quota
        .try_acquire(owner)
        .map_err(|QuotaExceeded| AdminError::TooManySessions)?;
    let episode = EpisodeId::new();
    let secrets = context.journal.unseal(history)?;
    let created = CreatedRecord {
        // That in an imported record is a claim of its file.
        owner: owner.name().map(str::to_owned),
        session: id,
        secrets: context
            .journal
            .seal(&secrets, episode, history.created().component)?,
        request: Hash::from_bytes(rand::random()),
        parent: Some(ForkOrigin {
            episode: history.episode(),
            seq: shared_steps
                .last()
                .and_then(|step| step.outcome.as_ref())
                .map_or(0, |answer| answer.seq),
        }),
        ..history.created().clone()
    };
    let import = parent.shared.identity.import.as_ref().map(|import| {
        let foreign = |step: &&EpisodeStep| !history.ran_here(step);
        let steps = shared_steps.iter().filter(foreign).count() as u64;
        ImportOrigin {
            // The first record, and a request and an outcome for each step.
            records: 1 + 2 * steps,
            data: import.data.clone(),
        }
    });
    Ok(PreparedChild {
        reservation,
        quota,
        episode,
        created,
        import,
    })
}

/// Writes a child with copies of the steps.
async fn copy_steps(
    registry: &Arc<SessionRegistry>,
    child: &PreparedChild,
    shared_steps: &[EpisodeStep],
) -> Result<(), JournalError> {
    let journal = &registry.context.journal;
    let (episode, created) = (child.episode, child.created.clone());
    let (mut writer, mut written) = journal.begin_fork(episode, created, child.import.clone());
    for step in shared_steps {
        let Some(answer) = &step.outcome else {
            continue;
        };
        let of = writer.next();
        // A response is committed after its request or not at all.
        writer.append_deferred(&Record::Request(Box::new(step.record.clone())));
        // One after the other, so that copies do not fill the queue.
        written.await?;
        written = writer.append(&Record::Outcome(Box::new(OutcomeRecord {
            of,
            ..answer.record.clone()
        })));
    }
    written.await
}

/// Adds a child that is in the journal as a hibernated session.
fn start_child(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    child: PreparedChild,
) -> (SessionId, SessionHandle) {
    let PreparedChild {
        reservation,
        quota,
        episode,
        created,
        import,
    } = child;
    let id = created.session;
    let identity = SessionIdentity {
        owner: parent.shared.identity.owner.clone(),
        id: id.clone(),
        episode,
        environment: created.environment,
        component: created.component,
        created: created.start,
        import,
        creation: None,
    };
    let result_ttl = registry.context.settings.result_ttl;
    let shared = Arc::new(SharedState::new(identity, Phase::Hibernated, result_ttl));
    shared.delivery.set();
    let handle = registry.start(shared, GuestState::Hibernated, quota);
    reservation.fill(handle.clone());
    (id, handle)
}
