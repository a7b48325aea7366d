//! A store in memory, for tests: the simplest statement of what a store does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orwd_model::SessionId;

use super::api::{
    AppendEntry, AppendResult, EpisodeFilter, IndexChange, JournalStore, StoreError, StoredRecord,
};
use super::indexed_episode::{EpisodeState, IndexedEpisode};
use super::space::DiskSpace;
use super::usage::UsageLedger;
use crate::record::EpisodeId;
use crate::store::import_origin::ImportedReceipt;

/// A store in memory. Clones share the records.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<Inner>>, Arc<UsageLedger>);

#[derive(Clone, Debug, Default)]
struct Inner {
    episodes: BTreeMap<EpisodeId, StoredEpisode>,
    values: BTreeMap<String, Vec<u8>>,
    receipts: BTreeMap<EpisodeId, Vec<ImportedReceipt>>,
}

#[derive(Clone, Debug)]
struct StoredEpisode {
    index: IndexedEpisode,
    records: Vec<StoredRecord>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub(crate) fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, entry: &AppendEntry) -> AppendResult {
        let record = StoredRecord {
            seq: entry.seq,
            bytes: entry.bytes.clone(),
            link: entry.link,
        };
        if let Some(episode) = self.episodes.get_mut(&entry.episode) {
            return episode.append(entry, record);
        }
        let IndexChange::Begin(header) = &entry.change else {
            return AppendResult::Gap;
        };
        let same_session = |episode: &StoredEpisode| {
            episode.index.is_live()
                && episode.index.header.owner == header.owner
                && episode.index.header.session == header.session
        };
        if self.episodes.values().any(same_session) {
            return AppendResult::SessionExists;
        }
        let index = IndexedEpisode {
            id: entry.episode,
            header: (**header).clone(),
            state: EpisodeState::Live,
            head: 0,
            tip: entry.link,
        };
        let records = vec![record];
        self.episodes
            .insert(entry.episode, StoredEpisode { index, records });
        AppendResult::Appended
    }
}

impl StoredEpisode {
    fn append(&mut self, entry: &AppendEntry, record: StoredRecord) -> AppendResult {
        if let Some(stored) = self.records.iter().find(|stored| stored.seq == record.seq) {
            return if *stored == record {
                AppendResult::AlreadyPresent
            } else {
                AppendResult::SlotTaken
            };
        }
        if !self.index.is_live() {
            return AppendResult::SlotTaken;
        }
        if record.seq != self.index.head + 1 {
            return AppendResult::Gap;
        }
        if let IndexChange::End(at) = entry.change {
            self.index.state = EpisodeState::Ended(at);
        }
        self.index.head = record.seq;
        self.index.tip = record.link;
        self.records.push(record);
        AppendResult::Appended
    }
}

impl JournalStore for MemoryStore {
    fn append(&self, batch: &[AppendEntry]) -> Result<Vec<AppendResult>, StoreError> {
        let mut inner = self.inner();
        Ok(batch.iter().map(|entry| inner.append(entry)).collect())
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<StoredRecord>, StoreError> {
        let inner = self.inner();
        let records = inner.episodes.get(&episode).map(|episode| &episode.records);
        let later = records
            .into_iter()
            .flatten()
            .filter(|record| record.seq >= from);
        Ok(later.cloned().collect())
    }

    fn episode(&self, episode: EpisodeId) -> Result<Option<IndexedEpisode>, StoreError> {
        let inner = self.inner();
        let episode = inner.episodes.get(&episode);
        Ok(episode.map(|episode| episode.index.clone()))
    }

    fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<IndexedEpisode>, StoreError> {
        let inner = self.inner();
        let newest = inner.episodes.values().rev().map(|episode| &episode.index);
        let mut found = newest.filter(|episode| {
            episode.header.owner.as_deref() == owner && episode.header.session == *session
        });
        Ok(found.next().cloned())
    }

    fn list(&self, filter: &EpisodeFilter) -> Result<Vec<IndexedEpisode>, StoreError> {
        let inner = self.inner();
        let newest = inner.episodes.values().rev().map(|episode| &episode.index);
        let limit = filter.limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(newest
            .filter(|episode| filter.matches(episode))
            .take(limit)
            .cloned()
            .collect())
    }

    fn get_or_insert(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut inner = self.inner();
        let value = inner.values.entry(name.to_owned());
        Ok(value.or_insert_with(|| fresh.to_vec()).clone())
    }

    fn set_value(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.inner().values.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    fn set_receipts(
        &self,
        episode: EpisodeId,
        receipts: &[ImportedReceipt],
    ) -> Result<(), StoreError> {
        self.inner().receipts.insert(episode, receipts.to_vec());
        Ok(())
    }

    fn receipts(&self, episode: EpisodeId) -> Result<Vec<ImportedReceipt>, StoreError> {
        let inner = self.inner();
        Ok(inner.receipts.get(&episode).cloned().unwrap_or_default())
    }

    fn receipt_keys(&self, episode: EpisodeId) -> Result<Vec<String>, StoreError> {
        let receipts = self.receipts(episode)?.into_iter();
        Ok(receipts.map(|receipt| receipt.key).collect())
    }

    fn purge(&self, episode: EpisodeId) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.episodes.remove(&episode);
        inner.receipts.remove(&episode);
        Ok(())
    }

    /// Copies the records, which cannot be told from sharing them.
    fn fork(
        &self,
        parent: EpisodeId,
        upto: u64,
        children: &[AppendEntry],
    ) -> Result<Option<Vec<AppendResult>>, StoreError> {
        let mut inner = self.inner();
        let Some(parent) = inner.episodes.get(&parent) else {
            return Ok(None);
        };
        if upto == 0 || upto > parent.index.head {
            return Ok(None);
        }
        let shared: Vec<StoredRecord> = parent.records.iter().skip(1).cloned().collect();
        let mut results = Vec::new();
        for child in children {
            let begun = inner.append(child);
            if begun == AppendResult::Appended
                && let Some(episode) = inner.episodes.get_mut(&child.episode)
            {
                for record in shared.iter().take_while(|record| record.seq <= upto) {
                    let link = episode.index.tip.extend(record.seq, &record.bytes);
                    episode.records.push(StoredRecord {
                        link,
                        ..record.clone()
                    });
                    (episode.index.head, episode.index.tip) = (record.seq, link);
                }
            }
            results.push(begun);
        }
        Ok(Some(results))
    }

    fn oldest_ended(&self, owner: Option<&str>, limit: u32) -> Result<Vec<EpisodeId>, StoreError> {
        let inner = self.inner();
        let ended = inner.episodes.values().filter_map(|episode| {
            let EpisodeState::Ended(at) = episode.index.state else {
                return None;
            };
            (episode.index.header.owner.as_deref() == owner).then_some((at, episode.index.id))
        });
        let mut ended: Vec<_> = ended.collect();
        ended.sort();
        ended.truncate(limit as usize);
        Ok(ended.into_iter().map(|(_, id)| id).collect())
    }

    /// Nothing is on a disk.
    fn usage(&self) -> &UsageLedger {
        &self.1
    }

    fn space(&self) -> Result<DiskSpace, StoreError> {
        Ok(DiskSpace::UNLIMITED)
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
