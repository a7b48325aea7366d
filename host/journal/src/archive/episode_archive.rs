//! An episode with its records, and the file that holds it.
//!
//! The file is a magic line, a version, and frames: a kind, a length, and the
//! bytes. The head comes first, then every record with its link, then receipts
//! of the hosts that ran it, then the component if requested, then the end with
//! the last link of the chain. A truncated file has no end, and a changed one has
//! another chain.
//!
//! A file may come from anywhere. Reading it never allocates more than its real
//! length, whatever the lengths in it claim, and returns nothing before all of
//! it is checked.

use std::io::{self, Read, Write};

use orwd_model::Digest;
use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, layout};
use super::frames::{FrameReader, Kind, MAGIC, VERSION, frame};
use crate::error::JournalError;
use crate::history::EpisodeHistory;
use crate::receipt::{Receipt, ReceiptSigner};
use crate::record::{self, ChainLink, EpisodeId, SealedSecrets};
use crate::store::{JournalStore, StoredRecord};

/// Records of a file, at most: those of the largest journal that a session may
/// have.
const MAX_RECORDS: usize = 1 << 24;

/// Receipts of a file, at most.
const MAX_RECEIPTS: usize = 16;

/// An episode with all its records, checked.
#[derive(Clone, Debug)]
pub struct EpisodeArchive {
    history: EpisodeHistory,
    records: Vec<StoredRecord>,
    receipts: Vec<Receipt>,
    component: Option<Vec<u8>>,
}

/// The head: a summary for other tools.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(with = "serde_bytes")]
    episode: [u8; 16],
    records: u64,
    host: String,
}

impl EpisodeArchive {
    /// Reads and checks an episode of a store.
    pub fn export(
        store: &dyn JournalStore,
        episode: EpisodeId,
    ) -> Result<EpisodeArchive, JournalError> {
        let index = store.episode(episode)?;
        let index = index.ok_or(JournalError::Unknown(episode))?;
        let records = store.read(episode, 0)?;
        let history = EpisodeHistory::read_indexed(&index, &records)?;
        let mut receipts = Vec::new();
        for stored in store.receipts(episode)? {
            let receipt = Receipt::parse(&stored.text)
                .map_err(|error| JournalError::damaged_episode(episode, error.to_string()))?;
            receipts.push(receipt);
        }
        Ok(EpisodeArchive {
            history,
            records,
            receipts,
            component: None,
        })
    }

    /// Adds this host's receipt for what it ran. Nothing is added for an episode
    /// of which it ran nothing, nor for one with secrets, whose rewards are not
    /// in the file in clear.
    pub fn with_receipt(mut self, signer: &ReceiptSigner) -> EpisodeArchive {
        let ran = self.history.imported() < self.history.next();
        if ran && self.history.created().secrets == SealedSecrets::None {
            self.receipts.push(Receipt::sign(&self.history, signer));
        }
        self
    }

    /// Adds the component, so that a replay needs nothing but the file.
    pub fn with_component(mut self, bytes: Vec<u8>) -> Result<EpisodeArchive, ArchiveError> {
        if Digest::of(&bytes) != self.history.created().component {
            return Err(layout(
                "the component is not the one that the episode ran on",
            ));
        }
        self.component = Some(bytes);
        Ok(self)
    }

    /// Returns the history.
    pub fn history(&self) -> &EpisodeHistory {
        &self.history
    }

    /// Returns the history of the first records; `None` if there are fewer.
    pub fn history_prefix(&self, records: u64) -> Option<Result<EpisodeHistory, JournalError>> {
        let records = self.records.get(..usize::try_from(records).ok()?)?;
        Some(EpisodeHistory::read(self.history.episode(), records))
    }

    /// Returns the receipts of the hosts that ran it. Each has a valid signature
    /// and states what the records say. Whether its key can be trusted is for the
    /// reader to decide.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    pub(super) fn records(&self) -> &[StoredRecord] {
        &self.records
    }

    /// Returns the component, if the file has it.
    pub fn component(&self) -> Option<&[u8]> {
        self.component.as_deref()
    }

    /// Writes the file.
    pub fn write(&self, mut file: impl Write) -> io::Result<()> {
        file.write_all(MAGIC)?;
        file.write_all(&[VERSION])?;
        let mut head = Vec::new();
        let summary = Head {
            episode: *self.history.episode().as_bytes(),
            records: self.records.len() as u64,
            host: env!("CARGO_PKG_VERSION").to_owned(),
        };
        record::encode_value(&summary, &mut head);
        frame(&mut file, Kind::Head, &[&head])?;
        for record in &self.records {
            let parts: [&[u8]; 2] = [record.link.as_bytes(), &record.bytes];
            frame(&mut file, Kind::Record, &parts)?;
        }
        for receipt in &self.receipts {
            let text = receipt.to_json().map_err(io::Error::other)?;
            frame(&mut file, Kind::Receipt, &[text.as_bytes()])?;
        }
        if let Some(component) = &self.component {
            frame(&mut file, Kind::Component, &[component])?;
        }
        frame(&mut file, Kind::End, &[self.history.tip().as_bytes()])?;
        file.flush()
    }

    /// Reads and checks a file.
    pub fn read(file: impl Read) -> Result<EpisodeArchive, ArchiveError> {
        let mut frames = FrameReader::begin(file)?;
        let Some((Kind::Head, head)) = frames.next()? else {
            return Err(layout("it has no head"));
        };
        let head: Head = record::decode_value(&head).map_err(|error| layout(error.to_string()))?;
        let episode = EpisodeId::from_bytes(head.episode);
        let mut records = Vec::new();
        let mut receipts = Vec::new();
        let mut component = None;
        let tip = loop {
            match frames.next()?.ok_or_else(|| layout("it breaks off"))? {
                (Kind::Record, _) if records.len() >= MAX_RECORDS => {
                    return Err(layout(format!("it has more than {MAX_RECORDS} records")));
                }
                (Kind::Record, mut bytes) if component.is_none() && receipts.is_empty() => {
                    let Some(link) = bytes.first_chunk::<32>().copied() else {
                        return Err(layout("a record has no link"));
                    };
                    bytes.drain(..link.len());
                    records.push(StoredRecord {
                        seq: records.len() as u64,
                        bytes,
                        link: ChainLink::from_bytes(link),
                    });
                }
                (Kind::Receipt, bytes) if component.is_none() && receipts.len() < MAX_RECEIPTS => {
                    receipts.push(bytes);
                }
                (Kind::Component, bytes) if component.is_none() => component = Some(bytes),
                (Kind::End, bytes) => break bytes,
                (kind, _) => return Err(layout(format!("{kind:?} where none may be"))),
            }
        };
        frames.end()?;
        if records.len() as u64 != head.records {
            return Err(layout(format!(
                "it has {} records, and says {}",
                records.len(),
                head.records
            )));
        }
        let history = EpisodeHistory::read(episode, &records)?;
        if history.tip().as_bytes().as_slice() != tip {
            return Err(layout("its last link is not the one that its records have"));
        }
        let mut archive = EpisodeArchive {
            history,
            records,
            receipts: Vec::new(),
            component: None,
        };
        for bytes in receipts {
            let receipt = archive.check_receipt(&bytes);
            let receipt = receipt.map_err(|what| layout(format!("its receipt: {what}")))?;
            archive.receipts.push(receipt);
        }
        match component {
            Some(component) => archive.with_component(component),
            None => Ok(archive),
        }
    }

    /// Checks the signature of a receipt, and that it is one of these records.
    fn check_receipt(&self, bytes: &[u8]) -> Result<Receipt, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let receipt = Receipt::parse(text).map_err(|error| error.to_string())?;
        receipt.verify(None).map_err(|error| error.to_string())?;
        let covered = self.history_prefix(receipt.receipt.records);
        let covered = covered.ok_or("it covers more records than the file has")?;
        let covered = covered.map_err(|error| error.to_string())?;
        receipt
            .compare(&covered)
            .map_err(|error| error.to_string())?;
        Ok(receipt)
    }
}
