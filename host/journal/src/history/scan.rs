//! Reading a history one record at a time.
//!
//! An episode may have hundreds of mebibytes of records. A scan holds one of them;
//! what it is for keeps what it needs. The chain is followed and the index is
//! compared as in a whole history.

use std::sync::Arc;

use orwd_model::{Json, ToolOutput};

use super::episode_history::{ChainReader, EpisodeHistory, EpisodeStep};
use crate::error::JournalError;
use crate::record::{ChainLink, EpisodeId, GuestOutcome, GuestRequest, Record, SealedSecrets};
use crate::sealing::{self, SealKey};
use crate::store::{IndexedEpisode, JournalStore, StoredRecord};

/// A record that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedRecord {
    /// The slot.
    pub seq: u64,
    /// The record, unsealed if the key fits.
    pub record: Record,
    /// The chain after the record.
    pub link: ChainLink,
    /// The number of the first records that this host did not run.
    pub imported: u64,
}

/// Decides what a history keeps of a record, which it may change. It gets the
/// steps so far, of which it may drop some or their content as well. The record
/// is left out if it returns `false`; then so must be the outcome of a request.
pub(crate) type KeepRecord<'k> = dyn FnMut(&mut Record, &mut Vec<EpisodeStep>) -> bool + 'k;

/// Where a scan ended.
pub(crate) struct ScanEnd {
    next: u64,
    tip: ChainLink,
    bytes: u64,
    imported: u64,
}

/// Follows the records of an episode.
pub(super) struct RecordScanner {
    reader: ChainReader,
    index: IndexedEpisode,
    /// The link at the head that the index names.
    head: Option<ChainLink>,
    seal: Option<Arc<SealKey>>,
    /// The episode that the content is sealed for, if it can be unsealed.
    sealed_for: Option<EpisodeId>,
    bytes: u64,
    imported: u64,
}

impl RecordScanner {
    pub(super) fn new(index: IndexedEpisode, seal: Option<Arc<SealKey>>) -> RecordScanner {
        let import = index.header.import.as_ref();
        RecordScanner {
            imported: import.map_or(0, |import| import.records),
            reader: ChainReader {
                episode: index.id,
                next: 0,
                tip: ChainLink::initial(index.id),
            },
            index,
            head: None,
            seal,
            sealed_for: None,
            bytes: 0,
        }
    }

    /// Checks, decodes and unseals the next record.
    pub(super) fn take(&mut self, stored: &StoredRecord) -> Result<ScannedRecord, JournalError> {
        let episode = self.index.id;
        let first = self.reader.next == 0;
        let mut record = self.reader.take(stored)?;
        self.bytes += stored.bytes.len() as u64;
        if stored.seq == self.index.head {
            self.head = Some(stored.link);
        }
        match &mut record {
            Record::Created(created) if first => {
                if let (Some(key), SealedSecrets::Sealed(sealed)) = (&self.seal, &created.secrets)
                    // A file may hold what was sealed for somebody else.
                    && self.imported == 0
                    // With another key it stays sealed, and can still be ended.
                    && key.unseal(sealed, episode, created.component).is_ok()
                {
                    sealing::unseal_created(created, key, episode)?;
                    self.sealed_for = Some(created.sealed_for(episode));
                }
            }
            _ if first => {
                return Err(JournalError::damaged(
                    episode,
                    0,
                    "it does not say how the episode began",
                ));
            }
            Record::Request(request) => {
                if let (Some(key), Some(line)) = (&self.seal, self.sealed_for) {
                    sealing::unseal_request(request, key, line, stored.seq)?;
                }
            }
            Record::Outcome(outcome) => {
                if let (Some(key), Some(line)) = (&self.seal, self.sealed_for) {
                    sealing::unseal_outcome(outcome, key, line, stored.seq)?;
                }
            }
            Record::Exchange(exchange) => {
                if let (Some(key), Some(line)) = (&self.seal, self.sealed_for) {
                    sealing::unseal_exchange(exchange, key, line, stored.seq)?;
                }
            }
            Record::Created(_) | Record::Ended(_) => {}
        }
        Ok(ScannedRecord {
            seq: stored.seq,
            record,
            link: stored.link,
            imported: self.imported,
        })
    }

    /// Returns the slot of the next record, and the link of the one before.
    pub(super) fn position(&self) -> (u64, ChainLink) {
        (self.reader.next, self.reader.tip)
    }

    /// Returns the bytes of the records so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Continues at another record. `tip` is the link of the one before, as the
    /// store has it.
    pub(super) fn continue_at(&mut self, next: u64, tip: ChainLink) {
        (self.reader.next, self.reader.tip) = (next, tip);
        if next == self.index.head + 1 {
            self.head = Some(tip);
        }
    }

    /// Checks that no record is missing that the index knows of.
    pub(super) fn check_end(&self) -> Result<(), JournalError> {
        let ChainReader { episode, next, .. } = self.reader;
        let damaged = |seq, what| Err(JournalError::damaged(episode, seq, what));
        match self.head {
            _ if next == 0 => Err(JournalError::Unknown(episode)),
            Some(link) if link == self.index.tip => Ok(()),
            Some(_) => damaged(self.index.head, "it is not the one that the index names"),
            None => damaged(next, "it is missing"),
        }
    }

    fn finish(self) -> Result<ScanEnd, JournalError> {
        self.check_end()?;
        let ChainReader { next, tip, .. } = self.reader;
        Ok(ScanEnd {
            next,
            tip,
            bytes: self.bytes,
            imported: self.imported,
        })
    }
}

/// Reads the records of an episode in order. An error of `visit` ends the scan.
pub(crate) fn scan(
    store: &dyn JournalStore,
    episode: EpisodeId,
    seal: Option<Arc<SealKey>>,
    visit: &mut dyn FnMut(ScannedRecord) -> Result<(), JournalError>,
) -> Result<ScanEnd, JournalError> {
    let index = store.episode(episode)?;
    let index = index.ok_or(JournalError::Unknown(episode))?;
    let mut scanner = RecordScanner::new(index, seal);
    let mut failed = None;
    store.scan(episode, &mut |stored| {
        let visited = scanner.take(&stored);
        drop(stored);
        failed = visited.and_then(&mut *visit).err();
        failed.is_none()
    })?;
    match failed {
        Some(error) => Err(error),
        None => scanner.finish(),
    }
}

/// Reads a history, of which `keep` decides what is kept.
pub(crate) fn read_history(
    store: &dyn JournalStore,
    episode: EpisodeId,
    seal: Option<Arc<SealKey>>,
    keep: &mut KeepRecord<'_>,
) -> Result<EpisodeHistory, JournalError> {
    let mut history: Option<EpisodeHistory> = None;
    let end = scan(store, episode, seal, &mut |scanned| {
        let ScannedRecord {
            seq, record, link, ..
        } = scanned;
        match (&mut history, record) {
            (None, Record::Created(created)) => {
                history = Some(EpisodeHistory {
                    episode,
                    created: *created,
                    steps: Vec::new(),
                    ended: None,
                    next: 0,
                    tip: link,
                    bytes: 0,
                    imported: 0,
                });
                Ok(())
            }
            // The scan begins with the creation.
            (None, _) => Ok(()),
            (Some(history), mut record) => {
                if !keep(&mut record, &mut history.steps) {
                    return Ok(());
                }
                let added = history.add(seq, record, link);
                added.map_err(|what| JournalError::damaged(episode, seq, what))
            }
        }
    })?;
    let mut history = history.ok_or(JournalError::Unknown(episode))?;
    history.next = end.next;
    history.tip = end.tip;
    history.bytes = end.bytes;
    history.imported = end.imported;
    Ok(history)
}

/// Drops the content of a request. Its kind is kept.
pub fn drop_request(request: &mut GuestRequest) {
    match request {
        GuestRequest::Call { tool, input } => {
            *tool = String::new();
            if let Ok(empty) = Json::object("{}".to_owned()) {
                *input = empty;
            }
        }
        GuestRequest::Score { candidates } => *candidates = Vec::new(),
        GuestRequest::Setup
        | GuestRequest::Prompt
        | GuestRequest::Messages
        | GuestRequest::TaskTools
        | GuestRequest::Teardown => {}
    }
}

/// Drops the content of an outcome. What it says of reward and end, and why it
/// failed, is kept.
pub fn drop_content(outcome: &mut GuestOutcome) {
    match outcome {
        GuestOutcome::Output(ToolOutput {
            blocks, metadata, ..
        }) => {
            *blocks = Vec::new();
            *metadata = None;
        }
        GuestOutcome::Scores(scores) => {
            scores.iter_mut().for_each(|score| score.metadata = None);
        }
        GuestOutcome::Blocks(blocks) => *blocks = Vec::new(),
        GuestOutcome::Messages(messages) => *messages = Vec::new(),
        GuestOutcome::Tools(tools) => *tools = Vec::new(),
        GuestOutcome::Done
        | GuestOutcome::Refused(_)
        | GuestOutcome::Failed(_)
        | GuestOutcome::Faulted(_)
        | GuestOutcome::Published { .. } => {}
    }
}
