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
    /// Opens a reader of a directory, with a handle of its own. It may wait for
    /// the listing of the lower layer.
    pub(crate) async fn open(dir: &Handle) -> Result<DirectoryReader> {
        let mut reader = DirectoryReader::new(dir)?;
        if let Some((lower, path)) = reader.dir.lower_dir()? {
            reader.lower = Some(lower.listing(&path).await?);
        }
        Ok(reader)
    }

    /// Opens a reader, and lists the lower layer on this thread.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn open_blocking(dir: &Handle) -> Result<DirectoryReader> {
        let mut reader = DirectoryReader::new(dir)?;
        if let Some((lower, path)) = reader.dir.lower_dir()? {
            reader.lower = Some(lower.list(&path)?);
        }
        Ok(reader)
    }

    fn new(dir: &Handle) -> Result<DirectoryReader> {
        Ok(DirectoryReader {
            dir: dir.reopen_dir()?,
            lower: None,
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
        let own = above.filter(|(over, _)| match &below {
            Some((name, _)) => *over <= name,
            None => true,
        });
        let next = match (below, own) {
            (_, Some((name, id))) => {
                let found = (name.clone(), layer.node(id)?.kind());
                // Its kind may be that of a lower file that is open.
                layer.observed.name(&found.0, found.1);
                Some(found)
            }
            (Some((name, kind)), None) => {
                layer.observed.name(&name, kind);
                Some((name, kind))
            }
            (None, None) => {
                layer.observed.end_of_names();
                None
            }
        };
        drop(layer);
        if let Some((name, _)) = &next {
            self.last.clone_from(name);
        }
        Ok(next)
    }
}
