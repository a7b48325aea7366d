//! The base layer: an environment's data directory, which is only ever read.
//!
//! Opened once and shared by all sessions on the environment. Files are read
//! where they lie; one that several sessions read is open once, and none is
//! kept open that nobody reads. Every path is resolved by cap-std below the
//! directory, and what is neither a file, a directory nor a symbolic link is
//! not there, so that no guest can make the host wait on a pipe. Nothing here
//! can write; [`publish`](super::publish) alone does that.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, FileType, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;

use super::{Errno, Fs};

/// Names that begin so are files on their way into the directory, and are
/// not there for guests.
pub const UNFINISHED: &str = ".orwd-publish-";

/// A directory that changed later than this before it was listed may change
/// again without its time showing it, so its listing is not shared.
const SETTLED: Duration = Duration::from_secs(2);

/// The base layer of all sessions on one environment.
#[derive(Debug)]
pub(super) struct Base {
    dir: Dir,
    files: Mutex<Shared<BaseFile>>,
    listings: Mutex<Shared<Listing>>,
}

/// What something in a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Dir,
    Link,
}

/// Tells one file of the host's from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// What is to be known of an entry without opening it.
#[derive(Clone, Copy, Debug)]
pub(super) struct BaseEntry {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) identity: Identity,
}

/// A file, open as long as somebody holds this.
#[derive(Debug)]
pub(super) struct BaseFile {
    file: std::fs::File,
    identity: Identity,
}

/// The names of a directory, sorted.
#[derive(Debug)]
pub(super) struct Listing {
    stamp: Option<(Identity, SystemTime)>,
    pub(super) names: Vec<(String, Kind)>,
}

/// Things that are in use somewhere, by path.
#[derive(Debug)]
struct Shared<T> {
    live: HashMap<String, Weak<T>>,
    sweep_at: usize,
}

impl<T> Shared<T> {
    const LEAST: usize = 64;

    fn new() -> Shared<T> {
        Shared {
            live: HashMap::new(),
            sweep_at: Self::LEAST,
        }
    }

    fn get(&self, path: &str) -> Option<Arc<T>> {
        self.live.get(path).and_then(Weak::upgrade)
    }

    /// Entries that nobody uses any more are swept out as the map grows.
    fn put(&mut self, path: &str, thing: &Arc<T>) {
        if self.live.len() >= self.sweep_at {
            self.live.retain(|_, thing| thing.strong_count() > 0);
            self.sweep_at = Self::LEAST.max(self.live.len() * 2);
        }
        self.live.insert(path.to_owned(), Arc::downgrade(thing));
    }
}

impl Base {
    pub(super) fn new(dir: Dir) -> Base {
        Base {
            dir,
            files: Mutex::new(Shared::new()),
            listings: Mutex::new(Shared::new()),
        }
    }

    /// The directory itself, for publishing.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What is at a path; nothing if it is nothing for guests.
    pub(super) fn entry(&self, path: &str) -> Fs<Option<BaseEntry>> {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with(UNFINISHED) {
            return Ok(None);
        }
        let metadata = if path.is_empty() {
            self.dir.dir_metadata()
        } else {
            self.dir.symlink_metadata(path)
        };
        match metadata {
            Ok(metadata) => Ok(kind(metadata.file_type()).map(|kind| BaseEntry {
                kind,
                size: metadata.len(),
                identity: identity(&metadata),
            })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(errno(&error)),
        }
    }

    /// Opens a file, or shares it with those who have it open.
    pub(super) fn open(&self, path: &str) -> Fs<Arc<BaseFile>> {
        let entry = self.entry(path)?.ok_or(Errno::NoEntry)?;
        if entry.kind != Kind::File {
            return Err(Errno::Io);
        }
        if let Some(file) = lock(&self.files).get(path)
            && file.identity == entry.identity
        {
            return Ok(file);
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = self
            .dir
            .open_with(path, &options)
            .map_err(|error| errno(&error))?;
        let metadata = file.metadata().map_err(|error| errno(&error))?;
        // It may have been exchanged for something else in the meantime.
        if !metadata.is_file() {
            return Err(Errno::Io);
        }
        let file = Arc::new(BaseFile {
            identity: identity(&metadata),
            file: file.into_std(),
        });
        lock(&self.files).put(path, &file);
        Ok(file)
    }

    /// The names in a directory. Listings in use are shared, so that what they
    /// take up does not depend on how many guests list.
    pub(super) fn list(&self, path: &str) -> Fs<Arc<Listing>> {
        let fail = |error: io::Error| errno(&error);
        let at = if path.is_empty() { "." } else { path };
        let metadata = self.dir.metadata(at).map_err(fail)?;
        let modified = metadata.modified().map_err(fail)?.into_std();
        let now = (identity(&metadata), modified);
        if let Some(listing) = lock(&self.listings).get(path)
            && listing.stamp == Some(now)
        {
            return Ok(listing);
        }
        let mut names = Vec::new();
        for entry in self.dir.read_dir(at).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let Some(kind) = kind(entry.file_type().map_err(fail)?) else {
                continue;
            };
            if !name.starts_with(UNFINISHED) {
                names.push((name, kind));
            }
        }
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let settled = SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|age| age > SETTLED);
        let listing = Arc::new(Listing {
            stamp: settled.then_some(now),
            names,
        });
        lock(&self.listings).put(path, &listing);
        Ok(listing)
    }

    /// Where a symbolic link leads, as it is written.
    pub(super) fn target(&self, path: &str) -> Fs<String> {
        let target = self
            .dir
            .read_link_contents(path)
            .map_err(|error| errno(&error))?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| Errno::IllegalByteSequence)
    }
}

impl BaseFile {
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Bytes that it has now: its owner may still be writing it.
    pub(super) fn len(&self) -> Fs<u64> {
        match self.file.metadata() {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) => Err(errno(&error)),
        }
    }

    /// Reads from a place on, up to so many bytes, into memory that nobody has
    /// to clear first.
    pub(super) fn read_new(&self, offset: u64, count: usize) -> Fs<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            let at = offset.saturating_add(bytes.len() as u64);
            match rustix::io::pread(&self.file, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(errno(&error.into())),
            }
        }
        // The allocation may be larger than what was asked for.
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Whether reading here would not have to wait for the disk, by the first
    /// and the last byte: what lies between was read with them. Where the
    /// system cannot tell, it is taken to be so.
    pub(super) fn is_at_hand(&self, offset: u64, count: usize) -> bool {
        let last = offset.saturating_add(count.saturating_sub(1) as u64);
        [offset, last].iter().all(|at| !is_distant(&self.file, *at))
    }

    /// Fills the buffer from a place on, as far as there is something.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Fs<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(errno(&error)),
            }
        }
        Ok(done)
    }
}

/// Whether a byte of a file has to come from the disk.
#[cfg(target_os = "linux")]
fn is_distant(file: &std::fs::File, at: u64) -> bool {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut byte = [0];
    let mut into = [io::IoSliceMut::new(&mut byte)];
    preadv2(file, &mut into, at, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
}

#[cfg(not(target_os = "linux"))]
fn is_distant(_file: &std::fs::File, _at: u64) -> bool {
    false
}

/// The path of an entry of a directory.
pub(super) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

fn kind(found: FileType) -> Option<Kind> {
    if found.is_file() {
        Some(Kind::File)
    } else if found.is_dir() {
        Some(Kind::Dir)
    } else if found.is_symlink() {
        Some(Kind::Link)
    } else {
        None
    }
}

fn identity(metadata: &Metadata) -> Identity {
    Identity(metadata.dev(), metadata.ino())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What a guest is told of the host's trouble: little.
fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        ErrorKind::NotFound => Errno::NoEntry,
        ErrorKind::NotADirectory => Errno::NotDirectory,
        ErrorKind::PermissionDenied => Errno::Access,
        kind => {
            tracing::warn!(%kind, "reading from a data directory failed: {error}");
            Errno::Io
        }
    }
}

/// A panic elsewhere leaves these maps as whole as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
