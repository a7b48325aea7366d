//! Sessions in the journal of a state directory, whose server may be stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use orwd_journal::{
    AppendEntry, AppendResult, Durability, EndReason, EndedRecord, EpisodeFilter, EpisodeHistory,
    EpisodeId, EpisodeState, IndexedEpisode, JournalError, JournalStore, Record, SealKey,
    SealedSecrets, SqliteStore,
};
use orwd_model::{DataMode, Timestamp};
use orwd_session::StepCursor;
use serde_json::{Map, Value};

use super::types::{ListedSession, StepsPage};
use crate::console::CommandError;

/// The journal of a state directory.
pub(super) struct JournalSource {
    path: PathBuf,
    store: SqliteStore,
    key: Option<Arc<SealKey>>,
}

impl JournalSource {
    pub(super) fn new(path: PathBuf, store: SqliteStore, key: Option<SealKey>) -> JournalSource {
        JournalSource {
            path,
            store,
            key: key.map(Arc::new),
        }
    }

    /// Returns the state directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn list(&self, ended: bool) -> Result<Vec<ListedSession>, CommandError> {
        let episodes = self.store.list(&EpisodeFilter {
            live: !ended,
            ..EpisodeFilter::default()
        })?;
        Ok(episodes.iter().map(listed).collect())
    }

    pub(super) fn session(
        &self,
        session: &ListedSession,
    ) -> Result<Map<String, Value>, CommandError> {
        let history = self.history(session)?;
        let mut detail = serde_json::to_value(orwd_session::history_detail(&history))?;
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("key".to_owned(), session.key.clone().into());
            // The journal does not say whether a server has it in memory.
            if history.ended().is_none() {
                fields.insert("state".to_owned(), session.state.clone().into());
            }
            return Ok(std::mem::take(fields));
        }
        Ok(Map::new())
    }

    pub(super) fn steps(
        &self,
        session: &ListedSession,
        from: StepCursor,
    ) -> Result<StepsPage, CommandError> {
        let id = episode_id(session)?;
        let page = orwd_session::step_page(&self.store, id, self.key.clone(), from)?;
        // Through text, so that numbers keep all their digits.
        Ok(serde_json::from_str(&serde_json::to_string(&page)?)?)
    }

    /// Ends a session, of a server that is stopped.
    pub(super) fn end(&self, session: &ListedSession) -> Result<(), CommandError> {
        let history = self.history(session)?;
        if let DataMode::Shared(_) = history.created().mode {
            return Err(CommandError::new(format!(
                "session {} publishes files when it ends, which takes its environment; start the \
                 server and delete the session there",
                session.session
            )));
        }
        let store = SqliteStore::open(&self.path, Durability::Power).map_err(|error| {
            CommandError::new(format!(
                "{error}\nif the server is running, delete the session there: pass its URL with \
                 --url URL"
            ))
        })?;
        let end = Record::Ended(EndedRecord {
            at: Timestamp::now(),
            reason: EndReason::Deleted,
        });
        let entry = AppendEntry::new(history.episode(), history.next(), history.tip(), &end);
        let appended = store.append(&[entry]).and_then(|results| {
            store.close()?;
            Ok(results)
        })?;
        match appended.first() {
            Some(AppendResult::Appended | AppendResult::AlreadyPresent) => Ok(()),
            _ => Err(CommandError::new(format!(
                "session {} has changed meanwhile; try again",
                session.session
            ))),
        }
    }

    fn history(&self, session: &ListedSession) -> Result<EpisodeHistory, CommandError> {
        let id = episode_id(session)?;
        let rows = self.store.read(id, 0).map_err(JournalError::from)?;
        let imported = session.imported_records.unwrap_or_default();
        let mut history = EpisodeHistory::read(id, &rows)?.with_imported(imported);
        if let (Some(key), SealedSecrets::Sealed(_)) = (&self.key, &history.created().secrets) {
            history.unseal(key)?;
        }
        Ok(history)
    }
}

fn episode_id(session: &ListedSession) -> Result<EpisodeId, CommandError> {
    EpisodeId::parse(&session.episode)
        .ok_or_else(|| CommandError::new("the journal lists an invalid episode id"))
}

fn listed(episode: &IndexedEpisode) -> ListedSession {
    let header = &episode.header;
    let (state, ended_ms) = match episode.state {
        EpisodeState::Live => ("live", None),
        EpisodeState::Ended(at) => ("ended", Some(at.as_millis())),
    };
    ListedSession {
        session: header.session.as_str().to_owned(),
        episode: episode.id.to_string(),
        environment: header.environment.as_str().to_owned(),
        state: state.to_owned(),
        created_ms: header.created.as_millis(),
        ended_ms,
        imported_records: header.import.as_ref().map(|import| import.records),
        key: header.owner.clone(),
    }
}
