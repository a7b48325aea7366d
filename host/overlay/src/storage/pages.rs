//! Stores the written pages of one session.
//!
//! Pages are kept in memory first. What would take more than [`MEMORY_LIMIT`]
//! bytes, a new page or a growing one, goes to an unnamed temporary file, which
//! the system removes even if the host is killed. A page holds what was written
//! into it, and reads as zeros from there to the length of its file. What a
//! page no longer holds is returned to the disk, so that the temporary file
//! takes no more than is charged, rounded up to the disk's blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use orwd_model::DiskBudget;

#[cfg(target_os = "linux")]
use rustix::fs::{FallocateFlags, fallocate};

use crate::error::{ErrorCode, HOST_FAILED, Result};
use crate::warnings::WarningLimiter;

/// Bytes of a page, and the most that is read or written at once.
pub(crate) const PAGE: usize = 64 * 1024;

/// Warnings about spill files, which guests can cause at will.
static UNUSABLE: WarningLimiter = WarningLimiter::new();

/// Warnings about refused space, which guests can cause at will.
static NO_SPACE: WarningLimiter = WarningLimiter::new();

/// Bytes of one session that are kept in memory.
const MEMORY_LIMIT: usize = 1 << 20;

/// The pages of one session.
#[derive(Debug, Default)]
pub(crate) struct PageStore {
    resident: usize,
    spill: Option<SpillFile>,
    /// What the temporary file is charged to.
    budget: Option<Arc<dyn DiskBudget>>,
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
    /// What each slot in use is charged to.
    budget: Option<Arc<dyn DiskBudget>>,
}

impl PageStore {
    /// Charges what is written to the disk from now on.
    pub(crate) fn charge_to(&mut self, budget: Arc<dyn DiskBudget>) {
        self.budget = Some(budget);
    }

    /// Allocates an empty page.
    pub(crate) fn page(&mut self) -> Result<Page> {
        if self.resident < MEMORY_LIMIT {
            return Ok(Page::Memory(Vec::new()));
        }
        let slot = self.spill()?.take()?;
        Ok(Page::Spilled { slot, len: 0 })
    }

    /// Writes within the page; the caller respects its size.
    pub(crate) fn write(&mut self, page: &mut Page, at: usize, bytes: &[u8]) -> Result<()> {
        let end = at + bytes.len();
        if let Page::Memory(memory) = page
            && !self.reserve(memory, end)
        {
            let held = memory.capacity();
            *page = self.moved_to_disk(memory)?;
            self.resident = self.resident.saturating_sub(held);
        }
        match page {
            Page::Memory(memory) => {
                if memory.len() < end {
                    memory.resize(end, 0);
                }
                if let Some(place) = memory.get_mut(at..end) {
                    place.copy_from_slice(bytes);
                }
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
                *len = (*len).max(end);
            }
        }
        Ok(())
    }

    /// Enlarges a page in memory to this length, at least by half so that many
    /// small writes are cheap; false if the memory limit does not allow it.
    fn reserve(&mut self, memory: &mut Vec<u8>, len: usize) -> bool {
        let before = memory.capacity();
        if len <= before {
            return true;
        }
        let then = len.max(before + before / 2).min(PAGE.max(len));
        if self.resident + (then - before) > MEMORY_LIMIT {
            return false;
        }
        memory.reserve_exact(then - memory.len());
        self.resident += memory.capacity() - before;
        true
    }

    /// Writes a page of memory to the disk.
    fn moved_to_disk(&mut self, memory: &[u8]) -> Result<Page> {
        let spill = self.spill()?;
        let slot = spill.take()?;
        if let Err(error) = spill.file.write_all_at(memory, slot * PAGE as u64) {
            spill.give_back(slot);
            return Err(error_code(&error));
        }
        Ok(Page::Spilled {
            slot,
            len: memory.len(),
        })
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
                    return Err(HOST_FAILED);
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
            Page::Spilled { slot, len } => {
                if to < *len {
                    *len = to;
                    if let Some(spill) = &self.spill {
                        spill.punch(*slot, to);
                    }
                }
            }
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
                budget: self.budget.clone(),
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
    /// Takes a slot. The budget is that of the host, as seen by a guest: whether it
    /// has space depends on other sessions.
    fn take(&mut self) -> Result<u64> {
        if let Some(budget) = &self.budget
            && !budget.take(PAGE as u64)
        {
            if let Some(unsaid) = NO_SPACE.admit() {
                tracing::warn!(
                    unsaid,
                    "files of a session refused: the disk quota of its owner is reached"
                );
            }
            return Err(HOST_FAILED);
        }
        Ok(self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        }))
    }

    /// Frees a slot. Once all slots are free, the file is truncated.
    fn give_back(&mut self, slot: u64) {
        if let Some(budget) = &self.budget {
            budget.give_back(PAGE as u64);
        }
        self.free.push(slot);
        if self.free.len() as u64 == self.slots && self.file.set_len(0).is_ok() {
            self.free.clear();
            self.slots = 0;
        } else {
            self.punch(slot, 0);
        }
    }

    /// Returns the blocks of a slot from this position on to the disk. Where
    /// the file system cannot, they are kept for the slot's next page.
    #[cfg(target_os = "linux")]
    fn punch(&self, slot: u64, from: usize) {
        let start = slot * PAGE as u64 + from as u64;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&self.file, flags, start, (PAGE - from.min(PAGE)) as u64);
    }

    #[cfg(not(target_os = "linux"))]
    fn punch(&self, _slot: u64, _from: usize) {}
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        let used = self.slots.saturating_sub(self.free.len() as u64);
        if let Some(budget) = &self.budget {
            budget.give_back(used * PAGE as u64);
        }
    }
}

/// Logs an error of the spill file, which is always the host's.
fn error_code(error: &io::Error) -> ErrorCode {
    if let Some(unsaid) = UNUSABLE.admit() {
        tracing::warn!(%error, unsaid, "cannot use spill file");
    }
    HOST_FAILED
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A budget of ten pages.
    #[derive(Debug, Default)]
    struct TenPages(AtomicU64);

    impl DiskBudget for TenPages {
        fn take(&self, bytes: u64) -> bool {
            let then = self.0.load(Ordering::Relaxed) + bytes;
            let fits = then <= 10 * PAGE as u64;
            if fits {
                self.0.store(then, Ordering::Relaxed);
            }
            fits
        }

        fn give_back(&self, bytes: u64) {
            self.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_temporary_file_is_charged_to_the_budget_of_its_owner() {
        let budget = Arc::new(TenPages::default());
        let fill = |store: &mut PageStore| -> Vec<Page> {
            std::iter::from_fn(|| {
                let mut page = store.page().ok()?;
                store.write(&mut page, 0, &[1; PAGE]).ok()?;
                Some(page)
            })
            .take(100)
            .collect()
        };
        let in_memory = MEMORY_LIMIT / PAGE;
        let mut store = PageStore::default();
        store.charge_to(budget.clone());
        let mut pages = fill(&mut store);
        assert_eq!(pages.len(), in_memory + 10);
        assert_eq!(store.page().unwrap_err(), HOST_FAILED);
        // Another session of the owner has its memory and no more.
        let mut other = PageStore::default();
        other.charge_to(budget.clone());
        assert_eq!(fill(&mut other).len(), in_memory);
        for page in pages.split_off(in_memory + 6) {
            store.free(page);
        }
        let fourth = fill(&mut other).len();
        assert_eq!(fourth, 4);
        drop(other);
        assert_eq!(budget.0.load(Ordering::Relaxed), 6 * PAGE as u64);
        drop(store);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

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

    #[test]
    fn pages_that_grow_stay_below_the_memory_limit() {
        let mut store = PageStore::default();
        let mut pages: Vec<Page> = (0..100)
            .map(|number| {
                let mut page = store.page().unwrap();
                store.write(&mut page, 0, &[number]).unwrap();
                page
            })
            .collect();
        assert!(pages.iter().all(|page| matches!(page, Page::Memory(_))));
        for (number, page) in (0..).zip(&mut pages) {
            for at in (1..PAGE).step_by(PAGE / 16) {
                store.write(page, at, &[number; 4095]).unwrap();
                assert!(store.resident <= MEMORY_LIMIT);
            }
        }
        let held: usize = pages
            .iter()
            .map(|page| match page {
                Page::Memory(memory) => memory.capacity(),
                Page::Spilled { .. } => 0,
            })
            .sum();
        assert_eq!(held, store.resident);
        for (number, page) in (0..).zip(&pages) {
            assert_eq!(read(&store, page, 0, 4096), [number; 4096]);
        }
        for page in pages {
            store.free(page);
        }
        assert_eq!(store.resident, 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_disk_holds_no_more_than_the_pages_do() {
        use std::os::unix::fs::MetadataExt;

        let mut store = PageStore::default();
        let mut pages = Vec::new();
        for number in 0..200 {
            let mut page = store.page().unwrap();
            store.write(&mut page, 0, &[number; PAGE]).unwrap();
            store.truncate(&mut page, 1);
            pages.push(page);
        }
        // In memory one byte is a few; fill it, so that all else is on disk.
        let bytes = |store: &PageStore| {
            let spill = store.spill.as_ref().map(|spill| &spill.file);
            spill.map_or(0, |file| file.metadata().unwrap().blocks() * 512)
        };
        for page in &mut pages {
            store.write(page, 0, &[9; PAGE]).unwrap();
        }
        let full = bytes(&store);
        assert!(full > 150 * PAGE as u64, "{full}");
        for page in &mut pages {
            store.truncate(page, 1);
        }
        let rest = bytes(&store);
        assert!(rest <= 200 * 4096, "{rest}");
        assert_eq!(read(&store, &pages[199], 0, 2), [9, 0]);
    }
}
