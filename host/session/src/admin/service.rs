//! Inspection of sessions, from the journal where a session is not open.

use orwd_journal::{EpisodeFilter, EpisodeHistory, EpisodeId, Journal};
use orwd_model::{SessionId, Timestamp};
use tokio::sync::oneshot;

use crate::admin::fork::fork;
use crate::admin::steps::step_page;
use crate::admin::summary::{detail, ended_episode, ended_session, open_session};
use crate::api::content::StepPage;
use crate::api::error::AdminError;
use crate::api::principal::Principal;
use crate::api::service::AdminApi;
use crate::api::summary::{EndedPage, SessionDetail, SessionSummary};
use crate::lifecycle::manager::SessionManager;
use crate::lifecycle::table::SessionKey;

/// The most ended sessions of one page.
const ENDED_PAGE: u32 = 500;

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

    async fn ended(&self, owner: &Principal, after: Option<&str>) -> Result<EndedPage, AdminError> {
        let before = match after {
            Some(text) => Some(EpisodeId::parse(text).ok_or(AdminError::NoSession)?),
            None => None,
        };
        let ended = self.0.context.journal.list(EpisodeFilter {
            owner: Some(owner.name().map(str::to_owned)),
            ended_before: Some(Timestamp::from_nanos(i64::MAX.cast_unsigned())),
            before,
            limit: Some(ENDED_PAGE),
            ..EpisodeFilter::default()
        });
        let ended = ended.await?;
        let full = ended.len() >= ENDED_PAGE as usize;
        Ok(EndedPage {
            next: ended
                .last()
                .filter(|_| full)
                .map(|episode| episode.id.to_string()),
            sessions: ended.iter().map(ended_episode).collect(),
        })
    }

    async fn steps(
        &self,
        owner: &Principal,
        id: &SessionId,
        from: u64,
    ) -> Result<StepPage, AdminError> {
        let episode = self.episode(owner, id).await?;
        let history = self.0.context.journal.history(episode).await?;
        Ok(step_page(&history, from))
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
        Ok(detail(ended_session(&history), &history, keys))
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
