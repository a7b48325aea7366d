//! Where the written pages of one session lie.
//!
//! In memory at first. Once they take up more than [`RESIDENT`], further pages
//! go to a temporary file without a name, which the system takes back by
//! itself whatever becomes of the host. A page holds what was written into it;
//! beyond its own length it reads as zeros, up to the length of its file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{Errno, Fs};

/// Bytes of a page, and the most that is read or written at once.
pub(super) const PAGE: usize = 64 * 1024;

/// Bytes of one session that are kept in memory.
const RESIDENT: usize = 1 << 20;

/// The pages of one session.
#[derive(Debug, Default)]
pub(super) struct Store {
    resident: usize,
    spill: Option<Spill>,
}

/// One page, which belongs to one file.
#[derive(Debug)]
pub(super) enum Page {
    Memory(Vec<u8>),
    Spilled { slot: u64, len: usize },
}

#[derive(Debug)]
struct Spill {
    file: File,
    slots: u64,
    free: Vec<u64>,
}

impl Store {
    /// An empty page.
    pub(super) fn page(&mut self) -> Fs<Page> {
        if self.resident < RESIDENT {
            return Ok(Page::Memory(Vec::new()));
        }
        let slot = self.spill()?.take();
        Ok(Page::Spilled { slot, len: 0 })
    }

    /// Writes within the page; the caller keeps to its size.
    pub(super) fn write(&mut self, page: &mut Page, at: usize, bytes: &[u8]) -> Fs<()> {
        match page {
            Page::Memory(memory) => {
                let before = memory.capacity();
                if memory.len() < at + bytes.len() {
                    memory.resize(at + bytes.len(), 0);
                }
                if let Some(place) = memory.get_mut(at..at + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
                self.resident += memory.capacity().saturating_sub(before);
            }
            Page::Spilled { slot, len } => {
                let file = &self.spill()?.file;
                let start = *slot * PAGE as u64;
                if at > *len {
                    // The slot may hold what another page left there.
                    let zeros = vec![0; at - *len];
                    file.write_all_at(&zeros, start + *len as u64)
                        .map_err(|error| errno(&error))?;
                }
                file.write_all_at(bytes, start + at as u64)
                    .map_err(|error| errno(&error))?;
                *len = (*len).max(at + bytes.len());
            }
        }
        Ok(())
    }

    /// Fills the buffer from within the page, with zeros beyond its end.
    pub(super) fn read(&self, page: &Page, at: usize, buffer: &mut [u8]) -> Fs<()> {
        buffer.fill(0);
        match page {
            Page::Memory(memory) => {
                let there = memory.get(at..).unwrap_or_default();
                for (to, from) in buffer.iter_mut().zip(there) {
                    *to = *from;
                }
                Ok(())
            }
            Page::Spilled { slot, len } => {
                let there = len.saturating_sub(at).min(buffer.len());
                let (Some(spill), Some(place)) = (&self.spill, buffer.get_mut(..there)) else {
                    return Err(Errno::Io);
                };
                spill
                    .file
                    .read_exact_at(place, slot * PAGE as u64 + at as u64)
                    .map_err(|error| errno(&error))
            }
        }
    }

    /// Forgets what is beyond a length.
    pub(super) fn truncate(&mut self, page: &mut Page, to: usize) {
        match page {
            Page::Memory(memory) => {
                let before = memory.capacity();
                memory.truncate(to);
                memory.shrink_to_fit();
                self.resident = self
                    .resident
                    .saturating_sub(before.saturating_sub(memory.capacity()));
            }
            Page::Spilled { len, .. } => *len = (*len).min(to),
        }
    }

    /// Gives a page back.
    pub(super) fn free(&mut self, page: Page) {
        match page {
            Page::Memory(memory) => {
                self.resident = self.resident.saturating_sub(memory.capacity());
            }
            Page::Spilled { slot, .. } => {
                if let Some(spill) = &mut self.spill {
                    spill.give_back(slot);
                }
            }
        }
    }

    fn spill(&mut self) -> Fs<&mut Spill> {
        let spill = match self.spill.take() {
            Some(spill) => spill,
            None => Spill {
                file: tempfile::tempfile().map_err(|error| errno(&error))?,
                slots: 0,
                free: Vec::new(),
            },
        };
        Ok(self.spill.insert(spill))
    }

    /// Whether anything lies on disk, for tests.
    #[cfg(test)]
    pub(super) fn has_spilled(&self) -> bool {
        self.spill.is_some()
    }
}

impl Spill {
    fn take(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        })
    }

    /// When nothing is left, neither is the room on disk.
    fn give_back(&mut self, slot: u64) {
        self.free.push(slot);
        if self.free.len() as u64 == self.slots && self.file.set_len(0).is_ok() {
            self.free.clear();
            self.slots = 0;
        }
    }
}

fn errno(error: &io::Error) -> Errno {
    tracing::warn!("keeping a session's files on disk failed: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Errno::InsufficientSpace,
        _ => Errno::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(store: &Store, page: &Page, at: usize, count: usize) -> Vec<u8> {
        let mut buffer = vec![7; count];
        store.read(page, at, &mut buffer).unwrap();
        buffer
    }

    /// The same story in memory and on disk.
    fn story(store: &mut Store, spilled: bool) {
        let mut page = store.page().unwrap();
        assert_eq!(matches!(page, Page::Spilled { .. }), spilled);
        store.write(&mut page, 3, b"abc").unwrap();
        assert_eq!(read(store, &page, 0, 8), b"\0\0\0abc\0\0");
        store.truncate(&mut page, 4);
        store.write(&mut page, 6, b"x").unwrap();
        assert_eq!(read(store, &page, 2, 6), b"\0a\0\0x\0");
        store.free(page);
        let fresh = store.page().unwrap();
        assert_eq!(read(store, &fresh, 0, 3), b"\0\0\0");
        store.free(fresh);
    }

    #[test]
    fn a_page_reads_the_same_in_memory_and_on_disk() {
        let mut store = Store::default();
        story(&mut store, false);
        let mut kept = Vec::new();
        for _ in 0..RESIDENT / PAGE {
            let mut page = store.page().unwrap();
            store.write(&mut page, 0, &[1; PAGE]).unwrap();
            kept.push(page);
        }
        story(&mut store, true);
        for page in kept {
            store.free(page);
        }
        assert_eq!(store.resident, 0);
        story(&mut store, false);
    }
}
