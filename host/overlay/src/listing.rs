//! What is in a directory, name by name and sorted.
//!
//! The names of the base come from a listing that all who list it share; those
//! of the session are looked up as the reader goes on, so that a reader holds
//! a place and no copy. What changes behind the reader's place is not seen.

use std::ops::Bound;
use std::sync::Arc;

use super::Fs;
use super::base::{Kind, Listing};
use super::handle::Handle;
use super::node::Entry;

/// A reader of one directory.
#[derive(Debug)]
pub(super) struct Entries {
    dir: Handle,
    beneath: Option<Arc<Listing>>,
    index: usize,
    last: String,
}

impl Entries {
    pub(super) fn new(dir: Handle) -> Fs<Entries> {
        let layer = dir.layer();
        let beneath = match &layer.folder(dir.node())?.beneath {
            Some(path) => Some(layer.base()?.list(path)?),
            None => None,
        };
        drop(layer);
        Ok(Entries {
            dir,
            beneath,
            index: 0,
            last: String::new(),
        })
    }

    /// The next name.
    pub(super) fn next(&mut self) -> Fs<Option<(String, Kind)>> {
        let layer = self.dir.layer();
        let folder = layer.folder(self.dir.node())?;
        let names = self.beneath.as_deref().map(|listing| &*listing.names);
        let names = names.filter(|_| folder.beneath.is_some());
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
                Entry::Gone => None,
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
