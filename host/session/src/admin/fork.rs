//! Forks a session: creates sessions that share its history up to a step.
//!
//! The history is copied from the journal. The parent is not involved, and may
//! process requests meanwhile. A guest cannot be copied while it lives, so each
//! child replays the history for itself, all of them concurrently.

use std::sync::{Arc, Weak};

use orwd_journal::{
    CreatedRecord, EpisodeHistory, EpisodeId, EpisodeStep, ForkOrigin, Hash, ImportOrigin,
    OutcomeRecord, Record, SealedSecrets,
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
use crate::limits::quota::QuotaExceeded;

/// The most children of one request.
const MAX_CHILDREN: u32 = 256;

/// Forks a session after this many of its calls, or after all.
pub(super) async fn fork(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    at: Option<u64>,
    count: u32,
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

/// Creates the children, all of them concurrently. After a failure the caller
/// removes those in `children`.
async fn create_children(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    history: &EpisodeHistory,
    shared_steps: &[EpisodeStep],
    count: u32,
    children: &mut Vec<(SessionId, SessionHandle)>,
) -> Result<(), AdminError> {
    for _ in 0..count {
        children.push(create_child(registry, parent, history, shared_steps).await?);
    }
    for (_, handle) in children.iter() {
        handle.resume();
    }
    for (_, handle) in children.iter() {
        // Other errors mean that it needs more time, or is in the same state as
        // its parent was.
        if let Err(SessionError::Lost(reason)) = handle.ready().await {
            return Err(AdminError::Lost(reason));
        }
    }
    Ok(())
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

/// Creates one child: copies the shared steps into a new episode, and adds the
/// hibernated session.
async fn create_child(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    history: &EpisodeHistory,
    shared_steps: &[EpisodeStep],
) -> Result<(SessionId, SessionHandle), AdminError> {
    let context = &registry.context;
    let text = uuid::Uuid::from_u128(rand::random())
        .hyphenated()
        .to_string();
    let id = SessionId::new(&text).ok_or(AdminError::JournalUnavailable)?;
    let owner = parent.shared.identity.owner.clone();
    // No `/create` request can be a repetition of this one.
    let creation = PendingCreation {
        fingerprint: Hash::from_bytes(rand::random()),
        client: Weak::new(),
        result: watch::channel(None).1,
    };
    let key = SessionKey::new(&owner, &id);
    let reservation = Reservation::new(&registry.table, key, creation);
    let reservation = reservation.map_err(|error| match error {
        ReserveError::Full => AdminError::Full,
        // The id is random.
        ReserveError::Taken(_) => AdminError::JournalUnavailable,
    })?;
    let quota = context
        .session_quota
        .try_acquire(&owner)
        .map_err(|QuotaExceeded| AdminError::TooManySessions)?;

    let episode = EpisodeId::new();
    let secrets = context.journal.unseal(history)?;
    let created = CreatedRecord {
        // That in an imported record is a claim of its file.
        owner: owner.name().map(str::to_owned),
        session: id.clone(),
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
    let identity = SessionIdentity {
        owner,
        id: id.clone(),
        episode,
        environment: created.environment.clone(),
        component: created.component,
        created: created.start,
        import: import.clone(),
        creation: None,
    };
    let (mut writer, mut written) = context.journal.begin_fork(episode, created, import);
    for step in shared_steps {
        let Some(answer) = &step.outcome else {
            continue;
        };
        let of = writer.next();
        // A response is committed after its request or not at all.
        writer.append_deferred(&Record::Request(Box::new(step.record.clone())));
        written = writer.append(&Record::Outcome(Box::new(OutcomeRecord {
            of,
            ..answer.record.clone()
        })));
    }
    written.await?;
    let result_ttl = context.settings.result_ttl;
    let shared = Arc::new(SharedState::new(identity, Phase::Hibernated, result_ttl));
    shared.delivery.set();
    let handle = registry.start(shared, GuestState::Hibernated, quota);
    reservation.fill(handle.clone());
    Ok((id, handle))
}
