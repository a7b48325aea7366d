//! Directory listings, name by name and sorted.
//!
//! The names of the lower layer come from a shared listing; those of the
//! session are looked up on the way, so that a reader holds a position and no
//! copy. Changes behind the position are not seen.

use std::ops::Bound;
use std::sync::Arc;

use crate::error::Result;
use crate::handle::Handle;
use crate::lower::{FileKind, LowerListing};
use crate::upper::node::Entry;

/// A reader of one directory.
#[derive(Debug)]
pub(crate) struct DirectoryReader {
    dir: Handle,
    lower: Option<Arc<LowerListing>>,
    index: usize,
    last: String,
}

impl DirectoryReader {
    /// Opens a reader of a directory, with a handle of its own.
    pub(crate) fn open(dir: &Handle) -> Result<DirectoryReader> {
        let dir = dir.reopen_dir()?;
        let layer = dir.layer();
        let lower = match &layer.directory(dir.node())?.lower {
            Some(path) => Some(layer.lower()?.list(path)?),
            None => None,
        };
        drop(layer);
        Ok(DirectoryReader {
            dir,
            lower,
            index: 0,
            last: String::new(),
        })
    }

    /// Returns the next name.
    pub(crate) fn next(&mut self) -> Result<Option<(String, FileKind)>> {
        let layer = self.dir.layer();
        let folder = layer.directory(self.dir.node())?;
        let names = self.lower.as_deref().map(|listing| &*listing.names);
        let names = names.filter(|_| folder.lower.is_some());
        let mut below = None;
        while let Some((name, kind)) = names.unwrap_or_default().get(self.index) {
            if *name > self.last && !folder.entries.contains_key(name) {
                below = Some((name.clone(), *kind));
                break;
            }
            self.index += 1;
        }
        let from = (Bound::Excluded(self.last.as_str()), Bound::Unbounded);
        let above = folder
            .entries
            .range::<str, _>(from)
            .find_map(|(name, entry)| match entry {
                Entry::Node(id) => Some((name, *id)),
                Entry::Whiteout => None,
            });
        let next = match (below, above) {
            (Some((name, kind)), None) => Some((name, kind)),
            (Some((name, kind)), Some((over, _))) if name < *over => Some((name, kind)),
            (_, Some((name, id))) => Some((name.clone(), layer.node(id)?.kind())),
            (None, None) => None,
        };
        drop(layer);
        if let Some((name, _)) = &next {
            self.last.clone_from(name);
        }
        Ok(next)
    }
}
