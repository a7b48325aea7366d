//! Other names for what is there: hard links and renames.
//!
//! Both may cross the layers: what is moved out of the base leaves a mark that
//! it is gone there, and a directory takes along what lies beneath it without a
//! copy. As with all operations, one that is refused leaves the tree as it was.

use super::base::Kind;
use super::layer::Layer;
use super::node::{Entry, Home, NodeId};
use super::walk::{At, Last};
use super::{DEPTH, Errno, Fs};

impl Layer {
    /// Gives a file one name more.
    pub(super) fn link(
        &mut self,
        from: NodeId,
        path: &str,
        follow: bool,
        to: NodeId,
        new: &str,
    ) -> Fs<()> {
        let old = self.walk(from, path, follow)?;
        if old.found()?.kind == Kind::Dir {
            return Err(Errno::NotPermitted);
        }
        let new = self.walk(to, new, false)?;
        let Last::Name(name, None) = &new.last else {
            return Err(Errno::Exist);
        };
        if new.is_dir {
            return Err(Errno::NoEntry);
        }
        self.writable()?;
        self.on(&old, |layer, id| {
            layer.within(&new, |layer, dir| {
                if layer.node(dir)?.links == 0 {
                    return Err(Errno::NoEntry);
                }
                layer.claim(id)?;
                // A mark of removal is given back, and the name stays charged.
                let marked = layer.entry(dir, name)?.is_some();
                let bytes = if marked { 0 } else { name.len() as u64 };
                layer.claim_and(dir, bytes, 0)?;
                layer.quota.release(0, u64::from(marked));
                let entries = &mut layer.folder_mut(dir)?.entries;
                entries.insert(name.clone(), Entry::Node(id));
                layer.node_mut(id)?.links += 1;
                Ok(())
            })
        })
    }

    pub(super) fn rename(&mut self, from: NodeId, old: &str, to: NodeId, new: &str) -> Fs<()> {
        let old = self.walk(from, old, false)?;
        let new = self.walk(to, new, false)?;
        let (Last::Name(old_name, _), Last::Name(new_name, there)) = (&old.last, &new.last) else {
            return Err(Errno::Busy);
        };
        let kind = old.found()?.kind;
        if new.is_dir && kind != Kind::Dir {
            return Err(Errno::NotDirectory);
        }
        match (kind, there.as_ref().map(|there| there.kind)) {
            (Kind::Dir, Some(Kind::File | Kind::Link)) => return Err(Errno::NotDirectory),
            (Kind::File | Kind::Link, Some(Kind::Dir)) => return Err(Errno::IsDirectory),
            _ => {}
        }
        self.writable()?;
        self.on(&old, |layer, id| {
            layer.within(&new, |layer, dir| {
                let home = layer.pin(&old.dirs)?;
                layer.relocate(id, (home, old_name), (dir, new_name))
            })
        })
    }

    /// Moves a pinned node between pinned directories.
    fn relocate(&mut self, id: NodeId, old: (NodeId, &str), new: (NodeId, &str)) -> Fs<()> {
        let there = self.lookup(&At::Node(new.0), new.1)?;
        if let Some(there) = &there {
            if there.at == At::Node(id) {
                return Ok(());
            }
            if there.kind == Kind::Dir {
                self.empty(there)?;
            }
        }
        if self.node(new.0)?.links == 0 {
            return Err(Errno::NoEntry);
        }
        let is_dir = self.node(id)?.kind() == Kind::Dir;
        if is_dir {
            if self.is_within(new.0, id) {
                return Err(Errno::Invalid);
            }
            if self.depth(new.0) + self.height(id) > DEPTH {
                return Err(Errno::NameTooLong);
            }
        }
        self.claim(id)?;
        self.claim(new.0)?;

        // What is under the new name already: a mark, the session's own or
        // nothing of its own. The first two have paid for the name.
        let (paid, mark, replaced) = match self.entry(new.0, new.1)? {
            None => (false, 0, None),
            Some(Entry::Gone) => (true, 1, None),
            Some(Entry::Node(other)) => (!self.node(other)?.clean, 0, Some(other)),
        };
        let covers = self.beneath(old.0, old.1)?.is_some();
        let bytes = if paid { 0 } else { new.1.len() as u64 };
        self.quota.charge(bytes, u64::from(covers))?;
        self.quota.release(0, mark);

        let entries = &mut self.folder_mut(old.0)?.entries;
        if covers {
            entries.insert(old.1.to_owned(), Entry::Gone);
        } else {
            entries.remove(old.1);
            self.quota.release(old.1.len() as u64, 0);
        }
        let entries = &mut self.folder_mut(new.0)?.entries;
        entries.insert(new.1.to_owned(), Entry::Node(id));
        self.node_mut(id)?.home = is_dir.then(|| Home {
            dir: new.0,
            name: new.1.to_owned(),
        });
        if let Some(other) = replaced {
            self.detach(other)?;
        }
        Ok(())
    }
}
