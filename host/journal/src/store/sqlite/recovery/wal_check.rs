//! Detection of holes in the write-ahead log.
//!
//! SQLite treats the first frame with a wrong checksum as the end of the log,
//! which is right for a truncated log. But if a later frame is valid, the frames
//! in between were written: the log was damaged, or was not synced before a loss
//! of power. The checksum of each frame continues from the one before it, so
//! frames after a damaged one can still be verified.
//!
//! A damaged last frame cannot be distinguished from a truncated one.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

/// The magic number of a log. Its lowest bit is the byte order of checksums.
const MAGIC: u32 = 0x377f_0682;

/// The state of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::sqlite) enum WalState {
    /// Complete, truncated or missing.
    Intact,
    /// The header is invalid, and frames follow.
    InvalidHeader,
    /// This frame is invalid, and complete transactions follow it.
    Hole(u64),
}

/// Reads and verifies the log at this path.
pub(in crate::store::sqlite) fn examine(path: &Path) -> io::Result<WalState> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(WalState::Intact),
        Err(error) => return Err(error),
    };
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut head = [0; 32];
    if !fill(&mut file, &mut head)? {
        return Ok(WalState::Intact);
    }
    let Some(mut frames) = FrameVerifier::begin(&head) else {
        let mut more = [0; 24];
        let follow = fill(&mut file, &mut more)?;
        return Ok(if follow {
            WalState::InvalidHeader
        } else {
            WalState::Intact
        });
    };
    let mut frame = vec![0; frames.size];
    let (mut number, mut invalid) = (0, None);
    while fill(&mut file, &mut frame)? {
        number += 1;
        match (frames.next(&frame), invalid) {
            (FrameState::Invalid, None) => invalid = Some(number),
            (FrameState::Commit, Some(hole)) => return Ok(WalState::Hole(hole)),
            _ => {}
        }
    }
    Ok(WalState::Intact)
}

/// Fills the buffer. Returns false if the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The state of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameState {
    Invalid,
    Valid,
    /// Valid, and the end of a transaction.
    Commit,
}

/// Verifies frames in sequence.
struct FrameVerifier {
    /// Bytes of a frame.
    size: usize,
    big_endian: bool,
    salt: [u8; 8],
    /// The checksum that the last frame states.
    stated: [u32; 2],
    /// The checksum of the last frame: the same, unless that frame is invalid.
    actual: [u32; 2],
}

impl FrameVerifier {
    fn begin(head: &[u8; 32]) -> Option<FrameVerifier> {
        let (summed, sums) = head.split_last_chunk::<8>()?;
        let word = |at: usize| Some(u32::from_be_bytes(*head.get(at..)?.first_chunk()?));
        let magic = word(0)?;
        let page = usize::try_from(word(8)?).ok()?;
        if magic & !1 != MAGIC || !page.is_power_of_two() || !(512..=65536).contains(&page) {
            return None;
        }
        let big = magic & 1 == 1;
        let sum = add([0; 2], big, summed);
        (sum == words(sums)).then_some(FrameVerifier {
            size: 24 + page,
            big_endian: big,
            salt: *head.get(16..)?.first_chunk()?,
            stated: sum,
            actual: sum,
        })
    }

    /// Verifies a frame, and continues from the checksum that it states.
    fn next(&mut self, frame: &[u8]) -> FrameState {
        let Some((head, page)) = frame.split_first_chunk::<24>() else {
            return FrameState::Invalid;
        };
        let [first, salt, sums] = [0, 8, 16].map(|at| {
            let eight = head.get(at..).and_then(|rest| rest.first_chunk::<8>());
            eight.copied().unwrap_or_default()
        });
        // In an invalid frame either the bytes or the stated checksum is wrong.
        let sum = |before| add(add(before, self.big_endian, &first), self.big_endian, page);
        let (stated, actual) = (words(&sums), sum(self.stated));
        let after_actual = self.actual != self.stated && sum(self.actual) == stated;
        let follows = actual == stated || after_actual;
        (self.stated, self.actual) = (stated, actual);
        let [_, size_after] = words(&first);
        match (salt == self.salt && follows, size_after) {
            (false, _) => FrameState::Invalid,
            (true, 0) => FrameState::Valid,
            (true, _) => FrameState::Commit,
        }
    }
}

/// Adds bytes to a checksum.
fn add([mut one, mut two]: [u32; 2], big: bool, bytes: &[u8]) -> [u32; 2] {
    for pair in bytes.chunks_exact(8) {
        let Some((first, second)) = pair.split_first_chunk::<4>() else {
            continue;
        };
        let Some(second) = second.first_chunk::<4>() else {
            continue;
        };
        let [first, second] = if big {
            [u32::from_be_bytes(*first), u32::from_be_bytes(*second)]
        } else {
            [u32::from_le_bytes(*first), u32::from_le_bytes(*second)]
        };
        one = one.wrapping_add(first).wrapping_add(two);
        two = two.wrapping_add(second).wrapping_add(one);
    }
    [one, two]
}

/// Reads two big-endian words.
fn words(bytes: &[u8; 8]) -> [u32; 2] {
    let both = u64::from_be_bytes(*bytes);
    [(both >> 32) as u32, both as u32]
}
