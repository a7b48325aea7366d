//! Archives: an episode in one file, to move it to another machine.
//!
//! The file is a magic line, a version, and frames: a kind, a length, and the
//! bytes. The head comes first, then every record with its link, then the
//! component if requested, then the end with the last link of the chain. A
//! truncated file has no end, and a changed one has another chain.
//!
//! A file may come from anywhere. Reading it never allocates more than its real
//! length, whatever the lengths in it claim, and returns nothing before all of
//! it is checked.

use std::io::{self, Read, Write};

use orwd_model::Digest;
use serde::{Deserialize, Serialize};

use crate::error::JournalError;
use crate::history::EpisodeHistory;
use crate::record::{self, ChainLink, EpisodeId};
use crate::store::{AppendEntry, AppendResult, IndexChange, JournalStore, StoredRecord};

/// The first bytes of a file.
const MAGIC: &[u8] = b"orwd episode\n";

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// Bytes of the head, at most.
const MAX_HEAD: u64 = 4096;

/// Bytes of a record with its link, at most: the largest configurable result
/// and its envelope.
const MAX_RECORD: u64 = (1 << 30) + (1 << 20);

/// Bytes of a component, at most.
const MAX_COMPONENT: u64 = 1 << 30;

/// An episode with all its records, checked.
#[derive(Clone, Debug)]
pub struct EpisodeArchive {
    history: EpisodeHistory,
    records: Vec<StoredRecord>,
    component: Option<Vec<u8>>,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The episode was added.
    Added,
    /// The same episode was in the store already.
    AlreadyPresent,
}

/// A file cannot be read or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is not an archive.
    #[error("this is not an exported episode")]
    NotAnArchive,
    /// Another version of orwd wrote it.
    #[error("the file is of version {0}, and this orwd reads version {VERSION}")]
    Version(u8),
    /// The frames are invalid.
    #[error("the file is damaged: {0}")]
    Layout(String),
    /// The records are invalid, or the journal refused them.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal has another episode with this id.
    #[error("episode {0} is in the journal already, and differs from the one in the file")]
    Differs(EpisodeId),
    /// A live session has its id.
    #[error("a live session {session:?} of the same owner is in the journal")]
    Exists {
        /// The session id.
        session: String,
    },
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
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

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    Record,
    Component,
    End,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Head, Kind::Record, Kind::Component, Kind::End];

    fn byte(self) -> u8 {
        match self {
            Kind::Head => b'h',
            Kind::Record => b'r',
            Kind::Component => b'c',
            Kind::End => b'e',
        }
    }

    fn max_size(self) -> u64 {
        match self {
            Kind::Head => MAX_HEAD,
            Kind::Record => MAX_RECORD,
            Kind::Component => MAX_COMPONENT,
            Kind::End => 32,
        }
    }
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
        Ok(EpisodeArchive {
            history,
            records,
            component: None,
        })
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
        let mut component = None;
        let tip = loop {
            match frames.next()?.ok_or_else(|| layout("it breaks off"))? {
                (Kind::Record, mut bytes) if component.is_none() => {
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
        let archive = EpisodeArchive {
            history,
            records,
            component: None,
        };
        match component {
            Some(component) => archive.with_component(component),
            None => Ok(archive),
        }
    }

    /// Adds the episode to a store, atomically. An episode that is there already
    /// is left unchanged, and must be the same.
    pub fn import(&self, store: &dyn JournalStore) -> Result<ImportOutcome, ArchiveError> {
        let episode = self.history.episode();
        if store
            .episode(episode)
            .map_err(JournalError::from)?
            .is_some()
        {
            let stored = store.read(episode, 0).map_err(JournalError::from)?;
            return if stored == self.records {
                Ok(ImportOutcome::AlreadyPresent)
            } else {
                Err(ArchiveError::Differs(episode))
            };
        }
        let mut entries = Vec::with_capacity(self.records.len());
        for stored in &self.records {
            let record = record::decode(&stored.bytes)
                .map_err(|error| JournalError::damaged(episode, stored.seq, error.to_string()))?;
            entries.push(AppendEntry {
                episode,
                seq: stored.seq,
                bytes: stored.bytes.clone(),
                link: stored.link,
                change: IndexChange::of(&record),
            });
        }
        let results = store.append(&entries).map_err(JournalError::from)?;
        let all = |expected| results.iter().all(|result| *result == expected);
        match results.first() {
            Some(AppendResult::SessionExists) => Err(ArchiveError::Exists {
                session: self.history.created().session.to_string(),
            }),
            _ if all(AppendResult::Appended) => Ok(ImportOutcome::Added),
            // A concurrent import added it.
            _ if all(AppendResult::AlreadyPresent) => Ok(ImportOutcome::AlreadyPresent),
            _ => Err(ArchiveError::Differs(episode)),
        }
    }
}

fn layout(what: impl Into<String>) -> ArchiveError {
    ArchiveError::Layout(what.into())
}

fn frame(file: &mut impl Write, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    file.write_all(&[kind.byte()])?;
    file.write_all(&(size as u64).to_be_bytes())?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// Reads the frames of a file.
struct FrameReader<F>(F);

impl<F: Read> FrameReader<F> {
    fn begin(mut file: F) -> Result<FrameReader<F>, ArchiveError> {
        let mut start = Vec::new();
        let size = MAGIC.len() as u64 + 1;
        (&mut file).take(size).read_to_end(&mut start)?;
        match start.strip_prefix(MAGIC) {
            Some([VERSION]) => Ok(FrameReader(file)),
            Some([other]) => Err(ArchiveError::Version(*other)),
            _ => Err(ArchiveError::NotAnArchive),
        }
    }

    /// Reads the next frame; `None` if the file ends between frames.
    fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, ArchiveError> {
        let mut lead = Vec::new();
        (&mut self.0).take(9).read_to_end(&mut lead)?;
        let (kind, size) = match lead.split_first_chunk::<1>() {
            None => return Ok(None),
            Some(([kind], size)) => (*kind, size.first_chunk::<8>()),
        };
        let size = size.ok_or_else(|| layout("it breaks off"))?;
        let size = u64::from_be_bytes(*size);
        let known = Kind::ALL.into_iter().find(|known| known.byte() == kind);
        let kind = known.ok_or_else(|| layout(format!("there is no frame {kind:#04x}")))?;
        if size > kind.max_size() {
            return Err(layout(format!(
                "{kind:?} of {size} bytes is more than {}",
                kind.max_size()
            )));
        }
        // Allocates only as much as the file has.
        let mut bytes = Vec::new();
        let read = (&mut self.0).take(size).read_to_end(&mut bytes)?;
        if read as u64 == size {
            Ok(Some((kind, bytes)))
        } else {
            Err(layout("it breaks off"))
        }
    }

    /// Checks that nothing follows.
    fn end(&mut self) -> Result<(), ArchiveError> {
        let mut more = [0];
        match self.0.read(&mut more)? {
            0 => Ok(()),
            _ => Err(layout("something follows its end")),
        }
    }
}
