//! Stores the written pages of one session.
//!
//! Pages are kept in memory first. Above [`MEMORY_LIMIT`] bytes, further pages
//! go to an unnamed temporary file, which the system removes even if the host
//! is killed. A page holds what was written into it, and reads as zeros from
//! there to the length of its file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::error::{ErrorCode, Result};

/// Bytes of a page, and the most that is read or written at once.
pub(crate) const PAGE: usize = 64 * 1024;

/// Bytes of one session that are kept in memory.
const MEMORY_LIMIT: usize = 1 << 20;

/// The pages of one session.
#[derive(Debug, Default)]
pub(crate) struct PageStore {
    resident: usize,
    spill: Option<SpillFile>,
}

/// One page, which belongs to one file.
#[derive(Debug)]
pub(crate) enum Page {
    Memory(Vec<u8>),
    Spilled { slot: u64, len: usize },
}

#[derive(Debug)]
struct SpillFile {
    file: File,
    slots: u64,
    free: Vec<u64>,
}

impl PageStore {
    /// Allocates an empty page.
    pub(crate) fn page(&mut self) -> Result<Page> {
        if self.resident < MEMORY_LIMIT {
            return Ok(Page::Memory(Vec::new()));
        }
        let slot = self.spill()?.take();
        Ok(Page::Spilled { slot, len: 0 })
    }

    /// Writes within the page; the caller respects its size.
    pub(crate) fn write(&mut self, page: &mut Page, at: usize, bytes: &[u8]) -> Result<()> {
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
                    // The slot may hold data of an earlier page.
                    let zeros = vec![0; at - *len];
                    file.write_all_at(&zeros, start + *len as u64)
                        .map_err(|error| error_code(&error))?;
                }
                file.write_all_at(bytes, start + at as u64)
                    .map_err(|error| error_code(&error))?;
                *len = (*len).max(at + bytes.len());
            }
        }
        Ok(())
    }

    /// Fills the buffer from within the page, with zeros after its end.
    pub(crate) fn read(&self, page: &Page, at: usize, buffer: &mut [u8]) -> Result<()> {
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
                    return Err(ErrorCode::Io);
                };
                spill
                    .file
                    .read_exact_at(place, slot * PAGE as u64 + at as u64)
                    .map_err(|error| error_code(&error))
            }
        }
    }

    /// Truncates a page.
    pub(crate) fn truncate(&mut self, page: &mut Page, to: usize) {
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

    /// Frees a page.
    pub(crate) fn free(&mut self, page: Page) {
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

    fn spill(&mut self) -> Result<&mut SpillFile> {
        let spill = match self.spill.take() {
            Some(spill) => spill,
            None => SpillFile {
                file: tempfile::tempfile().map_err(|error| error_code(&error))?,
                slots: 0,
                free: Vec::new(),
            },
        };
        Ok(self.spill.insert(spill))
    }

    /// Returns whether a spill file exists.
    #[cfg(test)]
    pub(crate) fn has_spilled(&self) -> bool {
        self.spill.is_some()
    }
}

impl SpillFile {
    fn take(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        })
    }

    /// Frees a slot. Once all slots are free, the file is truncated.
    fn give_back(&mut self, slot: u64) {
        self.free.push(slot);
        if self.free.len() as u64 == self.slots && self.file.set_len(0).is_ok() {
            self.free.clear();
            self.slots = 0;
        }
    }
}

fn error_code(error: &io::Error) -> ErrorCode {
    tracing::warn!(%error, "cannot use spill file");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::InsufficientSpace,
        _ => ErrorCode::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(store: &PageStore, page: &Page, at: usize, count: usize) -> Vec<u8> {
        let mut buffer = vec![7; count];
        store.read(page, at, &mut buffer).unwrap();
        buffer
    }

    /// The same sequence in memory and on disk.
    fn story(store: &mut PageStore, spilled: bool) {
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
        let mut store = PageStore::default();
        story(&mut store, false);
        let mut kept = Vec::new();
        for _ in 0..MEMORY_LIMIT / PAGE {
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
