//! Forks a session: creates sessions that share its history up to a step.
//!
//! A child refers to the records of its parent in the journal, also if they are
//! sealed. The parent is not involved, and may process requests meanwhile. A guest
//! cannot be copied while it lives, so each child replays the history for itself,
//! all of them concurrently.
//!
//! A child passes the same admission as a session that a client creates.

use std::sync::{Arc, Weak};

use orwd_journal::{
    CreatedRecord, EpisodeId, ExchangeRecord, ForkOrigin, Hash, ImportOrigin, JournalError,
    OutcomeRecord, Record, SealedSecrets,
};
use orwd_model::{ClockMode, SessionId};
use tokio::sync::watch;

use crate::actor::command::EndCause;
use crate::actor::session_actor::GuestState;
use crate::actor::state::{Phase, SessionIdentity, SharedState};
use crate::admin::shared_past::{self, SharedPast};
use crate::api::error::{AdminError, SessionError};
use crate::api::service::Session;
use crate::episode::journal_steps::PAGE_BYTES;
use crate::handle::session_handle::SessionHandle;
use crate::lifecycle::registry::SessionRegistry;
use crate::lifecycle::table::{PendingCreation, Reservation, ReserveError, SessionKey};
use crate::limits::history_reader::HistoryPermit;
use crate::limits::quota::{QuotaExceeded, QuotaPermit};

/// The most children of one request.
const MAX_CHILDREN: u32 = 256;

/// Bytes that the journal hashes for children before it serves others again.
const HASHED_AT_ONCE: u64 = 32 << 20;

/// Bytes of a child's first record and its row in the index, about, without the
/// task.
const CHILD_BYTES: u64 = 4 << 10;

/// Forks a session after this many of its calls, or after all. The permit to
/// read its history is released before the children resume, which read theirs.
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
    let past = shared_past::read(&registry.context.journal, identity.episode, at).await?;
    let created = &past.created;
    if created.clock == ClockMode::Real || created.secrets == SealedSecrets::Withheld {
        return Err(AdminError::NotReplayable);
    }
    let mut children = Vec::new();
    let forked = create_children(registry, parent, &past, count, &mut children).await;
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
    let created = u64::try_from(children.len()).unwrap_or(u64::MAX);
    registry.context.counters.created.inc_by(created);
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
    past: &SharedPast,
    count: u32,
    children: &mut Vec<(SessionId, SessionHandle)>,
) -> Result<(), AdminError> {
    let context = &registry.context;
    let shared_until = past.shared_until();
    let bytes = child_bytes(past, shared_until.is_none()) * u64::from(count);
    let owner = parent.shared.identity.owner.name();
    let disk = context.disk_quota.admit_exactly(owner, bytes).await;
    let disk = disk.map_err(AdminError::Disk)?;
    let mut prepared = Vec::new();
    for _ in 0..count {
        prepared.push(prepare_child(registry, parent, past)?);
    }
    let written = match shared_until {
        Some(slot) => {
            let mut written = Vec::new();
            for some in prepared.chunks(children_at_once(past.bytes)) {
                let records = some
                    .iter()
                    .map(|child| (child.episode, child.created.clone(), child.import.clone()));
                let forked = context.journal.fork(past.episode, slot, records.collect());
                written.extend(forked.await?);
            }
            written
        }
        None => {
            let mut written = Vec::new();
            for child in &prepared {
                written.push(copy_steps(registry, child, past).await);
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

/// Returns how many children are written at once. The journal hashes the whole past
/// for each of them, and writes nothing else meanwhile.
fn children_at_once(past_bytes: u64) -> usize {
    let fit = HASHED_AT_ONCE / past_bytes.max(1);
    usize::try_from(fit).unwrap_or(usize::MAX).max(1)
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

/// Returns the bytes that a child takes on disk at once, about.
fn child_bytes(past: &SharedPast, copied: bool) -> u64 {
    let task = past.created.task.as_str().len();
    let first = CHILD_BYTES + u64::try_from(task).unwrap_or_default();
    if copied { first + past.bytes } else { first }
}

/// Reserves the id and the quota of one child, and builds its first record.
fn prepare_child(
    registry: &Arc<SessionRegistry>,
    parent: &SessionHandle,
    past: &SharedPast,
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
    let secrets = context
        .journal
        .unseal_created(past.episode, &past.created)?;
    let created = CreatedRecord {
        // That in an imported record is a claim of its file.
        owner: owner.name().map(str::to_owned),
        session: id,
        secrets: context
            .journal
            .seal(&secrets, episode, past.created.component)?,
        request: Hash::from_bytes(rand::random()),
        parent: Some(ForkOrigin {
            episode: past.episode,
            seq: past.last,
        }),
        sealed_for: past.sealed_for(),
        ..(*past.created).clone()
    };
    let import = parent.shared.identity.import.as_ref();
    let import = import.map(|import| ImportOrigin {
        // The first record, and those of each step.
        records: 1 + past.foreign_records,
        data: import.data.clone(),
    });
    Ok(PreparedChild {
        reservation,
        quota,
        episode,
        created,
        import,
    })
}

/// Writes a child with copies of the steps, which are read a page at a time.
async fn copy_steps(
    registry: &Arc<SessionRegistry>,
    child: &PreparedChild,
    past: &SharedPast,
) -> Result<(), JournalError> {
    let journal = &registry.context.journal;
    let (episode, created) = (child.episode, child.created.clone());
    let (mut writer, mut written) = journal.begin_fork(episode, created, child.import.clone());
    let mut of = 0;
    let mut pages = journal.pages(past.episode).await?;
    loop {
        let (rest, records) = journal.next_page(pages, PAGE_BYTES).await?;
        let more = records.last().is_some_and(|record| record.seq < past.last);
        let shared = records.into_iter().filter(|record| record.seq <= past.last);
        for scanned in shared {
            match scanned.record {
                Record::Request(request) => {
                    of = writer.next();
                    // A response is committed after its request or not at all.
                    writer.append_deferred(&Record::Request(request));
                }
                Record::Outcome(outcome) => {
                    // One after the other, so that copies do not fill the queue.
                    written.await?;
                    let copy = OutcomeRecord { of, ..*outcome };
                    written = writer.append(&Record::Outcome(Box::new(copy)));
                }
                Record::Exchange(made) => {
                    written.await?;
                    let copy = ExchangeRecord { of, ..*made };
                    written = writer.append(&Record::Exchange(Box::new(copy)));
                }
                Record::Created(_) | Record::Ended(_) => {}
            }
        }
        if !more {
            return written.await;
        }
        pages = rest;
    }
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
    let counters = registry
        .context
        .counters
        .of_environment(&identity.environment);
    let phase = Phase::Hibernated;
    let shared = Arc::new(SharedState::new(identity, phase, result_ttl, counters));
    shared.delivery.set();
    let handle = registry.start(shared, GuestState::Hibernated, quota);
    reservation.fill(handle.clone());
    (id, handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_a_long_session_are_written_a_few_at_a_time() {
        for (past, children) in [(0, 32 << 20), (1 << 20, 32), (16 << 20, 2), (192 << 20, 1)] {
            assert_eq!(children_at_once(past), children, "{past}");
        }
    }
}
