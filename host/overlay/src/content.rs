//! What a file holds: what was written, over what lies beneath.
//!
//! A base file that a guest writes to is copied page by page as it is written,
//! and what is not written is read from the base for ever. The charge is
//! `size` less what the base still provides: so growth costs as if it were
//! dense, holes included, and a write into a large base file costs a page.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::base::{Base, BaseFile, Identity};
use super::quota::Quota;
use super::store::{PAGE, Page, Store};
use super::{Errno, Fs};

/// The content of one file.
#[derive(Debug, Default)]
pub(super) struct Content {
    size: u64,
    beneath: Option<Beneath>,
    pages: BTreeMap<u64, Page>,
}

/// The part of a base file that shows through.
#[derive(Debug)]
struct Beneath {
    path: Arc<str>,
    identity: Identity,
    /// Bytes from the start that the base provides, where no page lies over.
    len: u64,
    /// Of those, the bytes that no page lies over.
    bare: u64,
    /// Whether the length above still follows the base's.
    follows: bool,
    /// Open as long as a handle is.
    file: Option<Arc<BaseFile>>,
}

/// Where a byte is: its page, and its place in it.
fn place(offset: u64) -> (u64, usize) {
    let page = PAGE as u64;
    (offset / page, (offset % page) as usize)
}

impl Content {
    /// An unwritten base file, open.
    pub(super) fn over(path: Arc<str>, file: Arc<BaseFile>) -> Fs<Content> {
        let len = file.len()?;
        Ok(Content {
            size: len,
            beneath: Some(Beneath {
                path,
                identity: file.identity(),
                len,
                bare: len,
                follows: true,
                file: Some(file),
            }),
            pages: BTreeMap::new(),
        })
    }

    pub(super) fn size(&self) -> u64 {
        match &self.beneath {
            Some(Beneath {
                follows: true,
                file: Some(file),
                len,
                ..
            }) => file.len().unwrap_or(*len),
            _ => self.size,
        }
    }

    /// Bytes charged for it.
    pub(super) fn charge(&self) -> u64 {
        let bare = self.beneath.as_ref().map_or(0, |beneath| beneath.bare);
        self.size.saturating_sub(bare)
    }

    /// Whether nothing of it was changed.
    pub(super) fn is_as_beneath(&self) -> bool {
        match &self.beneath {
            Some(beneath) => {
                beneath.follows || (beneath.bare == self.size && beneath.len == self.size)
            }
            None => false,
        }
    }

    /// Whether the base has another file under the path by now.
    pub(super) fn is_outdated(&self, base: &Base) -> Fs<bool> {
        let Some(beneath) = &self.beneath else {
            return Ok(false);
        };
        let entry = base.entry(&beneath.path)?;
        Ok(entry.is_none_or(|entry| entry.identity != beneath.identity))
    }

    /// From here on the file is the session's own, as long as the base file is
    /// now.
    pub(super) fn freeze(&mut self) {
        let size = self.size();
        if let Some(beneath) = &mut self.beneath
            && beneath.follows
        {
            beneath.follows = false;
            beneath.len = size;
            beneath.bare = size;
            self.size = size;
        }
        self.forget_base();
    }

    /// Makes what lies beneath readable. Fails if the base file was exchanged
    /// since a part of it was copied.
    pub(super) fn open(&mut self, base: Option<&Base>) -> Fs<()> {
        let Some(beneath) = &mut self.beneath else {
            return Ok(());
        };
        if beneath.file.is_none() {
            let file = base.ok_or(Errno::Io)?.open(&beneath.path)?;
            if file.identity() != beneath.identity {
                return Err(Errno::Io);
            }
            beneath.file = Some(file);
        }
        Ok(())
    }

    /// Nobody reads it for now.
    pub(super) fn close(&mut self) {
        if let Some(beneath) = &mut self.beneath {
            beneath.file = None;
        }
    }

    /// Up to `count` bytes, a page's worth at most; none at the end.
    pub(super) fn read(&self, store: &Store, offset: u64, count: usize) -> Fs<Vec<u8>> {
        if let Some(beneath) = &self.beneath
            && beneath.follows
        {
            return beneath.file()?.read_new(offset, count.min(PAGE));
        }
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = count.min(PAGE).min(left);
        let mut buffer = vec![0; count];
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            let (index, within) = place(at);
            let here = rest.len().min(PAGE - within);
            let Some(piece) = rest.get_mut(..here) else {
                break;
            };
            match (self.pages.get(&index), &self.beneath) {
                (Some(page), _) => store.read(page, within, piece)?,
                (None, Some(beneath)) if at < beneath.len => {
                    let shown = beneath.len - at;
                    let shown = usize::try_from(shown).unwrap_or(usize::MAX).min(here);
                    if let Some(piece) = piece.get_mut(..shown) {
                        beneath.read(at, piece)?;
                    }
                }
                _ => {}
            }
            done += here;
        }
        Ok(buffer)
    }

    /// The base file, if it may show here and would have to be waited for.
    pub(super) fn distant(&self, offset: u64, count: usize) -> Option<Arc<BaseFile>> {
        let beneath = self.beneath.as_ref()?;
        let file = beneath.file.as_ref()?;
        let shows = beneath.follows || offset < beneath.len;
        (shows && !file.is_at_hand(offset, count)).then(|| file.clone())
    }

    /// Writes as much as the quota has room for, and says how much; fails if
    /// that is nothing. The file is the session's own by now.
    pub(super) fn write(
        &mut self,
        store: &mut Store,
        quota: &mut Quota,
        offset: u64,
        bytes: &[u8],
    ) -> Fs<usize> {
        if offset
            .checked_add(bytes.len() as u64)
            .is_none_or(|end| end > i64::MAX as u64)
        {
            return Err(Errno::FileTooLarge);
        }
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_in_page(store, quota, offset + done as u64, rest) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write_in_page(
        &mut self,
        store: &mut Store,
        quota: &mut Quota,
        at: u64,
        bytes: &[u8],
    ) -> Fs<usize> {
        let (index, within) = place(at);
        let copied = if self.pages.contains_key(&index) {
            0
        } else {
            self.shown_in(index)
        };
        let most = quota.bytes_left();
        let room = self
            .size
            .saturating_add(most.saturating_sub(copied))
            .saturating_sub(at);
        let count = bytes
            .len()
            .min(PAGE - within)
            .min(usize::try_from(room).unwrap_or(usize::MAX));
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
            // The page, if it is there by now, is charged; the growth is not.
            quota.release(cost, 0);
            let kept = copied - self.bare_in(index);
            quota.charge(kept, 0)?;
            return Err(error);
        }
        self.size = size;
        self.forget_base();
        Ok(count)
    }

    /// The session's own page, copied from the base if need be.
    fn own_page(&mut self, store: &mut Store, index: u64) -> Fs<&mut Page> {
        if !self.pages.contains_key(&index) {
            let shown = self.shown_in(index);
            let mut page = store.page()?;
            if let Some(beneath) = self.beneath.as_mut().filter(|_| shown > 0) {
                let mut buffer = vec![0; usize::try_from(shown).unwrap_or(PAGE)];
                let copied = beneath
                    .read(index * PAGE as u64, &mut buffer)
                    .and_then(|_| store.write(&mut page, 0, &buffer));
                if let Err(error) = copied {
                    store.free(page);
                    return Err(error);
                }
                beneath.bare = beneath.bare.saturating_sub(shown);
            }
            self.pages.insert(index, page);
        }
        self.pages.get_mut(&index).ok_or(Errno::Io)
    }

    /// Bytes of a page that the base could show.
    fn shown_in(&self, index: u64) -> u64 {
        let len = self.beneath.as_ref().map_or(0, |beneath| beneath.len);
        let start = index * PAGE as u64;
        len.saturating_sub(start).min(PAGE as u64)
    }

    /// Bytes of a page that the base does show.
    fn bare_in(&self, index: u64) -> u64 {
        if self.pages.contains_key(&index) {
            0
        } else {
            self.shown_in(index)
        }
    }

    /// Cuts the file or lets it grow; growth is charged as if dense, though
    /// zeros take no room.
    pub(super) fn set_size(&mut self, store: &mut Store, quota: &mut Quota, size: u64) -> Fs<()> {
        if size > i64::MAX as u64 {
            return Err(Errno::FileTooLarge);
        }
        if size >= self.size {
            quota.charge(size - self.size, 0)?;
            self.size = size;
            return Ok(());
        }
        let before = self.charge();
        let (cut, within) = place(size);
        if let Some(beneath) = self.beneath.as_mut().filter(|beneath| beneath.len > size) {
            let start = |index: u64| index * PAGE as u64;
            let covered: u64 = self
                .pages
                .range(cut..)
                .map(|(index, _)| {
                    let end = beneath.len.min(start(*index) + PAGE as u64);
                    end.saturating_sub(size.max(start(*index)))
                })
                .sum();
            let lost = beneath.len - size - covered;
            beneath.bare = beneath.bare.saturating_sub(lost);
            beneath.len = size;
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
        self.forget_base();
        quota.release(before.saturating_sub(self.charge()), 0);
        Ok(())
    }

    /// A base that shows nowhere is not needed any more.
    fn forget_base(&mut self) {
        if self
            .beneath
            .as_ref()
            .is_some_and(|beneath| !beneath.follows && beneath.bare == 0)
        {
            self.beneath = None;
        }
    }

    /// The charge, counted page by page, for tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn recount(&self) -> u64 {
        let len = self.beneath.as_ref().map_or(0, |beneath| beneath.len);
        let bare: u64 = (0..len.div_ceil(PAGE as u64))
            .map(|index| self.bare_in(index))
            .sum();
        self.size - bare
    }

    /// Gives everything back.
    pub(super) fn free(&mut self, store: &mut Store) {
        self.beneath = None;
        self.size = 0;
        for (_, page) in std::mem::take(&mut self.pages) {
            store.free(page);
        }
    }
}

impl Beneath {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Fs<usize> {
        self.file()?.read(offset, buffer)
    }

    fn file(&self) -> Fs<&BaseFile> {
        self.file.as_deref().ok_or(Errno::Io)
    }
}
