//! Publishes files from a session's overlay to the data directory, one by one.
//!
//! A file is written under a name hidden from guests, flushed to disk and then
//! moved into place, so that nobody sees a partial file, and open handles keep
//! the old one. No symbolic link is followed. A file that cannot be published
//! is logged and the others continue. Removals and symbolic links of the
//! session are not published. A session that moves a large directory of the
//! data into a published one would copy it all, so it publishes no more files
//! and bytes than it may write.

use std::io::{self, ErrorKind, Write};

use cap_std::fs::{Dir, OpenOptions as HostOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use crate::error::Result;
use crate::handle::{Handle, Rights};
use crate::lower::{FileKind, LowerLayer, PUBLISH_PREFIX, join};
use crate::overlay::Overlay;
use crate::storage::pages::PAGE;
use crate::upper::layer::UpperLayer;
use crate::upper::location::Location;
use crate::upper::node::{Body, Entry, NodeId, Origin};
use crate::upper::ops::OpenOptions;
use orwd_model::{OnConflict, PublishRules};

/// The result of publishing a session's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Files now in the data directory.
    pub published: usize,
    /// Files whose name existed and was kept.
    pub kept: usize,
    /// Files that could not be written.
    pub failed: usize,
}

/// The result for one file.
enum FileOutcome {
    Published,
    Kept,
}

impl Overlay {
    /// Publishes what the session wrote below these folders. Blocks on the
    /// disk.
    pub fn publish(&self, what: &PublishRules) -> PublishReport {
        let mut done = PublishReport::default();
        let Some(root) = self.data() else {
            return done;
        };
        let limits = self.layer.lock().quota.limits();
        let mut bytes_left = limits.bytes;
        let files = usize::try_from(limits.files).unwrap_or(usize::MAX);
        let found = self
            .layer
            .lock()
            .changed_files(root, &what.folders, files.saturating_add(1));
        let mut paths = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list session files");
            done.failed += 1;
            Vec::new()
        });
        if paths.len() > files {
            tracing::warn!(files, "session has more files to publish than it may write");
            done.failed += paths.len() - files;
            paths.truncate(files);
        }
        for path in paths {
            match self.publish_file(root, &path, what.on_conflict, &mut bytes_left) {
                Ok(FileOutcome::Published) => done.published += 1,
                Ok(FileOutcome::Kept) => done.kept += 1,
                Err(error) => {
                    tracing::warn!(?path, %error, "cannot publish file");
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
        bytes_left: &mut u64,
    ) -> io::Result<FileOutcome> {
        let lower = self.layer.lock().lower.clone();
        let lower = lower.ok_or(ErrorKind::NotFound)?;
        let (folders, name) = path.rsplit_once('/').ok_or(ErrorKind::InvalidInput)?;
        let dir = open_or_create_dir(&lower, folders)?;
        if on_conflict == OnConflict::Keep && exists(&dir, name)? {
            return Ok(FileOutcome::Kept);
        }
        let file = self
            .read_only_handle(root, path)
            .map_err(io::Error::other)?;
        let temporary = format!("{PUBLISH_PREFIX}{}", uuid::Uuid::new_v4().simple());
        let placed = write(&dir, &temporary, &file, bytes_left).and_then(|()| match on_conflict {
            OnConflict::Replace => dir
                .rename(&temporary, &dir, name)
                .map(|()| FileOutcome::Published),
            // A hard link never replaces a file, whichever session is first.
            OnConflict::Keep => match dir.hard_link(&temporary, &dir, name) {
                Ok(()) => Ok(FileOutcome::Published),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(FileOutcome::Kept),
                Err(error) => Err(error),
            },
        });
        if on_conflict == OnConflict::Keep || placed.is_err() {
            match dir.remove_file(&temporary) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%error, "cannot remove temporary file");
                }
                _ => {}
            }
        }
        let outcome = placed?;
        dir.into_std_file().sync_all()?;
        Ok(outcome)
    }

    fn read_only_handle(&self, root: NodeId, path: &str) -> Result<Handle> {
        let rights = Rights {
            read: true,
            write: false,
        };
        let node = self
            .layer
            .lock()
            .open_at(root, path, false, OpenOptions::default())?;
        Ok(Handle::from_open_node(self.layer.clone(), node, rights))
    }
}

/// Opens a folder below the data directory, creating it if missing.
fn open_or_create_dir(lower: &LowerLayer, folders: &str) -> io::Result<Dir> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let mut options = HostOptions::new();
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
        let opened = step(dir.as_ref().unwrap_or(lower.dir()), name)?;
        dir = Some(Dir::from_std_file(opened.into_std()));
    }
    dir.ok_or_else(|| ErrorKind::InvalidInput.into())
}

fn exists(dir: &Dir, name: &str) -> io::Result<bool> {
    match dir.symlink_metadata(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Copies a file of the overlay into a new file of the host, and syncs it.
fn write(dir: &Dir, name: &str, from: &Handle, bytes_left: &mut u64) -> io::Result<()> {
    let mut options = HostOptions::new();
    options.write(true).create_new(true);
    let mut to = dir.open_with(name, &options)?;
    let mut offset = 0;
    loop {
        let piece = from.read(offset, PAGE).map_err(io::Error::other)?;
        if piece.is_empty() {
            return to.sync_all();
        }
        *bytes_left = bytes_left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| io::Error::other("the session publishes more than its disk limit"))?;
        to.write_all(&piece)?;
        offset += piece.len() as u64;
    }
}

impl UpperLayer {
    /// Returns the changed files below these folders, up to `most`: written,
    /// created, or moved there.
    fn changed_files(&self, root: NodeId, folders: &[String], most: usize) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in folders {
            let within = |other: &String| folder.starts_with(&format!("{other}/"));
            if !folders.iter().any(within)
                && let Some(at) = self.find_dir(root, folder)?
            {
                self.collect_changed(at, folder, most, &mut found)?;
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Returns a folder if it exists and no symbolic link leads to it.
    fn find_dir(&self, root: NodeId, path: &str) -> Result<Option<Location>> {
        let mut at = Location::Upper(root);
        for name in path.split('/') {
            match self.lookup(&at, name)? {
                Some(child) if child.kind == FileKind::Dir => at = child.location,
                _ => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn collect_changed(
        &self,
        location: Location,
        path: &str,
        most: usize,
        found: &mut Vec<String>,
    ) -> Result<()> {
        let mut dirs = vec![(location, path.to_owned())];
        while let Some((location, path)) = dirs.pop() {
            if found.len() >= most {
                return Ok(());
            }
            let (lower, own) = match &location {
                Location::Lower(lower) => (Some(lower.as_str()), None),
                Location::Upper(id) => {
                    let folder = self.directory(*id)?;
                    (folder.lower.as_deref(), Some(&folder.entries))
                }
            };
            for (name, entry) in own.into_iter().flatten() {
                let Entry::Node(id) = entry else {
                    continue;
                };
                let path = join(&path, name);
                match self.node(*id)?.kind() {
                    FileKind::Dir => dirs.push((Location::Upper(*id), path)),
                    FileKind::File if self.is_changed(*id, &path)? => found.push(path),
                    FileKind::File | FileKind::Link => {}
                }
            }
            // The lower entries of a directory that has not moved are in the
            // data directory already.
            let Some(moved) = lower.filter(|lower| *lower != path) else {
                continue;
            };
            for (name, kind) in &self.lower()?.list(moved)?.names {
                if found.len() >= most {
                    break;
                }
                if own.is_some_and(|own| own.contains_key(name)) {
                    continue;
                }
                match kind {
                    FileKind::Dir => {
                        dirs.push((Location::Lower(join(moved, name)), join(&path, name)))
                    }
                    FileKind::File => found.push(join(&path, name)),
                    FileKind::Link => {}
                }
            }
        }
        Ok(())
    }

    /// Returns whether a file differs from the lower file at this path. A name
    /// hidden from guests is not published.
    fn is_changed(&self, id: NodeId, path: &str) -> Result<bool> {
        let node = self.node(id)?;
        let is_lower = matches!(&node.origin, Origin::Lower(lower) if **lower == *path);
        let is_same = match &node.body {
            Body::File(content) => is_lower && content.is_unmodified(),
            Body::Dir(_) | Body::Link(_) => true,
        };
        let is_hidden = path.split('/').any(|name| name.starts_with(PUBLISH_PREFIX));
        Ok(!is_same && !is_hidden)
    }
}
