//! Whether the log of the database has a hole.
//!
//! SQLite takes its log to end at the first frame that does not check, which
//! is right for a log that was torn off there. But a frame further on that
//! does check was written later: then what is in between was there once, and
//! the log was not torn but damaged, or it was never synced and power was
//! lost. Each frame bears a checksum that goes on from the one before it, so
//! that frames behind a damaged one can be checked still.
//!
//! A damaged last frame cannot be told from a torn one.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

/// What a log begins with, but for the lowest bit: the order of bytes in sums.
const MAGIC: u32 = 0x377f_0682;

/// What is found of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// It goes to its end, or is torn off, or there is none.
    Whole,
    /// Its head does not check, and frames follow.
    NoHead,
    /// This frame does not check, and whole transactions lie behind it.
    Hole(u64),
}

/// Reads the log at this path.
pub(super) fn examine(path: &Path) -> io::Result<Log> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Log::Whole),
        Err(error) => return Err(error),
    };
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut head = [0; 32];
    if !fill(&mut file, &mut head)? {
        return Ok(Log::Whole);
    }
    let Some(mut frames) = Frames::begin(&head) else {
        let mut more = [0; 24];
        let follow = fill(&mut file, &mut more)?;
        return Ok(if follow { Log::NoHead } else { Log::Whole });
    };
    let mut frame = vec![0; frames.size];
    let (mut number, mut broken) = (0, None);
    while fill(&mut file, &mut frame)? {
        number += 1;
        match (frames.next(&frame), broken) {
            (Frame::Broken, None) => broken = Some(number),
            (Frame::Commits, Some(hole)) => return Ok(Log::Hole(hole)),
            _ => {}
        }
    }
    Ok(Log::Whole)
}

/// Fills the buffer; false where the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Broken,
    Checks,
    /// It checks, and ends a transaction.
    Commits,
}

/// Frames as they follow each other.
struct Frames {
    /// Bytes of a frame.
    size: usize,
    big: bool,
    salt: [u8; 8],
    /// What the last frame says that the sum comes to.
    said: [u32; 2],
    /// What it does come to: the same, unless that frame is broken.
    found: [u32; 2],
}

impl Frames {
    fn begin(head: &[u8; 32]) -> Option<Frames> {
        let (said, sums) = head.split_last_chunk::<8>()?;
        let word = |at: usize| Some(u32::from_be_bytes(*head.get(at..)?.first_chunk()?));
        let magic = word(0)?;
        let page = usize::try_from(word(8)?).ok()?;
        if magic & !1 != MAGIC || !page.is_power_of_two() || !(512..=65536).contains(&page) {
            return None;
        }
        let big = magic & 1 == 1;
        let sum = add([0; 2], big, said);
        (sum == words(sums)).then_some(Frames {
            size: 24 + page,
            big,
            salt: *head.get(16..)?.first_chunk()?,
            said: sum,
            found: sum,
        })
    }

    /// Judges a frame, and goes on from what it says, whether it checks or not.
    fn next(&mut self, frame: &[u8]) -> Frame {
        let Some((head, page)) = frame.split_first_chunk::<24>() else {
            return Frame::Broken;
        };
        let [first, salt, sums] = [0, 8, 16].map(|at| {
            let eight = head.get(at..).and_then(|rest| rest.first_chunk::<8>());
            eight.copied().unwrap_or_default()
        });
        // Of a broken frame either may be what is broken: its bytes or its sum.
        let sum = |before| add(add(before, self.big, &first), self.big, page);
        let (said, found) = (words(&sums), sum(self.said));
        let follows = found == said || (self.found != self.said && sum(self.found) == said);
        (self.said, self.found) = (said, found);
        let [_, size_after] = words(&first);
        match (salt == self.salt && follows, size_after) {
            (false, _) => Frame::Broken,
            (true, 0) => Frame::Checks,
            (true, _) => Frame::Commits,
        }
    }
}

/// The sum with these bytes added.
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

/// Two words as they are written, whatever the order of bytes in sums.
fn words(bytes: &[u8; 8]) -> [u32; 2] {
    let both = u64::from_be_bytes(*bytes);
    [(both >> 32) as u32, both as u32]
}
