//! Importing an archive into a journal.
//!
//! The records of a file say what their author wrote. The chain proves that they
//! were not changed since, and nothing else: anyone can write a file with a valid
//! chain. So an imported episode is marked in the index, and what decides about
//! access comes from the importer: the owner, and the data. The file's own
//! times never decide how the episode sorts or when it is removed.

use std::path::PathBuf;
use std::time::Duration;

use orwd_model::Timestamp;

use super::episode_archive::EpisodeArchive;
use super::error::ArchiveError;
use crate::disk::{DiskLimits, STORED_LIMITS};
use crate::error::JournalError;
use crate::receipt::ReceiptError;
use crate::record::{self, SealedSecrets};
use crate::store::{
    AppendEntry, AppendResult, EPISODE_SIZE, ImportOrigin, ImportedReceipt, IndexChange,
    JournalStore, record_size,
};

/// How far the clock of the exporting host may be ahead of ours.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

/// What the importer decides. The file has no say in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// The owner; `None` if the server requires no API keys.
    pub owner: Option<String>,
    /// The directory that the episode sees as its data, if it goes on here. The
    /// caller has compared its digest with that in the file.
    pub data: Option<PathBuf>,
    /// The current time.
    pub now: Timestamp,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The episode was added.
    Added,
    /// The same episode was in the store already.
    AlreadyPresent,
}

impl EpisodeArchive {
    /// Adds the episode to a store, atomically, and marks it as imported. An
    /// episode that is there already is left unchanged, and must be the same.
    pub fn import(
        &self,
        store: &dyn JournalStore,
        options: &ImportOptions,
    ) -> Result<ImportOutcome, ArchiveError> {
        let episode = self.history().episode();
        self.check(options)?;
        let stored = store.episode(episode).map_err(JournalError::from)?;
        if stored.is_some() {
            let records = store.read(episode, 0).map_err(JournalError::from)?;
            return if records == self.records() {
                Ok(ImportOutcome::AlreadyPresent)
            } else {
                Err(ArchiveError::Differs(episode))
            };
        }
        let session = &self.history().created().session;
        let namesake = store
            .find(options.owner.as_deref(), session)
            .map_err(JournalError::from)?;
        // A session is found by its newest episode, which this one might be.
        if namesake.is_some_and(|episode| episode.header.import.is_none()) {
            return Err(ArchiveError::Exists {
                session: session.to_string(),
            });
        }
        let entries = self.entries(options)?;
        check_space(store, &entries, options.owner.as_deref())?;
        let results = store.append(&entries).map_err(JournalError::from)?;
        let all = |expected| results.iter().all(|result| *result == expected);
        match results.first() {
            Some(AppendResult::SessionExists) => {
                return Err(ArchiveError::Exists {
                    session: session.to_string(),
                });
            }
            _ if all(AppendResult::Appended) => {}
            // A concurrent import added it.
            _ if all(AppendResult::AlreadyPresent) => return Ok(ImportOutcome::AlreadyPresent),
            _ => return Err(ArchiveError::Differs(episode)),
        }
        let receipts = self.receipts().iter().map(|receipt| {
            Ok(ImportedReceipt {
                key: receipt.key.clone(),
                text: receipt.to_json()?,
            })
        });
        let receipts: Result<Vec<_>, ReceiptError> = receipts.collect();
        let receipts = receipts.map_err(|error| ArchiveError::Refused(error.to_string()))?;
        if !receipts.is_empty() {
            store
                .set_receipts(episode, &receipts)
                .map_err(JournalError::from)?;
        }
        Ok(ImportOutcome::Added)
    }

    /// Returns the entries that add the episode.
    fn entries(&self, options: &ImportOptions) -> Result<Vec<AppendEntry>, ArchiveError> {
        let episode = self.history().episode();
        let mut entries = Vec::with_capacity(self.records().len());
        for stored in self.records() {
            let record = record::decode(&stored.bytes)
                .map_err(|error| JournalError::damaged(episode, stored.seq, error.to_string()))?;
            let change = match IndexChange::of(&record) {
                IndexChange::Begin(mut header) => {
                    header.owner.clone_from(&options.owner);
                    header.import = Some(ImportOrigin {
                        records: self.records().len() as u64,
                        data: options.data.clone(),
                    });
                    IndexChange::Begin(header)
                }
                // Retention begins when the episode arrives.
                IndexChange::End(_) => IndexChange::End(options.now),
                IndexChange::None => IndexChange::None,
            };
            entries.push(AppendEntry {
                episode,
                seq: stored.seq,
                bytes: stored.bytes.clone(),
                link: stored.link,
                change,
            });
        }
        Ok(entries)
    }

    /// Refuses what could not be kept apart from episodes of this host, or could
    /// never go on here.
    fn check(&self, options: &ImportOptions) -> Result<(), ArchiveError> {
        let history = self.history();
        let created = history.created();
        let latest = options.now.saturating_add(MAX_CLOCK_SKEW);
        // The newest episode of a session id is the one that is found by it.
        let of_id = Timestamp::from_nanos(history.episode().millis().saturating_mul(1_000_000));
        let steps = history.steps().iter().map(|step| step.record.at);
        let ended = history.ended().map(|ended| ended.at);
        let mut times = [of_id, created.start].into_iter().chain(steps).chain(ended);
        if let Some(time) = times.find(|time| *time > latest) {
            return Err(ArchiveError::Refused(format!(
                "it has a time in the future, {} ms since 1970; compare the clocks of both hosts",
                time.as_millis()
            )));
        }
        if created.session.as_str().chars().any(char::is_control) {
            return Err(ArchiveError::Refused(
                "its session id has control characters, which no client can send".to_owned(),
            ));
        }
        if history.ended().is_none() && created.secrets != SealedSecrets::None {
            return Err(ArchiveError::Refused(
                "its session has secrets and has not ended; an imported session gets no secrets, \
                 so it cannot go on here. Delete the session on its host and export it again"
                    .to_owned(),
            ));
        }
        let mut earlier = history.steps().iter().rev().skip(1);
        if history.ended().is_none() && earlier.any(|step| step.outcome.is_none()) {
            return Err(ArchiveError::Refused(
                "its session has not ended, and a request that is not the last has no outcome"
                    .to_owned(),
            ));
        }
        if history.ended().is_none() && created.data.is_some() && options.data.is_none() {
            return Err(ArchiveError::Refused(format!(
                "its session has not ended, and it used a data directory with the digest {}; \
                 pass the directory with --data DIR",
                created.data.map(|data| data.hex()).unwrap_or_default()
            )));
        }
        Ok(())
    }
}

/// Refuses an episode for which the owner's quota or the disk has no space, by the
/// limits of the server that used the store last.
fn check_space(
    store: &dyn JournalStore,
    entries: &[AppendEntry],
    owner: Option<&str>,
) -> Result<(), ArchiveError> {
    let defaults = DiskLimits::default().to_text();
    let limits = store.get_or_insert(STORED_LIMITS, defaults.as_bytes());
    let limits = limits.map_err(JournalError::from)?;
    let limits = DiskLimits::from_text(&String::from_utf8_lossy(&limits));
    let space = store.space().map_err(JournalError::from)?;
    let used = store.usage_of(owner).map_err(JournalError::from)?;
    let records = entries.iter().map(|entry| record_size(entry.bytes.len()));
    let bytes = records.fold(EPISODE_SIZE, u64::saturating_add);
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let quota = limits.quota(owner, &space);
    if used.saturating_add(bytes) > quota {
        let owner = owner.map_or("clients without a key".to_owned(), |owner| {
            format!("key {owner:?}")
        });
        return Err(ArchiveError::Refused(format!(
            "disk quota exceeded: the sessions of {owner} take {} in this journal, the episode \
             takes {}, and {} are allowed; delete sessions, or start the server with a larger \
             --max-disk-per-key first",
            mib(used),
            mib(bytes),
            mib(quota)
        )));
    }
    let reserve = limits.reserve(&space);
    if space.available.saturating_sub(bytes) < reserve {
        return Err(ArchiveError::Refused(format!(
            "the disk of the journal is almost full: {} are free, the episode takes {}, and {} \
             are kept free (--disk-reserve); free disk space",
            mib(space.available),
            mib(bytes),
            mib(reserve)
        )));
    }
    Ok(())
}
