//! The interface of a store over the SQLite database: which connection runs what,
//! and what each transaction counts.

use orwd_model::SessionId;

use super::sqlite_store::{PAGE, SqliteStore, TRANSACTION_BYTES};
use crate::record::{ChainLink, EpisodeId};
use crate::store::api::{
    AppendEntry, AppendResult, EpisodeFilter, IndexChange, JournalStore, StoreError, StoredRecord,
};
use crate::store::import_origin::ImportedReceipt;
use crate::store::indexed_episode::IndexedEpisode;
use crate::store::record_map::{RecordMap, RecordRange};
use crate::store::space::DiskSpace;
use crate::store::sqlite::error::store_error;
use crate::store::sqlite::past::fork;
use crate::store::sqlite::records::{self, pieces};
use crate::store::sqlite::{imports, index, open};
use crate::store::usage::UsageLedger;

/// The overhead of a record, about.
const RECORD_OVERHEAD: usize = 512;

impl JournalStore for SqliteStore {
    fn append(&self, batch: &[AppendEntry]) -> Result<Vec<AppendResult>, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        let bytes = batch.iter().map(|entry| {
            let staged = writer.staged.staged(entry.episode, entry.seq);
            entry.bytes.len().saturating_sub(staged) + RECORD_OVERHEAD
        });
        let bytes: usize = bytes.sum();
        let (results, committed) = writer.append(&self.usage, batch)?;
        self.note_commits(committed);
        self.count_wal(&mut writer, bytes + TRANSACTION_BYTES);
        Ok(results)
    }

    fn stage(
        &self,
        episode: EpisodeId,
        seq: u64,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        if offset == 0
            && let Some(earlier) = writer.staged.take(episode, seq)
        {
            writer.discard(&earlier);
        }
        // The commit of the record syncs its pieces too.
        writer.set_synced(self.durability, false)?;
        let staged = writer.run(|transaction| pieces::stage(transaction, bytes));
        writer.set_synced(self.durability, true)?;
        match &staged {
            Ok(place) => writer.staged.add(episode, seq, *place, bytes.len()),
            Err(_) => {
                if let Some(pieces) = writer.staged.take(episode, seq)
                    && !writer.failed
                {
                    writer.discard(&pieces);
                }
            }
        }
        self.count_wal(&mut writer, bytes.len() + TRANSACTION_BYTES);
        staged.map(drop)
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.run_read(|transaction| {
            let Some(row) = index::row(transaction, episode)? else {
                return Ok(Vec::new());
            };
            records::read_from(transaction, &row, from)
        })
    }

    fn scan(
        &self,
        episode: EpisodeId,
        visit: &mut dyn FnMut(StoredRecord) -> bool,
    ) -> Result<(), StoreError> {
        self.run_read(|transaction| match index::row(transaction, episode)? {
            Some(row) => records::scan(transaction, &records::map(transaction, &row)?, visit),
            None => Ok(()),
        })
    }

    fn map(&self, episode: EpisodeId) -> Result<Option<RecordMap>, StoreError> {
        self.run_read(|transaction| {
            let row = index::row(transaction, episode)?;
            row.map(|row| records::map(transaction, &row)).transpose()
        })
    }

    fn read_range(
        &self,
        map: &RecordMap,
        range: RecordRange,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.run_read(|transaction| records::read_range(transaction, map, range))
    }

    fn link(&self, map: &RecordMap, seq: u64) -> Result<Option<ChainLink>, StoreError> {
        self.run_read(|transaction| records::link(transaction, map, seq))
    }

    fn episode(&self, episode: EpisodeId) -> Result<Option<IndexedEpisode>, StoreError> {
        self.run_read(|transaction| {
            let row = index::row(transaction, episode)?;
            Ok(row.map(|row| row.episode))
        })
    }

    fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<IndexedEpisode>, StoreError> {
        self.run_read(|transaction| index::find(transaction, owner, session))
    }

    fn list(&self, filter: &EpisodeFilter) -> Result<Vec<IndexedEpisode>, StoreError> {
        self.run_read(|transaction| index::list(transaction, filter))
    }

    fn get_or_insert(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut writer = self.writer();
        let connection = writer.connection()?;
        let mut insert = || -> rusqlite::Result<Vec<u8>> {
            let transaction = open::immediate(connection)?;
            transaction.execute(
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (name, fresh),
            )?;
            let value = index::meta(&transaction, name)?.unwrap_or_default();
            transaction.commit()?;
            Ok(value)
        };
        insert().map_err(|error| store_error(&error))
    }

    fn set_value(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.run_write(|transaction| index::set_meta(transaction, name, value))
    }

    fn set_receipts(
        &self,
        episode: EpisodeId,
        receipts: &[ImportedReceipt],
    ) -> Result<(), StoreError> {
        self.run_write(|transaction| imports::set_receipts(transaction, episode, receipts))
    }

    fn receipts(&self, episode: EpisodeId) -> Result<Vec<ImportedReceipt>, StoreError> {
        self.run_read(|transaction| {
            imports::receipts(transaction, episode).map_err(|error| store_error(&error))
        })
    }

    fn receipt_keys(&self, episode: EpisodeId) -> Result<Vec<String>, StoreError> {
        self.run_read(|transaction| {
            imports::receipt_keys(transaction, episode).map_err(|error| store_error(&error))
        })
    }

    fn purge(&self, episode: EpisodeId) -> Result<(), StoreError> {
        if self.begin_purge(episode)? {
            self.purge_records(episode)?;
        }
        Ok(())
    }

    fn fork(
        &self,
        parent: EpisodeId,
        upto: u64,
        children: &[AppendEntry],
    ) -> Result<Option<Vec<AppendResult>>, StoreError> {
        let plan = self.run_read(|transaction| fork::plan(transaction, parent, upto, children))?;
        let Some(plan) = plan else {
            return Ok(None);
        };
        let begun = self.run_beside(|connection| fork::begin(connection, &plan, children))?;
        let Some((results, committed)) = begun else {
            return Ok(None);
        };
        self.note_commits(committed);
        for (child, result) in children.iter().zip(&results) {
            if let (AppendResult::Appended, IndexChange::Begin(header)) = (result, &child.change) {
                self.usage.add(header.owner.as_deref(), fork::size(child));
            }
        }
        Ok(Some(results))
    }

    fn oldest_ended(&self, owner: Option<&str>, limit: u32) -> Result<Vec<EpisodeId>, StoreError> {
        self.run_read(|transaction| {
            index::oldest_ended(transaction, owner, limit).map_err(|error| store_error(&error))
        })
    }

    fn usage(&self) -> &UsageLedger {
        &self.usage
    }

    fn usage_of(&self, owner: Option<&str>) -> Result<u64, StoreError> {
        let usage = self.run_read(|transaction| {
            index::usage(transaction).map_err(|error| store_error(&error))
        })?;
        let of_owner = usage.get(&owner.map(str::to_owned)).copied();
        Ok(of_owner.unwrap_or_default())
    }

    fn space(&self) -> Result<DiskSpace, StoreError> {
        let free = self.run_read(|transaction| {
            let pages: i64 = transaction
                .pragma_query_value(None, "freelist_count", |row| row.get(0))
                .map_err(|error| store_error(&error))?;
            Ok(pages.cast_unsigned().saturating_mul(PAGE as u64))
        })?;
        let space = self.space.measure().map_err(|error| {
            StoreError::Io(format!("the free disk space cannot be measured: {error}"))
        })?;
        Ok(DiskSpace {
            available: space.available.saturating_add(free),
            ..space
        })
    }

    fn is_congested(&self) -> bool {
        self.is_wal_congested()
    }

    fn is_checkpoint_due(&self) -> bool {
        self.is_wal_due()
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoint_wal()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.shut()
    }
}
