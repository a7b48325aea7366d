//! Hard links and renames.
//!
//! Both may cross the layers: moving an entry out of the lower layer leaves a
//! whiteout, and a directory moves with its lower contents, without a copy. As
//! with all operations, a refused one changes nothing.

use crate::error::{ErrorCode, Result};
use crate::lower::FileKind;
use crate::upper::layer::{MAX_DEPTH, UpperLayer};
use crate::upper::location::{LastComponent, Location};
use crate::upper::node::{Entry, NodeId, ParentLink};

impl UpperLayer {
    /// Adds a hard link to a file.
    pub(crate) fn link(
        &mut self,
        from: NodeId,
        path: &str,
        follow: bool,
        to: NodeId,
        new: &str,
    ) -> Result<()> {
        let old = self.resolve(from, path, follow)?;
        if old.found()?.kind == FileKind::Dir {
            return Err(ErrorCode::NotPermitted);
        }
        let new = self.resolve(to, new, false)?;
        let LastComponent::Named(name, None) = &new.last else {
            return Err(ErrorCode::Exist);
        };
        if new.is_dir {
            return Err(ErrorCode::NoEntry);
        }
        self.check_writable()?;
        self.with_target(&old, |layer, id| {
            layer.with_parent(&new, |layer, dir| {
                if layer.node(dir)?.links == 0 {
                    return Err(ErrorCode::NoEntry);
                }
                layer.copy_up(id)?;
                // A whiteout has paid for the name already.
                let (bytes, files) = match layer.entry(dir, name)? {
                    Some(_) => (0, 0),
                    None => (name.len() as u64, 1),
                };
                layer.copy_up_with(dir, bytes, files)?;
                let entries = &mut layer.directory_mut(dir)?.entries;
                entries.insert(name.clone(), Entry::Node(id));
                layer.node_mut(id)?.links += 1;
                Ok(())
            })
        })
    }

    pub(crate) fn rename(&mut self, from: NodeId, old: &str, to: NodeId, new: &str) -> Result<()> {
        let old = self.resolve(from, old, false)?;
        let new = self.resolve(to, new, false)?;
        let (LastComponent::Named(old_name, _), LastComponent::Named(new_name, there)) =
            (&old.last, &new.last)
        else {
            return Err(ErrorCode::Busy);
        };
        let kind = old.found()?.kind;
        if new.is_dir && kind != FileKind::Dir {
            return Err(ErrorCode::NotDirectory);
        }
        match (kind, there.as_ref().map(|there| there.kind)) {
            (FileKind::Dir, Some(FileKind::File | FileKind::Link)) => {
                return Err(ErrorCode::NotDirectory);
            }
            (FileKind::File | FileKind::Link, Some(FileKind::Dir)) => {
                return Err(ErrorCode::IsDirectory);
            }
            _ => {}
        }
        self.check_writable()?;
        self.with_target(&old, |layer, id| {
            layer.with_parent(&new, |layer, dir| {
                let home = layer.pin(&old.dirs)?;
                layer.relocate(id, (home, old_name), (dir, new_name))
            })
        })
    }

    /// Moves a pinned node between pinned directories.
    fn relocate(&mut self, id: NodeId, old: (NodeId, &str), new: (NodeId, &str)) -> Result<()> {
        let there = self.lookup(&Location::Upper(new.0), new.1)?;
        if let Some(there) = &there {
            if there.location == Location::Upper(id) {
                return Ok(());
            }
            if there.kind == FileKind::Dir {
                self.check_empty(there)?;
            }
        }
        if self.node(new.0)?.links == 0 {
            return Err(ErrorCode::NoEntry);
        }
        let is_dir = self.node(id)?.kind() == FileKind::Dir;
        if is_dir {
            if self.is_within(new.0, id) {
                return Err(ErrorCode::Invalid);
            }
            // Only a move further down can go too deep; a large directory is
            // not searched without need.
            let is_deeper = self.depth(new.0) > self.depth(old.0);
            if is_deeper && self.depth(new.0) + self.height(id) > MAX_DEPTH {
                return Err(ErrorCode::NameTooLong);
            }
        }
        self.copy_up(id)?;
        self.copy_up(new.0)?;

        // The new name may hold nothing of the session's, a whiteout, or a
        // node. The last two have paid for the name.
        let (paid, mark, replaced) = match self.entry(new.0, new.1)? {
            None => (false, 0, None),
            Some(Entry::Whiteout) => (true, 1, None),
            Some(Entry::Node(other)) => (!self.node(other)?.clean, 0, Some(other)),
        };
        let covers_lower = self.lower_entry(old.0, old.1)?.is_some();
        let bytes = if paid { 0 } else { new.1.len() as u64 };
        self.quota.charge(bytes, u64::from(covers_lower))?;
        self.quota.release(0, mark);

        let entries = &mut self.directory_mut(old.0)?.entries;
        if covers_lower {
            entries.insert(old.1.to_owned(), Entry::Whiteout);
        } else {
            entries.remove(old.1);
            self.quota.release(old.1.len() as u64, 0);
        }
        let entries = &mut self.directory_mut(new.0)?.entries;
        entries.insert(new.1.to_owned(), Entry::Node(id));
        self.node_mut(id)?.home = is_dir.then(|| ParentLink {
            dir: new.0,
            name: new.1.to_owned(),
        });
        if let Some(other) = replaced {
            let node = self.node(other)?;
            if !node.clean && node.links > 1 {
                self.quota.release(0, 1);
            }
            self.unlink_node(other)?;
        }
        Ok(())
    }
}
