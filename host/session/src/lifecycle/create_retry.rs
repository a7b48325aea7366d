//! Answers a `/create` request for an id that is taken.
//!
//! If it repeats the request that created the session, and the first response
//! may not have reached the client, it gets the same response.

use orwd_journal::Hash;
use tokio::sync::watch;

use crate::actor::state::CreationInfo;
use crate::api::create::{CreatedSession, Resumability};
use crate::api::error::CreateError;
use crate::context::SessionContext;
use crate::episode::replay;
use crate::lifecycle::create::journal_unavailable;
use crate::lifecycle::table::TableEntry;

/// Why a creation is not looked up at the moment.
const HISTORIES_BUSY: &str = "too many sessions are read from the journal; try again \
                              (--history-memory)";

/// Returns the response of a `/create` request for this entry.
pub(crate) async fn create_again(
    context: &SessionContext,
    entry: TableEntry,
    fingerprint: Hash,
) -> Result<CreatedSession, CreateError> {
    let handle = match entry {
        TableEntry::Reserved(creation) => {
            let client_left = creation.client.strong_count() == 0;
            return if client_left && creation.fingerprint == fingerprint {
                result(creation.result).await
            } else {
                Err(CreateError::Exists)
            };
        }
        TableEntry::Open(handle) => handle,
    };
    let shared = &handle.shared;
    if shared.delivery.is_set() {
        return Err(CreateError::Exists);
    }
    let creation = match shared.identity.creation {
        Some(creation) => creation,
        None => {
            let owner = &shared.identity.owner;
            let permit = context.histories.scan(owner).await;
            let permit = permit.map_err(|_| CreateError::Busy(HISTORIES_BUSY))?;
            let episode = shared.identity.episode;
            let history = context.journal.history_with(episode, move |_, _| {
                // Kept until the history has been read.
                let _ = &permit;
                false
            });
            let history = history.await.map_err(journal_unavailable)?;
            let created = history.created();
            let determinism = replay::determinism(created);
            CreationInfo {
                fingerprint: created.request,
                seed: determinism.seed,
                resumability: Resumability::new(
                    context.is_journaled(),
                    determinism.clock,
                    &created.mode,
                    &created.secrets,
                ),
            }
        }
    };
    if creation.fingerprint != fingerprint {
        return Err(CreateError::Exists);
    }
    shared.touch();
    Ok(CreatedSession {
        seed: creation.seed,
        resumability: creation.resumability,
        delivery: shared.delivery.clone(),
    })
}

/// Waits for the result of a creation in progress.
pub(crate) async fn result(
    mut result: watch::Receiver<Option<Result<CreatedSession, CreateError>>>,
) -> Result<CreatedSession, CreateError> {
    match result.wait_for(Option::is_some).await {
        Ok(created) => created.clone().unwrap_or(Err(CreateError::Stopping)),
        Err(_) => Err(CreateError::Stopping),
    }
}
