//! Inspection of sessions, from the journal where a session is not open.

use orwd_journal::{EpisodeHistory, Journal};
use orwd_model::SessionId;
use tokio::sync::oneshot;

use crate::admin::fork::fork;
use crate::admin::summary::{detail, ended_session, open_session};
use crate::api::error::AdminError;
use crate::api::principal::Principal;
use crate::api::service::AdminApi;
use crate::api::summary::{SessionDetail, SessionSummary};
use crate::lifecycle::manager::SessionManager;
use crate::lifecycle::table::SessionKey;

impl AdminApi for SessionManager {
    fn summaries(&self, owner: &Principal) -> Vec<SessionSummary> {
        let mut summaries: Vec<SessionSummary> = self
            .0
            .table
            .handles()
            .iter()
            .filter(|(key, _)| key.owner == *owner)
            .map(|(_, handle)| open_session(&handle.shared))
            .collect();
        summaries.sort_by(|a, b| (a.created_ms, &a.session).cmp(&(b.created_ms, &b.session)));
        summaries
    }

    async fn detail(&self, owner: &Principal, id: &SessionId) -> Result<SessionDetail, AdminError> {
        let journal = &self.0.context.journal;
        if let Some(handle) = self.0.table.find(&SessionKey::new(owner, id)) {
            let history = journal.history(handle.shared.identity.episode).await?;
            let keys = receipt_keys(journal, &history).await?;
            return Ok(detail(open_session(&handle.shared), &history, keys));
        }
        let episode = self.episode(owner, id).await?;
        let history = journal.history(episode).await?;
        let keys = receipt_keys(journal, &history).await?;
        Ok(detail(ended_session(id, &history), &history, keys))
    }

    async fn receipt(&self, owner: &Principal, id: &SessionId) -> Result<String, AdminError> {
        let episode = self.episode(owner, id).await?;
        let receipt = self.0.context.journal.receipt(episode).await?;
        receipt
            .to_json()
            .map_err(|error| AdminError::Damaged(error.to_string()))
    }

    async fn fork(
        &self,
        owner: &Principal,
        id: &SessionId,
        at: Option<u64>,
        count: u32,
    ) -> Result<Vec<SessionId>, AdminError> {
        let parent = self.0.table.find(&SessionKey::new(owner, id));
        let parent = parent.ok_or(AdminError::NoSession)?;
        let registry = self.0.clone();
        let (done, forked) = oneshot::channel();
        // Children that are in the journal become sessions even if the client
        // leaves meanwhile; then nobody receives their ids.
        self.0.context.engine.spawn(async move {
            let _ = done.send(fork(&registry, &parent, at, count).await);
        });
        forked.await.unwrap_or(Err(AdminError::JournalUnavailable))
    }
}

/// Returns the keys of the receipts that came with an imported session.
async fn receipt_keys(
    journal: &Journal,
    history: &EpisodeHistory,
) -> Result<Vec<String>, AdminError> {
    if history.imported() == 0 {
        return Ok(Vec::new());
    }
    Ok(journal.receipt_keys(history.episode()).await?)
}
