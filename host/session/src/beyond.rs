//! What is asked of the sessions beyond the protocol, answered from the journal
//! where a session is not in memory any more.

use super::fork;
use super::overview::{Detail, Overview};
use super::service::{Beyond, BeyondError, Principal};
use super::sessions::Sessions;
use super::table::Key;
use orwd_model::SessionId;

impl Beyond for Sessions {
    fn overviews(&self, owner: &Principal) -> Vec<Overview> {
        let mut overviews: Vec<Overview> = self
            .0
            .table
            .handles()
            .iter()
            .filter(|(key, _)| key.owner == *owner)
            .map(|(_, handle)| Overview::of(handle))
            .collect();
        overviews.sort_by(|a, b| (a.created_ms, &a.session).cmp(&(b.created_ms, &b.session)));
        overviews
    }

    async fn detail(&self, owner: &Principal, id: &SessionId) -> Result<Detail, BeyondError> {
        let journal = &self.0.house.journal;
        if let Some(handle) = self.0.table.find(&Key::new(owner, id)) {
            let history = journal.history(handle.shared.identity.episode).await?;
            return Ok(Detail::of(Overview::of(&handle), &history));
        }
        let episode = self.episode(owner, id).await?;
        let history = journal.history(episode).await?;
        Ok(Detail::of(Overview::ended(id, &history), &history))
    }

    async fn receipt(&self, owner: &Principal, id: &SessionId) -> Result<String, BeyondError> {
        let episode = self.episode(owner, id).await?;
        let receipt = self.0.house.journal.receipt(episode).await?;
        receipt
            .to_json()
            .map_err(|error| BeyondError::Damaged(error.to_string()))
    }

    async fn fork(
        &self,
        owner: &Principal,
        id: &SessionId,
        at: Option<u64>,
        count: u32,
    ) -> Result<Vec<SessionId>, BeyondError> {
        let handle = self.0.table.find(&Key::new(owner, id));
        let handle = handle.ok_or(BeyondError::NoSession)?;
        fork::fork(&self.0, &handle, at, count).await
    }
}
