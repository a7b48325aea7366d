//! The lower layer: an environment's data directory, which is only read.
//!
//! It is opened once and shared by all sessions on the environment. A file that
//! several sessions read is open once, and is closed when no session reads it.
//! Paths are resolved by cap-std below the directory. Anything other than a
//! file, a directory or a symbolic link does not exist for guests, so that no
//! guest can make the host block on a pipe. Nothing here can write; only
//! [`publish`](super::publish) does.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, FileType, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;

use tokio::sync::Semaphore;

use crate::error::{ErrorCode, HOST_FAILED, Result, host_failure};
use crate::warnings::WarningLimiter;

/// The prefix of files being published, which guests do not see.
pub const PUBLISH_PREFIX: &str = ".orwd-publish-";

/// A directory that changed less than this before it was listed may change
/// again without a new modification time, so its listing is not shared.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// The most listings, and the most names in them, that are kept while nobody
/// reads them, so that a guest that lists a large directory again and again does
/// not have it read each time.
const KEPT_LISTINGS: usize = 8;
const KEPT_NAMES: usize = 1 << 20;

/// Warnings about a data directory, which guests can cause at will.
static UNREADABLE: WarningLimiter = WarningLimiter::new();

/// The lower layer of all sessions on one environment.
#[derive(Debug)]
pub struct LowerLayer {
    dir: Dir,
    files: Mutex<WeakCache<LowerFile>>,
    listings: Mutex<WeakCache<LowerListing>>,
    kept: Mutex<VecDeque<Arc<LowerListing>>>,
    /// Held while a directory is read, so that guests that list the same one
    /// at the same time do not each hold a copy.
    reading: Semaphore,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Dir,
    Link,
}

/// Identifies a file of the host by device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

/// The attributes of an entry, known without opening it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LowerEntry {
    pub(crate) kind: FileKind,
    pub(crate) size: u64,
    pub(crate) identity: FileId,
}

/// An open file, shared and reference counted.
#[derive(Debug)]
pub(crate) struct LowerFile {
    file: std::fs::File,
    identity: FileId,
}

/// The names in a directory, sorted.
#[derive(Debug)]
pub(crate) struct LowerListing {
    /// What the directory had when these were last known to be its names.
    stamp: Mutex<Option<(FileId, SystemTime)>>,
    pub(crate) names: Vec<(String, FileKind)>,
}

/// Values in use, by path.
#[derive(Debug)]
struct WeakCache<T> {
    live: HashMap<String, Weak<T>>,
    sweep_at: usize,
}

impl<T> WeakCache<T> {
    const LEAST: usize = 64;

    fn new() -> WeakCache<T> {
        WeakCache {
            live: HashMap::new(),
            sweep_at: Self::LEAST,
        }
    }

    fn get(&self, path: &str) -> Option<Arc<T>> {
        self.live.get(path).and_then(Weak::upgrade)
    }

    /// Inserts a value. Dead entries are removed as the map grows.
    fn put(&mut self, path: &str, value: &Arc<T>) {
        if self.live.len() >= self.sweep_at {
            self.live.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = Self::LEAST.max(self.live.len() * 2);
        }
        self.live.insert(path.to_owned(), Arc::downgrade(value));
    }
}

impl LowerLayer {
    /// Wraps an open directory.
    pub fn new(dir: Dir) -> LowerLayer {
        LowerLayer {
            dir,
            files: Mutex::new(WeakCache::new()),
            listings: Mutex::new(WeakCache::new()),
            kept: Mutex::new(VecDeque::new()),
            reading: Semaphore::new(1),
        }
    }

    /// Returns the directory itself, for publishing.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Returns the entry at a path, if guests can see it.
    pub(crate) fn entry(&self, path: &str) -> Result<Option<LowerEntry>> {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with(PUBLISH_PREFIX) {
            return Ok(None);
        }
        let metadata = if path.is_empty() {
            self.dir.dir_metadata()
        } else {
            self.dir.symlink_metadata(path)
        };
        match metadata {
            Ok(metadata) => Ok(kind(metadata.file_type()).map(|kind| LowerEntry {
                kind,
                size: metadata.len(),
                identity: identity(&metadata),
            })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error_code(&error)),
        }
    }

    /// Opens a file, or shares one that is open.
    pub(crate) fn open(&self, path: &str) -> Result<Arc<LowerFile>> {
        let entry = self.entry(path)?.ok_or(ErrorCode::NoEntry)?;
        if entry.kind != FileKind::File {
            return Err(ErrorCode::Io);
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
            .map_err(|error| error_code(&error))?;
        let metadata = file.metadata().map_err(|error| error_code(&error))?;
        // It may have been replaced in the meantime.
        if !metadata.is_file() {
            return Err(ErrorCode::Io);
        }
        let file = Arc::new(LowerFile {
            identity: identity(&metadata),
            file: file.into_std(),
        });
        lock(&self.files).put(path, &file);
        Ok(file)
    }

    /// Lists a directory. What is not known is read by a blocking thread, since
    /// a directory may have a million names.
    pub(crate) async fn listing(self: &Arc<Self>, path: &str) -> Result<Arc<LowerListing>> {
        if let Some(listing) = self.known_listing(path, self.listing_stamp(path)?) {
            return Ok(listing);
        }
        // It is never closed.
        let _permit = self.reading.acquire().await.map_err(|_| HOST_FAILED)?;
        let (layer, path) = (self.clone(), path.to_owned());
        let listed = tokio::task::spawn_blocking(move || layer.list(&path)).await;
        listed.map_err(|_| HOST_FAILED)?
    }

    /// Lists a directory on this thread. Equal listings are shared, so that
    /// their memory does not grow with the number of guests that list.
    pub(crate) fn list(&self, path: &str) -> Result<Arc<LowerListing>> {
        let now = self.listing_stamp(path)?;
        if let Some(listing) = self.known_listing(path, now) {
            return Ok(listing);
        }
        let mut names = Vec::new();
        self.visit(path, |name, kind| {
            names.push((name, kind));
            true
        })?;
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        names.shrink_to_fit();
        let settled = SystemTime::now()
            .duration_since(now.1)
            .is_ok_and(|age| age > SETTLE_TIME);
        let mut listings = lock(&self.listings);
        let stamp = settled.then_some(now);
        let same = listings.get(path).filter(|known| known.names == names);
        let listing = match same {
            Some(listing) => {
                *lock(&listing.stamp) = stamp;
                listing
            }
            None => Arc::new(LowerListing {
                stamp: Mutex::new(stamp),
                names,
            }),
        };
        listings.put(path, &listing);
        drop(listings);
        self.keep(&listing);
        Ok(listing)
    }

    /// Returns what shows whether a directory has changed.
    fn listing_stamp(&self, path: &str) -> Result<(FileId, SystemTime)> {
        let fail = |error: io::Error| error_code(&error);
        let metadata = self.dir.metadata(dot(path)).map_err(fail)?;
        let modified = metadata.modified().map_err(fail)?.into_std();
        Ok((identity(&metadata), modified))
    }

    fn known_listing(&self, path: &str, now: (FileId, SystemTime)) -> Option<Arc<LowerListing>> {
        let listing = lock(&self.listings).get(path)?;
        let same = *lock(&listing.stamp) == Some(now);
        same.then_some(listing)
    }

    /// Keeps a listing until later ones take its place.
    fn keep(&self, listing: &Arc<LowerListing>) {
        let mut kept = lock(&self.kept);
        kept.retain(|other| !Arc::ptr_eq(other, listing));
        kept.push_front(listing.clone());
        let mut names = 0;
        let mut places = 0;
        kept.retain(|listing| {
            names += listing.names.len();
            places += 1;
            names <= KEPT_NAMES && places <= KEPT_LISTINGS
        });
    }

    /// Returns whether all names that guests would see in a directory are
    /// covered. Reads no further than to the first that is not.
    pub(crate) fn is_covered(&self, path: &str, covered: impl Fn(&str) -> bool) -> Result<bool> {
        let mut all = true;
        self.visit(path, |name, _| {
            all = covered(&name);
            all
        })?;
        Ok(all)
    }

    /// Passes the names that guests see in a directory to `visit`, in the
    /// system's order, until it returns false.
    fn visit(&self, path: &str, mut visit: impl FnMut(String, FileKind) -> bool) -> Result<()> {
        let fail = |error: io::Error| error_code(&error);
        for entry in self.dir.read_dir(dot(path)).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let Some(kind) = kind(entry.file_type().map_err(fail)?) else {
                continue;
            };
            if !name.starts_with(PUBLISH_PREFIX) && !visit(name, kind) {
                break;
            }
        }
        Ok(())
    }

    /// Returns the target of a symbolic link, as written.
    pub(crate) fn target(&self, path: &str) -> Result<String> {
        let target = self
            .dir
            .read_link_contents(path)
            .map_err(|error| error_code(&error))?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| ErrorCode::IllegalByteSequence)
    }
}

impl LowerFile {
    pub(crate) fn identity(&self) -> FileId {
        self.identity
    }

    /// Returns the current length; the owner may still be writing the file.
    pub(crate) fn len(&self) -> Result<u64> {
        match self.file.metadata() {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) => Err(error_code(&error)),
        }
    }

    /// Reads up to `count` bytes from an offset, without zeroing the buffer
    /// first.
    pub(crate) fn read_vec(&self, offset: u64, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            let at = offset.saturating_add(bytes.len() as u64);
            match rustix::io::pread(&self.file, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error_code(&error.into())),
            }
        }
        // The allocation may be larger than requested.
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Returns whether a read here is served from the page cache, judged by its
    /// first and last byte. True where the system cannot tell.
    pub(crate) fn is_cached(&self, offset: u64, count: usize) -> bool {
        let last = offset.saturating_add(count.saturating_sub(1) as u64);
        [offset, last].iter().all(|at| !needs_disk(&self.file, *at))
    }

    /// Fills the buffer from an offset, up to the end of the file.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error_code(&error)),
            }
        }
        Ok(done)
    }
}

/// Returns whether a byte of a file must be read from the disk.
#[cfg(target_os = "linux")]
fn needs_disk(file: &std::fs::File, at: u64) -> bool {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut byte = [0];
    let mut into = [io::IoSliceMut::new(&mut byte)];
    preadv2(file, &mut into, at, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
}

#[cfg(not(target_os = "linux"))]
fn needs_disk(_file: &std::fs::File, _at: u64) -> bool {
    false
}

/// Returns a path that can be opened, for one that may be empty.
fn dot(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// Joins a directory path and a name.
pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

fn kind(found: FileType) -> Option<FileKind> {
    if found.is_file() {
        Some(FileKind::File)
    } else if found.is_dir() {
        Some(FileKind::Dir)
    } else if found.is_symlink() {
        Some(FileKind::Link)
    } else {
        None
    }
}

fn identity(metadata: &Metadata) -> FileId {
    FileId(metadata.dev(), metadata.ino())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Maps an error of the host to a WASI error code, and logs the rest.
fn error_code(error: &io::Error) -> ErrorCode {
    match error.kind() {
        ErrorKind::NotFound => ErrorCode::NoEntry,
        ErrorKind::NotADirectory => ErrorCode::NotDirectory,
        ErrorKind::PermissionDenied => ErrorCode::Access,
        kind => {
            if let Some(unsaid) = UNREADABLE.admit() {
                tracing::warn!(%kind, %error, unsaid, "cannot read data directory");
            }
            host_failure(error).unwrap_or(ErrorCode::Io)
        }
    }
}

/// A panic elsewhere leaves these maps consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
