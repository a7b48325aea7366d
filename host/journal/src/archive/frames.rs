//! The frames of an exported file.

use std::io::{self, Read, Write};

use super::error::{ArchiveError, layout};

/// The first bytes of a file.
pub(super) const MAGIC: &[u8] = b"orwd episode\n";

/// The version that is written. Version 1, which has no receipts, is read too.
pub(super) const VERSION: u8 = 2;

/// The oldest version that is read.
const OLDEST: u8 = 1;

/// Bytes of the head, at most.
const MAX_HEAD: u64 = 4096;

/// Bytes of a record with its link, at most: the largest configurable result
/// and its envelope.
const MAX_RECORD: u64 = (1 << 30) + (1 << 20);

/// Bytes of a receipt, at most.
const MAX_RECEIPT: u64 = 256 << 20;

/// Bytes of a component, at most.
const MAX_COMPONENT: u64 = 1 << 30;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Record,
    Receipt,
    Component,
    End,
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::Head,
        Kind::Record,
        Kind::Receipt,
        Kind::Component,
        Kind::End,
    ];

    fn byte(self) -> u8 {
        match self {
            Kind::Head => b'h',
            Kind::Record => b'r',
            Kind::Receipt => b's',
            Kind::Component => b'c',
            Kind::End => b'e',
        }
    }

    fn max_size(self) -> u64 {
        match self {
            Kind::Head => MAX_HEAD,
            Kind::Record => MAX_RECORD,
            Kind::Receipt => MAX_RECEIPT,
            Kind::Component => MAX_COMPONENT,
            Kind::End => 32,
        }
    }
}

/// Writes a frame.
pub(super) fn frame(file: &mut impl Write, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    file.write_all(&[kind.byte()])?;
    file.write_all(&(size as u64).to_be_bytes())?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// Reads the frames of a file.
pub(super) struct FrameReader<F>(F);

impl<F: Read> FrameReader<F> {
    pub(super) fn begin(mut file: F) -> Result<FrameReader<F>, ArchiveError> {
        let mut start = Vec::new();
        let size = MAGIC.len() as u64 + 1;
        (&mut file).take(size).read_to_end(&mut start)?;
        match start.strip_prefix(MAGIC) {
            Some([OLDEST..=VERSION]) => Ok(FrameReader(file)),
            Some([other]) => Err(ArchiveError::Version {
                found: *other,
                newest: VERSION,
            }),
            _ => Err(ArchiveError::NotAnArchive),
        }
    }

    /// Reads the next frame; `None` if the file ends between frames.
    pub(super) fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, ArchiveError> {
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
    pub(super) fn end(&mut self) -> Result<(), ArchiveError> {
        let mut more = [0];
        match self.0.read(&mut more)? {
            0 => Ok(()),
            _ => Err(layout("something follows its end")),
        }
    }
}
