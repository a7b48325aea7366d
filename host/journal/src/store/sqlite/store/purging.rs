//! Purges of episodes, one small transaction after the other.

use std::thread;
use std::time::Duration;

use super::sqlite_store::SqliteStore;
use crate::record::EpisodeId;
use crate::store::api::StoreError;
use crate::store::sqlite::past::purge;

/// The pause between two transactions of a purge.
const PURGE_PAUSE: Duration = Duration::from_millis(1);

impl SqliteStore {
    /// Removes the records of an episode that the index no longer has, and those
    /// of purged episodes that it alone referred to. Other writers can run in
    /// between.
    pub(super) fn purge_records(&self, mut episode: EpisodeId) -> Result<(), StoreError> {
        loop {
            match self.purge_step(episode)? {
                purge::Next::More => {}
                purge::Next::Parent(parent) => episode = parent,
                purge::Next::Done => return Ok(()),
            }
            thread::sleep(PURGE_PAUSE);
        }
    }

    fn purge_step(&self, episode: EpisodeId) -> Result<purge::Next, StoreError> {
        self.run_beside(|connection| {
            let (freed, next) = purge::step(connection, episode)?;
            self.usage.remove(freed.owner.as_deref(), freed.bytes);
            Ok(next)
        })
    }

    /// Removes an episode from the index; returns whether it was there.
    pub(super) fn begin_purge(&self, episode: EpisodeId) -> Result<bool, StoreError> {
        self.run_beside(|connection| {
            let begun = purge::begin(connection, episode)?;
            if let Some(freed) = &begun {
                self.usage.remove(freed.owner.as_deref(), freed.bytes);
            }
            Ok(begun.is_some())
        })
    }

    /// Purges an episode partially, as a host does that is killed meanwhile.
    #[cfg(test)]
    pub(crate) fn purge_partially(&self, episode: EpisodeId) -> Result<(), StoreError> {
        self.begin_purge(episode)?;
        self.purge_step(episode)?;
        Ok(())
    }

    /// Completes the purges that a killed host had begun.
    pub(super) fn resume_purges(&self) -> Result<(), StoreError> {
        let begun = purge::begun(self.writer().connection()?)?;
        begun
            .into_iter()
            .try_for_each(|episode| self.purge_records(episode))
    }
}
