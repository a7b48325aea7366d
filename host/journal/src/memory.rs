//! A store that lives as long as the process: for tests, and the plainest
//! statement of what a store does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::id::EpisodeId;
use super::store::{Change, Entry, Episode, EpisodeState, Filter, Put, Row, Store, StoreError};
use orwd_model::SessionId;

/// Records in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Inner>>);

#[derive(Clone, Debug, Default)]
struct Inner {
    episodes: BTreeMap<EpisodeId, Life>,
    kept: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Life {
    episode: Episode,
    rows: Vec<Row>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, entry: &Entry) -> Put {
        let row = Row {
            seq: entry.seq,
            bytes: entry.bytes.clone(),
            link: entry.link,
        };
        if let Some(life) = self.episodes.get_mut(&entry.episode) {
            return life.put(entry, row);
        }
        let Change::Begin(opening) = &entry.change else {
            return Put::Gap;
        };
        let namesake = |life: &Life| {
            life.episode.is_live()
                && life.episode.opening.owner == opening.owner
                && life.episode.opening.session == opening.session
        };
        if self.episodes.values().any(namesake) {
            return Put::Exists;
        }
        let episode = Episode {
            id: entry.episode,
            opening: (**opening).clone(),
            state: EpisodeState::Live,
            head: 0,
            tip: entry.link,
        };
        let rows = vec![row];
        self.episodes.insert(entry.episode, Life { episode, rows });
        Put::Done
    }
}

impl Life {
    fn put(&mut self, entry: &Entry, row: Row) -> Put {
        if let Some(there) = self.rows.iter().find(|there| there.seq == row.seq) {
            return if *there == row {
                Put::Already
            } else {
                Put::Taken
            };
        }
        if !self.episode.is_live() {
            return Put::Taken;
        }
        if row.seq != self.episode.head + 1 {
            return Put::Gap;
        }
        if let Change::End(at) = entry.change {
            self.episode.state = EpisodeState::Ended(at);
        }
        self.episode.head = row.seq;
        self.episode.tip = row.link;
        self.rows.push(row);
        Put::Done
    }
}

impl Store for MemoryStore {
    fn append(&self, batch: &[Entry]) -> Result<Vec<Put>, StoreError> {
        let mut inner = self.inner();
        Ok(batch.iter().map(|entry| inner.put(entry)).collect())
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<Row>, StoreError> {
        let inner = self.inner();
        let rows = inner.episodes.get(&episode).map(|life| &life.rows);
        let later = rows.into_iter().flatten().filter(|row| row.seq >= from);
        Ok(later.cloned().collect())
    }

    fn episode(&self, episode: EpisodeId) -> Result<Option<Episode>, StoreError> {
        let inner = self.inner();
        Ok(inner
            .episodes
            .get(&episode)
            .map(|life| life.episode.clone()))
    }

    fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<Episode>, StoreError> {
        let inner = self.inner();
        let newest = inner.episodes.values().rev().map(|life| &life.episode);
        let mut found = newest.filter(|episode| {
            episode.opening.owner.as_deref() == owner && episode.opening.session == *session
        });
        Ok(found.next().cloned())
    }

    fn list(&self, filter: &Filter) -> Result<Vec<Episode>, StoreError> {
        let inner = self.inner();
        let newest = inner.episodes.values().rev().map(|life| &life.episode);
        let limit = filter.limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(newest
            .filter(|episode| filter.admits(episode))
            .take(limit)
            .cloned()
            .collect())
    }

    fn keep(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut inner = self.inner();
        let value = inner.kept.entry(name.to_owned());
        Ok(value.or_insert_with(|| fresh.to_vec()).clone())
    }

    fn forget(&self, episode: EpisodeId) -> Result<(), StoreError> {
        self.inner().episodes.remove(&episode);
        Ok(())
    }

    fn rest(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
