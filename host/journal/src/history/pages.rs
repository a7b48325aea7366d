//! Reading a history in pages.
//!
//! Between two pages nothing is held but where the records are, so a reader may
//! take its time, and memory for a page is enough for an episode of any length.
//! Each page continues the chain of the one before.

use std::sync::Arc;

use super::scan::{RecordScanner, ScannedRecord};
use crate::error::JournalError;
use crate::record::EpisodeId;
use crate::sealing::SealKey;
use crate::store::{IndexedEpisode, JournalStore, RecordMap, RecordRange, StoredRecord};

/// The bytes of the pages that are passed over.
const SKIPPED_PAGE: usize = 1 << 20;

/// Reads the records of an episode in pages, in order.
pub struct EpisodePages {
    map: RecordMap,
    scanner: RecordScanner,
    /// Kept as long as a page may be read.
    permit: Option<Box<dyn Send>>,
}

impl EpisodePages {
    /// Begins before the first record. Records that are added later are not read.
    pub fn open(
        store: &dyn JournalStore,
        episode: EpisodeId,
        seal: Option<Arc<SealKey>>,
    ) -> Result<EpisodePages, JournalError> {
        let map = store.map(episode)?;
        let map = map.ok_or(JournalError::Unknown(episode))?;
        Ok(EpisodePages {
            scanner: RecordScanner::new(map.index.clone(), seal),
            map,
            permit: None,
        })
    }

    /// Keeps `permit` until the last page has been read, even if its caller does
    /// not wait for it.
    pub fn holding(mut self, permit: impl Send + 'static) -> EpisodePages {
        self.permit = Some(Box::new(permit));
        self
    }

    /// Returns the episode as the index had it.
    pub fn index(&self) -> &IndexedEpisode {
        &self.map.index
    }

    /// Returns the bytes of the records that were read.
    pub fn bytes(&self) -> u64 {
        self.scanner.bytes()
    }

    /// Reads the next records: at least one, until their bytes exceed `bytes`. None
    /// at the end, where the last one is compared with the index.
    pub fn read(
        &mut self,
        store: &dyn JournalStore,
        bytes: usize,
    ) -> Result<Vec<ScannedRecord>, JournalError> {
        let (from, tip) = self.scanner.position();
        let stored = self.stored(store, RecordRange { from, tip, bytes })?;
        if stored.is_empty() {
            self.scanner.check_end()?;
        }
        let records = stored.iter().map(|record| self.scanner.take(record));
        records.collect()
    }

    fn stored(
        &self,
        store: &dyn JournalStore,
        range: RecordRange,
    ) -> Result<Vec<StoredRecord>, JournalError> {
        match store.read_range(&self.map, range) {
            Ok(stored) => Ok(stored),
            // The episode may have been removed since the last page.
            Err(_) if store.episode(self.map.index.id)?.is_none() => {
                Err(JournalError::Unknown(self.map.index.id))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Continues with the record in this slot, if there is one. The records before
    /// it are not read, except for the first, and except for those that are needed
    /// to follow the chain of a fork.
    pub fn skip_to(&mut self, store: &dyn JournalStore, seq: u64) -> Result<(), JournalError> {
        let seq = seq.min(self.map.index.head + 1);
        if self.scanner.position().0 == 0 {
            self.read(store, 1)?;
        }
        let (next, _) = self.scanner.position();
        if seq > next
            && let Some(link) = store.link(&self.map, seq - 1)?
        {
            self.scanner.continue_at(seq, link);
        }
        loop {
            let (from, tip) = self.scanner.position();
            if from >= seq {
                return Ok(());
            }
            let range = RecordRange {
                from,
                tip,
                bytes: SKIPPED_PAGE,
            };
            let skipped = self.stored(store, range)?;
            if skipped.is_empty() {
                return self.scanner.check_end();
            }
            for record in skipped.iter().take_while(|record| record.seq < seq) {
                self.scanner.take(record)?;
            }
        }
    }
}
