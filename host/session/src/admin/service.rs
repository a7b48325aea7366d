//! Inspection of sessions, from the journal where a session is not open.

use orwd_journal::{EpisodeFilter, EpisodeId};
use orwd_model::{SessionId, Timestamp};
use tokio::sync::oneshot;

use crate::admin::fork::fork;
use crate::admin::steps::read_page;
use crate::admin::summary::{StepCollector, ended_episode, open_session};
use crate::api::content::{StepCursor, StepPage};
use crate::api::error::AdminError;
use crate::api::principal::Principal;
use crate::api::service::AdminApi;
use crate::api::summary::{EndedPage, SessionDetail, SessionList, SessionPage, StepRange};
use crate::handle::session_handle::SessionHandle;
use crate::lifecycle::manager::SessionManager;
use crate::lifecycle::owner_index::ListPlace;
use crate::lifecycle::table::SessionKey;

/// The most ended sessions of one page.
const ENDED_PAGE: u32 = 500;

impl AdminApi for SessionManager {
    async fn summaries(
        &self,
        owner: &Principal,
        page: SessionPage,
    ) -> Result<SessionList, AdminError> {
        let after = page.after.as_deref().map(ListPlace::parse);
        let after = after.map(|place| place.ok_or(AdminError::InvalidCursor));
        let after = after.transpose()?;
        let wanted = page.limit.saturating_add(1);
        let mut found = self.0.table.page(owner, after.as_ref(), wanted);
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let last = found.last().map(|(place, _)| place.to_string());
        let sessions = found.iter();
        Ok(SessionList {
            sessions: sessions
                .map(|(_, handle)| open_session(&handle.shared))
                .collect(),
            next: last.filter(|_| more),
        })
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
        from: StepCursor,
    ) -> Result<StepPage, AdminError> {
        let episode = self.episode(owner, id).await?;
        let context = &self.0.context;
        let permit = context.histories.scan(owner).await?;
        Ok(read_page(&context.journal, episode, from, permit).await?)
    }

    async fn detail(
        &self,
        owner: &Principal,
        id: &SessionId,
        range: StepRange,
    ) -> Result<SessionDetail, AdminError> {
        let handle = self.0.table.find(&SessionKey::new(owner, id));
        let episode = match &handle {
            Some(handle) => handle.shared.identity.episode,
            None => self.episode(owner, id).await?,
        };
        let context = &self.0.context;
        let permit = context.histories.scan(owner).await?;
        let collector = StepCollector::new(range);
        let scanned = context
            .journal
            .scan(episode, collector, move |steps, record| {
                // Kept until the scan ends, even if its client leaves.
                let _ = &permit;
                steps.add(record);
            });
        let open = |handle: SessionHandle| open_session(&handle.shared);
        let mut scanned = scanned.await?;
        let created = scanned.take_created().ok_or(AdminError::NoSession)?;
        let receipt_keys = match scanned.is_imported() {
            true => context.journal.receipt_keys(episode).await?,
            false => Vec::new(),
        };
        Ok(scanned.finish(&created, episode, handle.map(open), receipt_keys))
    }

    async fn receipt(&self, owner: &Principal, id: &SessionId) -> Result<String, AdminError> {
        let episode = self.episode(owner, id).await?;
        let context = &self.0.context;
        let permit = context.histories.scan(owner).await?;
        let receipt = context.journal.receipt_holding(episode, permit).await?;
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
        let reading = self.0.context.histories.scan(owner).await?;
        let registry = self.0.clone();
        let (done, forked) = oneshot::channel();
        // Children that are in the journal become sessions even if the client
        // leaves meanwhile; then nobody receives their ids.
        self.0.context.engine.spawn(async move {
            let _ = done.send(fork(&registry, &parent, at, count, reading).await);
        });
        forked.await.unwrap_or(Err(AdminError::JournalUnavailable))
    }
}
