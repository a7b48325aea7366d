//! What the tests of the tree are written with: a data directory on disk, and a
//! session on it by its two directories. Not part of a build of the product.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::base::Kind;
use super::handle::Handle;
use super::node::{Body, Entry};
use super::ops::How;
use super::quota::Allowance;
use super::time::TimeSource;
use super::{Fs, Ground, Tree};
use orwd_model::Timestamp;

pub(super) const READ: How = How {
    create: false,
    exclusive: false,
    directory: false,
    truncate: false,
    write: false,
};
pub(super) const EDIT: How = How {
    write: true,
    ..READ
};
pub(super) const PUT: How = How {
    create: true,
    truncate: true,
    write: true,
    ..READ
};

/// Sessions begin in the 1000th second.
const START: u64 = 1_000_000_000_000;

/// A clock that tests move.
#[derive(Debug)]
pub(super) struct TestClock(AtomicU64);

impl TestClock {
    pub(super) fn set(&self, time: Timestamp) {
        self.0.store(time.as_nanos(), Ordering::Relaxed);
    }
}

impl TimeSource for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

pub(super) const ROOMY: Allowance = Allowance {
    bytes: 64 << 20,
    files: 4096,
    handles: 256,
};

/// A data directory on disk, which goes with the value.
#[derive(Debug)]
pub(super) struct Data(tempfile::TempDir);

impl Data {
    /// A directory with these files.
    pub(super) fn with(files: &[(&str, &[u8])]) -> Data {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join("data").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::create_dir_all(folder.path().join("data")).unwrap();
        Data(folder)
    }

    pub(super) fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join("data").join(path)
    }

    pub(super) fn link(&self, target: &str, path: &str) {
        symlink(target, self.at(path)).unwrap();
    }

    pub(super) fn ground(&self) -> Ground {
        let dir = Dir::open_ambient_dir(self.at(""), ambient_authority()).unwrap();
        Ground::new(dir)
    }

    pub(super) fn session(&self) -> Session {
        Session::on(&self.ground(), false, ROOMY)
    }

    /// Everything in it, path by path.
    pub(super) fn snapshot(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.at("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.at("")).unwrap();
                let name = name.to_str().unwrap().to_owned();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                    found.push((name, None));
                } else {
                    found.push((name, fs::read(&path).ok()));
                }
            }
        }
        found.sort();
        found
    }

    pub(super) fn outside(&self) -> &Path {
        self.0.path()
    }
}

/// One session, by its two directories.
pub(super) struct Session {
    pub(super) tree: Tree,
    pub(super) clock: Arc<TestClock>,
    pub(super) data: Handle,
    pub(super) tmp: Option<Handle>,
}

impl Session {
    pub(super) fn on(ground: &Ground, read_only: bool, allowed: Allowance) -> Session {
        let others: &[&str] = if read_only { &[] } else { &["/tmp"] };
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let tree = Tree::new(
            Some((ground, "/orwd_data")),
            others,
            read_only,
            allowed,
            clock.clone(),
        );
        let mut roots = tree.preopens().unwrap().into_iter().map(|(root, _)| root);
        Session {
            tree,
            clock,
            data: roots.next().unwrap(),
            tmp: roots.next(),
        }
    }

    pub(super) fn open(&self, path: &str, how: How) -> Fs<Handle> {
        self.data.open_at(path, true, how, true)
    }

    pub(super) fn read(&self, path: &str) -> Fs<Vec<u8>> {
        read_all(&self.open(path, READ)?)
    }

    pub(super) fn text(&self, path: &str) -> String {
        match self.read(path) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => error.name().to_owned(),
        }
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Fs<usize> {
        self.open(path, PUT)?.write(Some(0), bytes)
    }

    pub(super) fn list(&self, path: &str) -> Fs<Vec<(String, Kind)>> {
        let dir = self.open(path, READ)?;
        let mut entries = dir.entries()?;
        let mut names = Vec::new();
        while let Some(name) = entries.next()? {
            names.push(name);
        }
        Ok(names)
    }

    /// The names of a directory in one line.
    pub(super) fn names(&self, path: &str) -> String {
        let names = self.list(path).unwrap().into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn rename(&self, old: &str, new: &str) -> Fs<()> {
        let root = self.data.node();
        self.tree.lock().rename(root, old, root, new)
    }

    pub(super) fn link(&self, old: &str, new: &str) -> Fs<()> {
        let root = self.data.node();
        self.tree.lock().link(root, old, false, root, new)
    }

    pub(super) fn unlink(&self, path: &str) -> Fs<()> {
        self.tree.lock().unlink(self.data.node(), path)
    }

    pub(super) fn make_dir(&self, path: &str) -> Fs<()> {
        self.tree.lock().make_dir(self.data.node(), path)
    }

    pub(super) fn remove_dir(&self, path: &str) -> Fs<()> {
        self.tree.lock().remove_dir(self.data.node(), path)
    }

    pub(super) fn symlink(&self, target: &str, path: &str) -> Fs<()> {
        self.tree.lock().make_link(self.data.node(), target, path)
    }

    pub(super) fn size(&self, path: &str) -> Fs<u64> {
        let layer = self.tree.lock();
        let found = layer.look(self.data.node(), path, true)?;
        Ok(layer.stat(&found.at)?.size)
    }

    pub(super) fn hash(&self, path: &str) -> (u64, u64) {
        let layer = self.tree.lock();
        let found = layer.look(self.data.node(), path, true).unwrap();
        layer.hash(&found.at).unwrap()
    }

    /// Bytes and files charged.
    pub(super) fn used(&self) -> (u64, u64) {
        self.tree.lock().quota.used()
    }

    /// Bytes and files that there are, counted one by one.
    pub(super) fn counted(&self) -> (u64, u64) {
        let layer = self.tree.lock();
        let mut bytes = 0;
        let mut files = 0;
        for (id, node) in layer.all() {
            let is_root = self.tree.roots.iter().any(|(root, _)| root == id);
            if !node.clean && !is_root {
                files += 1;
            }
            match &node.body {
                Body::File(content) => bytes += content.recount(),
                Body::Link(target) if !node.clean => bytes += target.len() as u64,
                Body::Link(_) => {}
                Body::Dir(folder) => {
                    for (name, entry) in &folder.entries {
                        let costs = match entry {
                            Entry::Gone => {
                                files += 1;
                                true
                            }
                            Entry::Node(id) => !layer.node(*id).unwrap().clean,
                        };
                        if costs {
                            bytes += name.len() as u64;
                        }
                    }
                }
            }
        }
        (bytes, files)
    }

    /// Nodes that are there, the roots not counted.
    pub(super) fn nodes(&self) -> usize {
        self.tree.lock().all().count() - self.tree.roots.len()
    }
}

pub(super) fn read_all(file: &Handle) -> Fs<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let piece = file.read(bytes.len() as u64, usize::MAX)?;
        if piece.is_empty() {
            return Ok(bytes);
        }
        bytes.extend(piece);
    }
}

/// Bytes that differ from place to place.
pub(super) fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7 % 251) as u8).collect()
}
