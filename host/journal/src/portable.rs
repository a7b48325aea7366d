//! An episode in one file, to be carried to another machine.
//!
//! The file is a line that says what it is, a version, and frames: a kind, a
//! length, and that many bytes. First the head, then every record with its
//! link, then the component if it was asked for, then the end with the link
//! that the chain comes to. A file that breaks off has no end, and one that
//! was changed has another chain.
//!
//! A file comes from anywhere. Reading one holds no more of it than it is
//! long, whatever its lengths claim, and gives nothing before all of it is
//! checked.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::chain::Link;
use super::error::JournalError;
use super::format;
use super::history::History;
use super::id::EpisodeId;
use super::pen;
use super::store::{Entry, Put, Row, Store};
use orwd_model::Digest;

/// What a file begins with.
const MAGIC: &[u8] = b"orwd episode\n";

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// Bytes of the head, at most.
const HEAD: u64 = 4096;

/// Bytes of a record with its link, at most: the largest result that a host
/// can be told to allow, and what goes around it.
const RECORD: u64 = (1 << 30) + (1 << 20);

/// Bytes of a component, at most.
const COMPONENT: u64 = 1 << 30;

/// An episode with all its records, checked.
#[derive(Clone, Debug)]
pub struct Portable {
    history: History,
    rows: Vec<Row>,
    component: Option<Vec<u8>>,
}

/// What became of an episode that was brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is new.
    New,
    /// It was there before, record by record.
    Already,
}

/// Why a file is none that can be brought in.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// It is something else.
    #[error("this is no exported episode")]
    NotOurs,
    /// Another version of orwd wrote it.
    #[error("the file is of version {0}, and this orwd reads version {VERSION}")]
    Version(u8),
    /// It is laid out as no orwd does it.
    #[error("the file is damaged: {0}")]
    Layout(String),
    /// Its records do not hold together, or the journal took none of them.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal has an episode of this id that is another.
    #[error("episode {0} is in the journal already, and differs from the one in the file")]
    Differs(EpisodeId),
    /// A live session has its name.
    #[error("a live session {session:?} of the same owner is in the journal")]
    Exists {
        /// The name.
        session: String,
    },
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What the file says of itself, for who looks at it with other tools.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(with = "serde_bytes")]
    episode: [u8; 16],
    records: u64,
    host: String,
}

/// What a frame holds.
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

    fn most(self) -> u64 {
        match self {
            Kind::Head => HEAD,
            Kind::Record => RECORD,
            Kind::Component => COMPONENT,
            Kind::End => 32,
        }
    }
}

impl Portable {
    /// The episode as it is in a store.
    pub fn export(store: &dyn Store, episode: EpisodeId) -> Result<Portable, JournalError> {
        let index = store.episode(episode)?;
        let index = index.ok_or(JournalError::Unknown(episode))?;
        let rows = store.read(episode, 0)?;
        let history = History::read_all(&index, &rows)?;
        Ok(Portable {
            history,
            rows,
            component: None,
        })
    }

    /// Puts the component beside the records, so that the file is all that a
    /// replay needs.
    pub fn with_component(mut self, bytes: Vec<u8>) -> Result<Portable, PortableError> {
        if Digest::of(&bytes) != self.history.created().component {
            return Err(layout(
                "the component is not the one that the episode ran on",
            ));
        }
        self.component = Some(bytes);
        Ok(self)
    }

    /// The records, checked.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The history up to a number of records, if there are as many.
    pub fn history_of(&self, records: u64) -> Option<Result<History, JournalError>> {
        let rows = self.rows.get(..usize::try_from(records).ok()?)?;
        Some(History::read(self.history.episode(), rows))
    }

    /// The component, if the file has it.
    pub fn component(&self) -> Option<&[u8]> {
        self.component.as_deref()
    }

    /// Writes the file.
    pub fn write(&self, mut file: impl Write) -> io::Result<()> {
        file.write_all(MAGIC)?;
        file.write_all(&[VERSION])?;
        let mut head = Vec::new();
        let says = Head {
            episode: *self.history.episode().as_bytes(),
            records: self.rows.len() as u64,
            host: env!("CARGO_PKG_VERSION").to_owned(),
        };
        format::write(&says, &mut head);
        frame(&mut file, Kind::Head, &[&head])?;
        for row in &self.rows {
            frame(&mut file, Kind::Record, &[row.link.as_bytes(), &row.bytes])?;
        }
        if let Some(component) = &self.component {
            frame(&mut file, Kind::Component, &[component])?;
        }
        frame(&mut file, Kind::End, &[self.history.tip().as_bytes()])?;
        file.flush()
    }

    /// Reads a file and checks all of it.
    pub fn read(file: impl Read) -> Result<Portable, PortableError> {
        let mut frames = Frames::begin(file)?;
        let Some((Kind::Head, head)) = frames.next()? else {
            return Err(layout("it has no head"));
        };
        let head: Head = format::read(&head).map_err(|error| layout(error.to_string()))?;
        let episode = EpisodeId::from_bytes(head.episode);
        let mut rows = Vec::new();
        let mut component = None;
        let tip = loop {
            match frames.next()?.ok_or_else(|| layout("it breaks off"))? {
                (Kind::Record, mut bytes) if component.is_none() => {
                    let Some(link) = bytes.first_chunk::<32>().copied() else {
                        return Err(layout("a record has no link"));
                    };
                    bytes.drain(..link.len());
                    rows.push(Row {
                        seq: rows.len() as u64,
                        bytes,
                        link: Link::from_bytes(link),
                    });
                }
                (Kind::Component, bytes) if component.is_none() => component = Some(bytes),
                (Kind::End, bytes) => break bytes,
                (kind, _) => return Err(layout(format!("{kind:?} where none may be"))),
            }
        };
        frames.end()?;
        if rows.len() as u64 != head.records {
            return Err(layout(format!(
                "it has {} records, and says {}",
                rows.len(),
                head.records
            )));
        }
        let history = History::read(episode, &rows)?;
        if history.tip().as_bytes().as_slice() != tip {
            return Err(layout("its chain comes to another end than it says"));
        }
        let portable = Portable {
            history,
            rows,
            component: None,
        };
        match component {
            Some(component) => portable.with_component(component),
            None => Ok(portable),
        }
    }

    /// Brings the episode into a store: all of it or nothing. One that is
    /// there already is left alone, and has to be the same.
    pub fn import(&self, store: &dyn Store) -> Result<Imported, PortableError> {
        let episode = self.history.episode();
        if store
            .episode(episode)
            .map_err(JournalError::from)?
            .is_some()
        {
            let there = store.read(episode, 0).map_err(JournalError::from)?;
            return if there == self.rows {
                Ok(Imported::Already)
            } else {
                Err(PortableError::Differs(episode))
            };
        }
        let mut entries = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let record = format::decode(&row.bytes)
                .map_err(|error| JournalError::damaged(episode, row.seq, error.to_string()))?;
            entries.push(Entry {
                episode,
                seq: row.seq,
                bytes: row.bytes.clone(),
                link: row.link,
                change: pen::change(&record),
            });
        }
        let put = store.append(&entries).map_err(JournalError::from)?;
        match put.first() {
            Some(Put::Exists) => Err(PortableError::Exists {
                session: self.history.created().session.to_string(),
            }),
            _ if put.iter().all(|put| *put == Put::Done) => Ok(Imported::New),
            // Somebody brought it in at the same time.
            _ if put.iter().all(|put| *put == Put::Already) => Ok(Imported::Already),
            _ => Err(PortableError::Differs(episode)),
        }
    }
}

fn layout(what: impl Into<String>) -> PortableError {
    PortableError::Layout(what.into())
}

fn frame(file: &mut impl Write, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    file.write_all(&[kind.byte()])?;
    file.write_all(&(size as u64).to_be_bytes())?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// Reads frame after frame.
struct Frames<F>(F);

impl<F: Read> Frames<F> {
    fn begin(mut file: F) -> Result<Frames<F>, PortableError> {
        let mut begins = Vec::new();
        let size = MAGIC.len() as u64 + 1;
        (&mut file).take(size).read_to_end(&mut begins)?;
        match begins.strip_prefix(MAGIC) {
            Some([VERSION]) => Ok(Frames(file)),
            Some([other]) => Err(PortableError::Version(*other)),
            _ => Err(PortableError::NotOurs),
        }
    }

    /// The next frame; none where the file ends between frames.
    fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, PortableError> {
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
        if size > kind.most() {
            return Err(layout(format!(
                "{kind:?} of {size} bytes is more than {}",
                kind.most()
            )));
        }
        // Grows with what is really there.
        let mut bytes = Vec::new();
        let read = (&mut self.0).take(size).read_to_end(&mut bytes)?;
        if read as u64 == size {
            Ok(Some((kind, bytes)))
        } else {
            Err(layout("it breaks off"))
        }
    }

    /// Nothing may follow.
    fn end(&mut self) -> Result<(), PortableError> {
        let mut more = [0];
        match self.0.read(&mut more)? {
            0 => Ok(()),
            _ => Err(layout("something follows its end")),
        }
    }
}
