//! From a session's layer into the data directory, file by file.
//!
//! A file is written under a name that guests do not see, flushed to the disk
//! and then put in its place in one step, so that nobody ever sees half of
//! one, and what is open somewhere stays as it was. No symbolic link is
//! followed on the way. One file that cannot be published is told to the log
//! and the others go on. What a session removed stays, and links that it made
//! are not published.

use std::io::{self, ErrorKind, Write};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use super::base::{Base, Kind, UNFINISHED, join};
use super::handle::{Handle, Rights};
use super::layer::Layer;
use super::node::{Body, Entry, NodeId, Origin};
use super::ops::How;
use super::store::PAGE;
use super::walk::At;
use super::{Fs, Tree};
use orwd_model::{OnConflict, PublishRules};

/// What became of a session's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// They are in the data directory.
    pub published: usize,
    /// There was one of the name already, which stayed.
    pub kept: usize,
    /// They could not be written.
    pub failed: usize,
}

/// What became of one file.
enum Outcome {
    Published,
    Kept,
}

impl Tree {
    /// Puts what the session wrote below these folders into the data
    /// directory. Waits for the disk.
    pub fn publish(&self, what: &PublishRules) -> Published {
        let mut done = Published::default();
        let Some(root) = self.data() else {
            return done;
        };
        let found = self.lock().written(root, &what.folders);
        let paths = found.unwrap_or_else(|error| {
            tracing::warn!("what a session wrote cannot be listed: {error}");
            done.failed += 1;
            Vec::new()
        });
        for path in paths {
            match self.publish_file(root, &path, what.on_conflict) {
                Ok(Outcome::Published) => done.published += 1,
                Ok(Outcome::Kept) => done.kept += 1,
                Err(error) => {
                    tracing::warn!("{path:?} cannot be published: {error}");
                    done.failed += 1;
                }
            }
        }
        done
    }

    fn publish_file(
        &self,
        root: NodeId,
        path: &str,
        on_conflict: OnConflict,
    ) -> io::Result<Outcome> {
        let base = self.lock().base.clone();
        let base = base.ok_or(ErrorKind::NotFound)?;
        let (folders, name) = path.rsplit_once('/').ok_or(ErrorKind::InvalidInput)?;
        let dir = enter(&base, folders)?;
        if on_conflict == OnConflict::Keep && is_there(&dir, name)? {
            return Ok(Outcome::Kept);
        }
        let file = self
            .read_only_handle(root, path)
            .map_err(io::Error::other)?;
        let unfinished = format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple());
        let placed = write(&dir, &unfinished, &file).and_then(|()| match on_conflict {
            OnConflict::Replace => dir
                .rename(&unfinished, &dir, name)
                .map(|()| Outcome::Published),
            // A link is never put over something, whoever was faster.
            OnConflict::Keep => match dir.hard_link(&unfinished, &dir, name) {
                Ok(()) => Ok(Outcome::Published),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Outcome::Kept),
                Err(error) => Err(error),
            },
        });
        if on_conflict == OnConflict::Keep || placed.is_err() {
            match dir.remove_file(&unfinished) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!("a file that was not finished stays behind: {error}");
                }
                _ => {}
            }
        }
        let outcome = placed?;
        dir.into_std_file().sync_all()?;
        Ok(outcome)
    }

    fn read_only_handle(&self, root: NodeId, path: &str) -> Fs<Handle> {
        let rights = Rights {
            read: true,
            write: false,
        };
        let node = self.lock().open_at(root, path, false, How::default())?;
        Ok(Handle::adopt(self.clone(), node, rights))
    }
}

/// Opens a folder below the data directory, and makes it if need be.
fn enter(base: &Base, folders: &str) -> io::Result<Dir> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let step = |dir: &Dir, name: &str| match dir.open_with(name, &options) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match dir.create_dir(name) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            dir.open_with(name, &options)
        }
        opened => opened,
    };
    let mut dir: Option<Dir> = None;
    for name in folders.split('/') {
        let opened = step(dir.as_ref().unwrap_or(base.dir()), name)?;
        dir = Some(Dir::from_std_file(opened.into_std()));
    }
    dir.ok_or_else(|| ErrorKind::InvalidInput.into())
}

fn is_there(dir: &Dir, name: &str) -> io::Result<bool> {
    match dir.symlink_metadata(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Copies a file of the tree into a new one of the host's, down to the disk.
fn write(dir: &Dir, name: &str, from: &Handle) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut to = dir.open_with(name, &options)?;
    let mut offset = 0;
    loop {
        let piece = from.read(offset, PAGE).map_err(io::Error::other)?;
        if piece.is_empty() {
            return to.sync_all();
        }
        to.write_all(&piece)?;
        offset += piece.len() as u64;
    }
}

impl Layer {
    /// The files below these folders that are not simply those of the base:
    /// written, made, or moved there.
    fn written(&self, root: NodeId, folders: &[String]) -> Fs<Vec<String>> {
        let mut found = Vec::new();
        for folder in folders {
            let within = |other: &String| folder.starts_with(&format!("{other}/"));
            if !folders.iter().any(within)
                && let Some(at) = self.folder_at(root, folder)?
            {
                self.written_below(at, folder, &mut found)?;
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// A folder, if it is there and no link leads to it.
    fn folder_at(&self, root: NodeId, path: &str) -> Fs<Option<At>> {
        let mut at = At::Node(root);
        for name in path.split('/') {
            match self.lookup(&at, name)? {
                Some(child) if child.kind == Kind::Dir => at = child.at,
                _ => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn written_below(&self, at: At, path: &str, found: &mut Vec<String>) -> Fs<()> {
        let mut dirs = vec![(at, path.to_owned())];
        while let Some((at, path)) = dirs.pop() {
            let (beneath, own) = match &at {
                At::Base(beneath) => (Some(beneath.as_str()), None),
                At::Node(id) => {
                    let folder = self.folder(*id)?;
                    (folder.beneath.as_deref(), Some(&folder.entries))
                }
            };
            for (name, entry) in own.into_iter().flatten() {
                let Entry::Node(id) = entry else {
                    continue;
                };
                let path = join(&path, name);
                match self.node(*id)?.kind() {
                    Kind::Dir => dirs.push((At::Node(*id), path)),
                    Kind::File if self.differs(*id, &path)? => found.push(path),
                    Kind::File | Kind::Link => {}
                }
            }
            // Where the base has a directory under the same name, what it has
            // in it is there already.
            let Some(moved) = beneath.filter(|beneath| *beneath != path) else {
                continue;
            };
            for (name, kind) in &self.base()?.list(moved)?.names {
                if own.is_some_and(|own| own.contains_key(name)) {
                    continue;
                }
                match kind {
                    Kind::Dir => dirs.push((At::Base(join(moved, name)), join(&path, name))),
                    Kind::File => found.push(join(&path, name)),
                    Kind::Link => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a file is another than the base has under this path. A name
    /// that guests could not see is not published.
    fn differs(&self, id: NodeId, path: &str) -> Fs<bool> {
        let node = self.node(id)?;
        let is_base = matches!(&node.origin, Origin::Base(base) if **base == *path);
        let is_same = match &node.body {
            Body::File(content) => is_base && content.is_as_beneath(),
            Body::Dir(_) | Body::Link(_) => true,
        };
        let is_hidden = path.split('/').any(|name| name.starts_with(UNFINISHED));
        Ok(!is_same && !is_hidden)
    }
}
