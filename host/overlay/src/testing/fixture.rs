//! Test fixtures: a data directory on disk, and a session's overlay with its
//! two root directories. Not part of the product.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::error::Result;
use crate::handle::Handle;
use crate::listing::DirectoryReader;
use crate::lower::FileKind;
use crate::lower::LowerLayer;
use crate::overlay::Overlay;
use crate::storage::quota::FileLimits;
use crate::time::TimeSource;
use crate::upper::node::{Body, Entry, Origin};
use crate::upper::ops::OpenOptions;
use orwd_model::Timestamp;

pub(crate) const READ: OpenOptions = OpenOptions {
    create: false,
    exclusive: false,
    directory: false,
    truncate: false,
    write: false,
};
pub(crate) const EDIT: OpenOptions = OpenOptions {
    write: true,
    ..READ
};
pub(crate) const PUT: OpenOptions = OpenOptions {
    create: true,
    truncate: true,
    write: true,
    ..READ
};

/// Session time begins at second 1000.
const START: u64 = 1_000_000_000_000;

/// A clock that tests move.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn set(&self, time: Timestamp) {
        self.0.store(time.as_nanos(), Ordering::Relaxed);
    }
}

impl TimeSource for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) const LARGE_LIMITS: FileLimits = FileLimits {
    bytes: 64 << 20,
    files: 4096,
    handles: 256,
};

/// A data directory on disk, removed on drop.
#[derive(Debug)]
pub(crate) struct Data(tempfile::TempDir);

impl Data {
    /// Creates a directory with these files.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Data {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join("data").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::create_dir_all(folder.path().join("data")).unwrap();
        Data(folder)
    }

    pub(crate) fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join("data").join(path)
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        symlink(target, self.at(path)).unwrap();
    }

    pub(crate) fn lower(&self) -> Arc<LowerLayer> {
        let dir = Dir::open_ambient_dir(self.at(""), ambient_authority()).unwrap();
        Arc::new(LowerLayer::new(dir))
    }

    pub(crate) fn session(&self) -> Session {
        Session::on(&self.lower(), false, LARGE_LIMITS)
    }

    /// Returns all its paths with contents.
    pub(crate) fn snapshot(&self) -> Vec<(String, Option<Vec<u8>>)> {
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

    pub(crate) fn outside(&self) -> &Path {
        self.0.path()
    }
}

/// One session's overlay, with its root directories.
pub(crate) struct Session {
    pub(crate) overlay: Overlay,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) data: Handle,
    pub(crate) tmp: Option<Handle>,
}

impl Session {
    pub(crate) fn on(lower: &Arc<LowerLayer>, read_only: bool, limits: FileLimits) -> Session {
        let others: &[&str] = if read_only { &[] } else { &["/tmp"] };
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let overlay = Overlay::new(
            Some((lower, "/orwd_data")),
            others,
            read_only,
            limits,
            clock.clone(),
        );
        let mut roots = overlay
            .preopens()
            .unwrap()
            .into_iter()
            .map(|(root, _)| root);
        Session {
            overlay,
            clock,
            data: roots.next().unwrap(),
            tmp: roots.next(),
        }
    }

    pub(crate) fn open(&self, path: &str, options: OpenOptions) -> Result<Handle> {
        self.data.open_at(path, true, options, true)
    }

    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>> {
        read_all(&self.open(path, READ)?)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        match self.read(path) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => error.name().to_owned(),
        }
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Result<usize> {
        self.open(path, PUT)?.write(Some(0), bytes)
    }

    pub(crate) fn list(&self, path: &str) -> Result<Vec<(String, FileKind)>> {
        let dir = self.open(path, READ)?;
        let mut entries = DirectoryReader::open_blocking(&dir)?;
        let mut names = Vec::new();
        while let Some(name) = entries.next()? {
            names.push(name);
        }
        Ok(names)
    }

    /// The names of a directory in one line.
    pub(crate) fn names(&self, path: &str) -> String {
        let names = self.list(path).unwrap().into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn rename(&self, old: &str, new: &str) -> Result<()> {
        let root = self.data.node();
        self.overlay.layer.lock().rename(root, old, root, new)
    }

    pub(crate) fn link(&self, old: &str, new: &str) -> Result<()> {
        let root = self.data.node();
        self.overlay.layer.lock().link(root, old, false, root, new)
    }

    pub(crate) fn unlink(&self, path: &str) -> Result<()> {
        self.overlay.layer.lock().unlink(self.data.node(), path)
    }

    pub(crate) fn create_dir(&self, path: &str) -> Result<()> {
        self.overlay.layer.lock().create_dir(self.data.node(), path)
    }

    pub(crate) fn remove_dir(&self, path: &str) -> Result<()> {
        self.overlay.layer.lock().remove_dir(self.data.node(), path)
    }

    pub(crate) fn symlink(&self, target: &str, path: &str) -> Result<()> {
        self.overlay
            .layer
            .lock()
            .create_symlink(self.data.node(), target, path)
    }

    pub(crate) fn size(&self, path: &str) -> Result<u64> {
        let layer = self.overlay.layer.lock();
        let found = layer.find(self.data.node(), path, true)?;
        Ok(layer.stat(&found.location)?.size)
    }

    pub(crate) fn hash(&self, path: &str) -> (u64, u64) {
        let layer = self.overlay.layer.lock();
        let found = layer.find(self.data.node(), path, true).unwrap();
        layer.hash(&found.location).unwrap()
    }

    /// Returns the bytes and files charged.
    pub(crate) fn used(&self) -> (u64, u64) {
        self.overlay.layer.lock().quota.used()
    }

    /// Recounts the bytes and files to be charged.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let layer = self.overlay.layer.lock();
        let mut bytes = 0;
        let mut files = 0;
        for (id, node) in layer.nodes() {
            let is_root = self.overlay.roots.iter().any(|(root, _)| root == id);
            if !node.clean && !is_root {
                files += node.files();
                if let Origin::Lower(path) = &node.origin {
                    bytes += path.len() as u64;
                }
            }
            match &node.body {
                Body::File(content) => bytes += content.recount(),
                Body::Link(target) if !node.clean => bytes += target.len() as u64,
                Body::Link(_) => {}
                Body::Dir(folder) => {
                    for (name, entry) in &folder.entries {
                        let costs = match entry {
                            Entry::Whiteout => {
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

    /// Returns the number of nodes, roots not counted.
    pub(crate) fn nodes(&self) -> usize {
        self.overlay.layer.lock().nodes().count() - self.overlay.roots.len()
    }
}

pub(crate) fn read_all(file: &Handle) -> Result<Vec<u8>> {
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
pub(crate) fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7 % 251) as u8).collect()
}
