//! Inspection of sessions, from the journal where a session is not open.

use std::fmt;

use orwd_journal::{EpisodeFilter, EpisodeId};
use orwd_model::{SessionId, Timestamp};
use tokio::sync::oneshot;

use crate::actor::state::SessionIdentity;
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
use crate::lifecycle::table::SessionKey;

/// The most ended sessions of one page.
const ENDED_PAGE: u32 = 500;

/// The place of a session in lists: the time of its creation, then its id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    created_ms: u64,
    id: String,
}

impl Cursor {
    fn of(identity: &SessionIdentity) -> Cursor {
        Cursor {
            created_ms: identity.created.as_millis(),
            id: identity.id.as_str().to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Cursor> {
        let (created_ms, id) = text.split_once('.')?;
        Some(Cursor {
            created_ms: created_ms.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_ms, self.id)
    }
}

impl AdminApi for SessionManager {
    async fn summaries(
        &self,
        owner: &Principal,
        page: SessionPage,
    ) -> Result<SessionList, AdminError> {
        let after = page.after.as_deref().map(Cursor::parse);
        let after = after.map(|cursor| cursor.ok_or(AdminError::InvalidCursor));
        let after = after.transpose()?;
        let handles = self.0.table.handles().into_iter();
        let mut handles: Vec<(Cursor, SessionHandle)> = handles
            .filter(|(key, _)| key.owner == *owner)
            .map(|(_, handle)| (Cursor::of(&handle.shared.identity), handle))
            .filter(|(cursor, _)| after.as_ref().is_none_or(|after| cursor > after))
            .collect();
        handles.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = handles.len() > page.limit;
        handles.truncate(page.limit);
        let last = handles.last().map(|(cursor, _)| cursor.to_string());
        Ok(SessionList {
            sessions: handles
                .iter()
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
