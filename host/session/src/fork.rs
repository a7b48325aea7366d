//! Sessions that share the past of another up to a step, and nothing after.
//!
//! The past is copied from the journal: the parent itself is not asked, and may
//! go on meanwhile. Each child then does it again for itself, all of them side
//! by side, since a guest cannot be copied while it lives.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::handle::Handle;
use super::overview::is_counted;
use super::owner::{Ending, Holding};
use super::service::{BeyondError, Session, SessionError};
use super::sessions::Inner;
use super::shares::AllTaken;
use super::state::{Identity, Phase, Shared};
use super::table::{Creating, Key, Reservation, Taken};
use orwd_journal::{
    CreatedRecord, EpisodeHistory, EpisodeId, EpisodeStep, ForkOrigin, Hash, OutcomeRecord, Record,
    SealedSecrets,
};
use orwd_model::{ClockMode, SessionId};

/// Children of one request at most.
pub(super) const MOST: u32 = 256;

/// Forks a session after this many of its calls, or after all.
pub(super) async fn fork(
    inner: &Arc<Inner>,
    parent: &Handle,
    at: Option<u64>,
    count: u32,
) -> Result<Vec<SessionId>, BeyondError> {
    if count == 0 || count > MOST {
        return Err(BeyondError::Count(MOST));
    }
    let house = &inner.house;
    let history = house
        .journal
        .history(parent.shared.identity.episode)
        .await
        .map_err(BeyondError::from)?;
    let created = history.created();
    if created.clock == ClockMode::Real || created.secrets == SealedSecrets::Withheld {
        return Err(BeyondError::NotReplayable);
    }
    let past = past(&history, at)?;
    let mut children = Vec::new();
    let born = bear(inner, parent, &history, past, count, &mut children).await;
    if let Err(error) = born {
        // Nobody would ever hear of them.
        for (id, _) in &children {
            let key = Key::new(&parent.shared.identity.owner, id);
            if let Some(child) = inner.table.remove_if(&key, |_| true) {
                child.end(Ending::Deleted).await;
            }
        }
        return Err(error);
    }
    Ok(children.into_iter().map(|(id, _)| id).collect())
}

/// Makes the children, all of them side by side. Those of a failure are left to
/// the caller.
async fn bear(
    inner: &Arc<Inner>,
    parent: &Handle,
    history: &EpisodeHistory,
    past: &[EpisodeStep],
    count: u32,
    children: &mut Vec<(SessionId, Handle)>,
) -> Result<(), BeyondError> {
    for _ in 0..count {
        children.push(child(inner, parent, history, past).await?);
    }
    for (_, handle) in children.iter() {
        handle.wake();
    }
    for (_, handle) in children.iter() {
        // Others are ready later, or in the state that their parent was in.
        if let Err(SessionError::Lost(why)) = handle.ready().await {
            return Err(BeyondError::Lost(why));
        }
    }
    Ok(())
}

/// The answered steps up to and including so many calls.
fn past(history: &EpisodeHistory, at: Option<u64>) -> Result<&[EpisodeStep], BeyondError> {
    let steps = history.steps();
    let answered = steps
        .iter()
        .position(|step| step.outcome.is_none())
        .unwrap_or(steps.len());
    let answered = steps.get(..answered).unwrap_or_default();
    let Some(at) = at else {
        return Ok(answered);
    };
    let mut calls = 0;
    for (place, step) in answered.iter().enumerate() {
        if is_counted(step) {
            if calls == at {
                return Ok(answered.get(..place).unwrap_or_default());
            }
            calls += 1;
        }
    }
    if calls == at {
        Ok(answered)
    } else {
        Err(BeyondError::NoSuchStep(calls))
    }
}

async fn child(
    inner: &Arc<Inner>,
    parent: &Handle,
    history: &EpisodeHistory,
    past: &[EpisodeStep],
) -> Result<(SessionId, Handle), BeyondError> {
    let house = &inner.house;
    let text = uuid::Uuid::from_u128(rand::random())
        .hyphenated()
        .to_string();
    let id = SessionId::new(&text).ok_or(BeyondError::Unwritten)?;
    let owner = parent.shared.identity.owner.clone();
    let creating = Creating {
        imprint: Hash::from_bytes(rand::random()),
        asker: Weak::new(),
        outcome: watch::channel(None).1,
    };
    let key = Key::new(&owner, &id);
    let reservation = Reservation::new(&inner.table, key, creating);
    let reservation = reservation.map_err(|taken| match taken {
        Taken::Full => BeyondError::Full,
        // Nobody else draws this id.
        Taken::By(_) => BeyondError::Unwritten,
    })?;

    let share = house.held.take(&owner);
    let share = share.map_err(|AllTaken| BeyondError::TooMany)?;

    let episode = EpisodeId::new();
    let secrets = house
        .journal
        .unseal(&history.created().secrets, history.episode())?;
    let created = CreatedRecord {
        session: id.clone(),
        secrets: house.journal.seal(&secrets, episode)?,
        request: Hash::from_bytes(rand::random()),
        parent: Some(ForkOrigin {
            episode: history.episode(),
            seq: past
                .last()
                .and_then(|step| step.outcome.as_ref())
                .map_or(0, |answer| answer.seq),
        }),
        ..history.created().clone()
    };
    let identity = Identity {
        owner,
        id: id.clone(),
        episode,
        environment: created.environment.clone(),
        component: created.component,
        created: created.start,
        birthmark: None,
    };
    let (mut pen, mut written) = house.journal.begin(episode, created);
    for step in past {
        let Some(answer) = &step.outcome else {
            continue;
        };
        let of = pen.next();
        // An answer is committed after its ask or not at all.
        pen.append_deferred(&Record::Request(Box::new(step.record.clone())));
        written = pen.append(&Record::Outcome(Box::new(OutcomeRecord {
            of,
            ..answer.record.clone()
        })));
    }
    written.await?;
    let linger = house.settings.result_ttl;
    let shared = Arc::new(Shared::new(identity, Phase::Asleep, linger));
    shared.told.note();
    let handle = inner.start(shared, Holding::Asleep, share);
    reservation.fill(handle.clone());
    Ok((id, handle))
}
