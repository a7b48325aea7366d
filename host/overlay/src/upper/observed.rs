//! What a guest has seen of its data, as one running hash.
//!
//! A session continues after a restart only if its replay sees the same data.
//! Each result that may depend on the lower layer is hashed as the guest gets
//! it, in order: whether a path exists and of what kind it is, sizes, bytes,
//! the names of a listing, targets of links, and errors. What the guest did not
//! see is not in it, such as other files, or the links that a path led through.
//! Neither is the identity of a file: equal bytes are equal data.

use std::cell::RefCell;

use blake3::Hasher;

use crate::error::ErrorCode;
use crate::lower::FileKind;

/// The results that the guest of one session got. Off unless it is started.
#[derive(Debug, Default)]
pub(crate) struct Observations(Option<RefCell<Hasher>>);

/// One kind of result. The numbers are part of what journals hold.
#[derive(Clone, Copy)]
enum Tag {
    Kind = 1,
    Failure = 2,
    Size = 3,
    Bytes = 4,
    Name = 5,
    EndOfNames = 6,
    Target = 7,
}

impl Observations {
    /// Starts to observe.
    pub(crate) fn start(&mut self) {
        let hasher = Hasher::new_derive_key("orwd 2026 v1 data that a guest has seen");
        self.0 = Some(RefCell::new(hasher));
    }

    /// Returns the hash of all that was seen so far; none if it is off.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        let hasher = self.0.as_ref()?.borrow();
        Some(*hasher.finalize().as_bytes())
    }

    /// A path leads to a file of this kind, or to none.
    pub(crate) fn kind(&self, kind: Option<FileKind>) {
        self.add(Tag::Kind, kind.map_or(0, number), &[]);
    }

    /// An operation failed.
    pub(crate) fn failure(&self, code: ErrorCode) {
        self.add(Tag::Failure, 0, code.name().as_bytes());
    }

    /// A file has this size, or this much of a write fitted.
    pub(crate) fn size(&self, size: u64) {
        self.add(Tag::Size, size, &[]);
    }

    /// A file has these bytes where it was read.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        self.add(Tag::Bytes, 0, bytes);
    }

    /// The next name of a directory.
    pub(crate) fn name(&self, name: &str, kind: FileKind) {
        self.add(Tag::Name, number(kind), name.as_bytes());
    }

    /// A directory has no more names.
    pub(crate) fn end_of_names(&self) {
        self.add(Tag::EndOfNames, 0, &[]);
    }

    /// A symbolic link has this target.
    pub(crate) fn target(&self, target: &str) {
        self.add(Tag::Target, 0, target.as_bytes());
    }

    fn add(&self, tag: Tag, number: u64, bytes: &[u8]) {
        let Some(hasher) = &self.0 else {
            return;
        };
        let mut head = [0; 17];
        let (first, rest) = head.split_at_mut(1);
        let (second, third) = rest.split_at_mut(8);
        first.fill(tag as u8);
        second.copy_from_slice(&number.to_le_bytes());
        third.copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        hasher.borrow_mut().update(&head).update(bytes);
    }
}

fn number(kind: FileKind) -> u64 {
    match kind {
        FileKind::File => 1,
        FileKind::Dir => 2,
        FileKind::Link => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(see: impl FnOnce(&Observations)) -> [u8; 32] {
        let mut seen = Observations::default();
        assert_eq!(seen.digest(), None);
        seen.start();
        see(&seen);
        seen.digest().unwrap()
    }

    #[test]
    fn each_result_and_their_order_count() {
        let all = [
            digest(|_| {}),
            digest(|seen| seen.kind(None)),
            digest(|seen| seen.kind(Some(FileKind::File))),
            digest(|seen| seen.failure(ErrorCode::NoEntry)),
            digest(|seen| seen.failure(ErrorCode::Access)),
            digest(|seen| seen.size(1)),
            digest(|seen| seen.size(2)),
            digest(|seen| seen.bytes(b"")),
            digest(|seen| seen.bytes(b"ab")),
            digest(|seen| {
                seen.bytes(b"a");
                seen.bytes(b"b");
            }),
            digest(|seen| seen.name("ab", FileKind::File)),
            digest(|seen| seen.name("ab", FileKind::Dir)),
            digest(|seen| seen.target("ab")),
            digest(|seen| {
                seen.target("ab");
                seen.end_of_names();
            }),
            digest(|seen| {
                seen.end_of_names();
                seen.target("ab");
            }),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
        assert_eq!(digest(|seen| seen.size(1)), all[5]);
    }
}
