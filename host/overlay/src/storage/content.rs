//! The content of a file: the written pages over the lower file.
//!
//! A lower file that a guest writes to is copied page by page as it is written,
//! and the rest is always read from the lower layer. The charge is `size` minus
//! what the lower file still provides: growth costs as if dense, holes
//! included, and a write into a large lower file costs one page.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{ErrorCode, HOST_FAILED, Result};
use crate::lower::{FileId, LowerFile, LowerLayer};
use crate::storage::pages::{PAGE, Page, PageStore};
use crate::storage::quota::FileQuota;

/// The content of one file.
#[derive(Debug, Default)]
pub(crate) struct FileContent {
    size: u64,
    lower: Option<LowerPart>,
    /// Whether it began as a lower file, whose bytes its pages may hold.
    was_lower: bool,
    pages: BTreeMap<u64, Page>,
}

/// The visible part of a lower file.
#[derive(Debug)]
struct LowerPart {
    path: Arc<str>,
    identity: FileId,
    /// Bytes from the start that the lower file provides, where no page covers
    /// them.
    len: u64,
    /// Of those, the bytes that no page covers.
    uncovered: u64,
    /// Whether `len` still follows the length of the lower file.
    tracks_lower: bool,
    /// Open while a handle is.
    file: Option<Arc<LowerFile>>,
}

/// Returns the page of an offset, and the position within it.
fn page_of(offset: u64) -> (u64, usize) {
    let page = PAGE as u64;
    (offset / page, (offset % page) as usize)
}

impl FileContent {
    /// Returns the content of an open, unmodified lower file.
    pub(crate) fn over(path: Arc<str>, file: Arc<LowerFile>) -> Result<FileContent> {
        let len = file.len()?;
        Ok(FileContent {
            size: len,
            lower: Some(LowerPart {
                path,
                identity: file.identity(),
                len,
                uncovered: len,
                tracks_lower: true,
                file: Some(file),
            }),
            was_lower: true,
            pages: BTreeMap::new(),
        })
    }

    pub(crate) fn size(&self) -> u64 {
        match &self.lower {
            Some(LowerPart {
                tracks_lower: true,
                file: Some(file),
                len,
                ..
            }) => file.len().unwrap_or(*len),
            _ => self.size,
        }
    }

    /// Returns the bytes charged for it.
    pub(crate) fn charge(&self) -> u64 {
        let uncovered = self.lower.as_ref().map_or(0, |lower| lower.uncovered);
        self.size.saturating_sub(uncovered)
    }

    /// Returns whether a read may return bytes of a lower file.
    pub(crate) fn may_show_lower(&self) -> bool {
        self.was_lower
    }

    /// Returns whether nothing was changed.
    pub(crate) fn is_unmodified(&self) -> bool {
        match &self.lower {
            Some(lower) => {
                lower.tracks_lower || (lower.uncovered == self.size && lower.len == self.size)
            }
            None => false,
        }
    }

    /// Returns whether the lower layer now has another file at this path.
    pub(crate) fn is_stale(&self, layer: &LowerLayer) -> Result<bool> {
        let Some(lower) = &self.lower else {
            return Ok(false);
        };
        let entry = layer.entry(&lower.path)?;
        Ok(entry.is_none_or(|entry| entry.identity != lower.identity))
    }

    /// Fixes the length at that of the lower file: from now on the file belongs
    /// to the session.
    pub(crate) fn freeze(&mut self) {
        let size = self.size();
        if let Some(lower) = &mut self.lower
            && lower.tracks_lower
        {
            lower.tracks_lower = false;
            lower.len = size;
            lower.uncovered = size;
            self.size = size;
        }
        self.drop_unused_lower();
    }

    /// Opens the lower file for reading. Fails if it was replaced after a part
    /// of it was copied.
    pub(crate) fn open(&mut self, layer: Option<&LowerLayer>) -> Result<()> {
        let Some(lower) = &mut self.lower else {
            return Ok(());
        };
        if lower.file.is_none() {
            let file = layer.ok_or(ErrorCode::Io)?.open(&lower.path)?;
            if file.identity() != lower.identity {
                return Err(ErrorCode::Io);
            }
            lower.file = Some(file);
        }
        Ok(())
    }

    /// Closes the lower file while no handle is open.
    pub(crate) fn close(&mut self) {
        if let Some(lower) = &mut self.lower {
            lower.file = None;
        }
    }

    /// Reads up to `count` bytes, at most a page; none at the end.
    pub(crate) fn read(&self, store: &PageStore, offset: u64, count: usize) -> Result<Vec<u8>> {
        if let Some(lower) = &self.lower
            && lower.tracks_lower
        {
            return lower.file()?.read_vec(offset, count.min(PAGE));
        }
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = count.min(PAGE).min(left);
        let mut buffer = vec![0; count];
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            let (index, within) = page_of(at);
            let here = rest.len().min(PAGE - within);
            let Some(piece) = rest.get_mut(..here) else {
                break;
            };
            match (self.pages.get(&index), &self.lower) {
                (Some(page), _) => store.read(page, within, piece)?,
                (None, Some(lower)) if at < lower.len => {
                    let shown = lower.len - at;
                    let shown = usize::try_from(shown).unwrap_or(usize::MAX).min(here);
                    if let Some(piece) = piece.get_mut(..shown) {
                        lower.read(at, piece)?;
                    }
                }
                _ => {}
            }
            done += here;
        }
        Ok(buffer)
    }

    /// Returns the lower file if a read here may need it and would block on the
    /// disk.
    pub(crate) fn uncached_lower(&self, offset: u64, count: usize) -> Option<Arc<LowerFile>> {
        let lower = self.lower.as_ref()?;
        let file = lower.file.as_ref()?;
        let shows = lower.tracks_lower || offset < lower.len;
        (shows && !file.is_cached(offset, count)).then(|| file.clone())
    }

    /// Writes as much as the quota allows and returns how much; fails if that
    /// is nothing. The file has been copied up.
    pub(crate) fn write(
        &mut self,
        store: &mut PageStore,
        quota: &mut FileQuota,
        offset: u64,
        bytes: &[u8],
    ) -> Result<usize> {
        if offset
            .checked_add(bytes.len() as u64)
            .is_none_or(|end| end > i64::MAX as u64)
        {
            return Err(ErrorCode::FileTooLarge);
        }
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_in_page(store, quota, offset + done as u64, rest) {
                Ok(count) => done += count,
                // A failure of the host is no short write that the guest sees.
                Err(error) if done == 0 || error == HOST_FAILED => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write_in_page(
        &mut self,
        store: &mut PageStore,
        quota: &mut FileQuota,
        at: u64,
        bytes: &[u8],
    ) -> Result<usize> {
        let (index, within) = page_of(at);
        let copied = if self.pages.contains_key(&index) {
            0
        } else {
            self.lower_bytes_in(index)
        };
        let most = quota.bytes_left();
        let space = self
            .size
            .saturating_add(most.saturating_sub(copied))
            .saturating_sub(at);
        let count = bytes
            .len()
            .min(PAGE - within)
            .min(usize::try_from(space).unwrap_or(usize::MAX));
        let piece = bytes.get(..count).unwrap_or_default();
        if piece.is_empty() || copied > most {
            return Err(quota.full());
        }
        let size = self.size.max(at + count as u64);
        let cost = size - self.size + copied;
        quota.charge(cost, 0)?;
        let written = self
            .own_page(store, index)
            .and_then(|page| store.write(page, within, piece));
        if let Err(error) = written {
            // The page, if it was copied, stays charged; the growth does not.
            quota.release(cost, 0);
            let kept = copied - self.uncovered_bytes_in(index);
            quota.charge(kept, 0)?;
            return Err(error);
        }
        self.size = size;
        self.drop_unused_lower();
        Ok(count)
    }

    /// Returns the session's own page, copied from the lower file if necessary.
    fn own_page(&mut self, store: &mut PageStore, index: u64) -> Result<&mut Page> {
        if !self.pages.contains_key(&index) {
            let shown = self.lower_bytes_in(index);
            let mut page = store.page()?;
            if let Some(lower) = self.lower.as_mut().filter(|_| shown > 0) {
                let mut buffer = vec![0; usize::try_from(shown).unwrap_or(PAGE)];
                let copied = lower
                    .read(index * PAGE as u64, &mut buffer)
                    .and_then(|_| store.write(&mut page, 0, &buffer));
                if let Err(error) = copied {
                    store.free(page);
                    return Err(error);
                }
                lower.uncovered = lower.uncovered.saturating_sub(shown);
            }
            self.pages.insert(index, page);
        }
        self.pages.get_mut(&index).ok_or(ErrorCode::Io)
    }

    /// Returns the bytes of a page within the lower file.
    fn lower_bytes_in(&self, index: u64) -> u64 {
        let len = self.lower.as_ref().map_or(0, |lower| lower.len);
        let start = index * PAGE as u64;
        len.saturating_sub(start).min(PAGE as u64)
    }

    /// Returns the bytes of a page that the lower file provides.
    fn uncovered_bytes_in(&self, index: u64) -> u64 {
        if self.pages.contains_key(&index) {
            0
        } else {
            self.lower_bytes_in(index)
        }
    }

    /// Truncates or extends the file. Growth is charged as if dense, although
    /// zeros take no space.
    pub(crate) fn set_size(
        &mut self,
        store: &mut PageStore,
        quota: &mut FileQuota,
        size: u64,
    ) -> Result<()> {
        if size > i64::MAX as u64 {
            return Err(ErrorCode::FileTooLarge);
        }
        if size >= self.size {
            quota.charge(size - self.size, 0)?;
            self.size = size;
            return Ok(());
        }
        let before = self.charge();
        let (cut, within) = page_of(size);
        if let Some(lower) = self.lower.as_mut().filter(|lower| lower.len > size) {
            let start = |index: u64| index * PAGE as u64;
            let covered: u64 = self
                .pages
                .range(cut..)
                .map(|(index, _)| {
                    let end = lower.len.min(start(*index) + PAGE as u64);
                    end.saturating_sub(size.max(start(*index)))
                })
                .sum();
            let lost = lower.len - size - covered;
            lower.uncovered = lower.uncovered.saturating_sub(lost);
            lower.len = size;
        }
        let gone = self.pages.split_off(&cut);
        for (index, mut page) in gone {
            if index == cut && within > 0 {
                store.truncate(&mut page, within);
                self.pages.insert(index, page);
            } else {
                store.free(page);
            }
        }
        self.size = size;
        self.drop_unused_lower();
        quota.release(before.saturating_sub(self.charge()), 0);
        Ok(())
    }

    /// Drops a lower file of which nothing is visible.
    fn drop_unused_lower(&mut self) {
        if self
            .lower
            .as_ref()
            .is_some_and(|lower| !lower.tracks_lower && lower.uncovered == 0)
        {
            self.lower = None;
        }
    }

    /// Recomputes the charge page by page.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn recount(&self) -> u64 {
        let len = self.lower.as_ref().map_or(0, |lower| lower.len);
        let uncovered: u64 = (0..len.div_ceil(PAGE as u64))
            .map(|index| self.uncovered_bytes_in(index))
            .sum();
        self.size - uncovered
    }

    /// Releases all pages.
    pub(crate) fn free(&mut self, store: &mut PageStore) {
        self.lower = None;
        self.size = 0;
        for (_, page) in std::mem::take(&mut self.pages) {
            store.free(page);
        }
    }
}

impl LowerPart {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.file()?.read(offset, buffer)
    }

    fn file(&self) -> Result<&LowerFile> {
        self.file.as_deref().ok_or(ErrorCode::Io)
    }
}
