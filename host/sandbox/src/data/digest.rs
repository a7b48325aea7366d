//! The digest of a data directory: one hash over all that guests can see of it.
//!
//! A session's results depend on its data, so the journal records the digest.
//! It is the hash of the sorted list of paths, kinds, sizes, contents and link
//! targets; guests see neither times nor permissions.
//!
//! Data may be 10 GB, and is not read at every start. The hash of a file is
//! kept, in memory and in the [cache](super::digest_cache), for as long as its
//! size, times and inode stay the same. The change time, which no program can
//! set, is among them, so a file whose modification time was reset is still
//! read again. A file that changed just before it was read may change again
//! within the same clock tick, so it is read again until it has been unchanged
//! for a while. This does not detect an owner of the machine who turns its
//! clock back; nothing here could.
//!
//! Data may also change while it is served. A scan takes a system call per
//! file, so it runs on demand, but takes at most a fiftieth of the time; it
//! always runs after files were published. Data that has grown over the limits
//! under which it was opened is not read: there is no digest until it is smaller.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use orwd_model::DataDigest;
use orwd_overlay::PUBLISH_PREFIX;

use crate::data::digest_cache;
use crate::data::known_files::{FileStamp, KnownFile, KnownFiles};
use crate::data::size::{DataSize, SizeLimits};

/// Scanning takes at most one part in this many of the time.
const SCAN_SHARE: u32 = 50;

/// A start that reads this many bytes is logged, since it takes a while.
const LARGE: u64 = 1 << 30;

/// What a file may grow by between the listing and its reading.
const MAX_GROWTH: u64 = 64 << 20;

/// Computes and remembers the digest of one directory.
#[derive(Debug)]
pub(crate) struct DataDigester {
    dir: Dir,
    limits: SizeLimits,
    /// Files were published since the last scan.
    stale: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: KnownFiles,
    last: Option<Scan>,
}

/// The last scan.
#[derive(Clone, Copy, Debug)]
struct Scan {
    digest: DataDigest,
    at: Instant,
    took: Duration,
}

impl Scan {
    fn is_recent(&self) -> bool {
        self.at.elapsed() < self.took * SCAN_SHARE
    }
}

/// A directory entry.
enum Entry {
    Dir,
    File(FileStamp),
    Link(String),
    /// It exists and cannot be read.
    Unreadable,
}

impl DataDigester {
    /// Scans a directory for the first time, with the known hashes from the
    /// cache, and updates the cache.
    pub(crate) fn open(
        dir: Dir,
        limits: SizeLimits,
        cache: Option<PathBuf>,
    ) -> io::Result<DataDigester> {
        let files = cache
            .as_deref()
            .and_then(digest_cache::read)
            .unwrap_or_default();
        let state = State { files, last: None };
        let digester = DataDigester {
            dir,
            limits,
            stale: AtomicBool::new(true),
            state: Mutex::new(state),
        };
        let before = digester.with(|state| state.files.clone());
        digester.digest()?;
        if let Some(cache) = cache {
            let files = digester.with(|state| state.files.clone());
            if files != before
                && let Err(error) = digest_cache::write(&cache, &files)
            {
                tracing::warn!(cache = %cache.display(), %error, "cannot write digest cache");
            }
        }
        Ok(digester)
    }

    /// Returns the digest of the last scan if it is recent enough. Never
    /// blocks.
    pub(crate) fn recent(&self) -> Option<DataDigest> {
        let state = self.state.try_lock().ok()?;
        let last = state.last.filter(|last| last.is_recent())?;
        (!self.stale.load(Ordering::Acquire)).then_some(last.digest)
    }

    /// Returns the digest. Blocks on the disk.
    pub(crate) fn digest(&self) -> io::Result<DataDigest> {
        self.with(|state| {
            let stale = self.stale.swap(false, Ordering::AcqRel);
            if let Some(last) = state.last.filter(|last| !stale && last.is_recent()) {
                return Ok(last.digest);
            }
            let begun = Instant::now();
            let digest = self.scan(&mut state.files);
            match digest {
                Ok(digest) => {
                    state.last = Some(Scan {
                        digest,
                        at: Instant::now(),
                        took: begun.elapsed(),
                    });
                }
                Err(_) => self.stale.store(true, Ordering::Release),
            }
            digest
        })
    }

    /// Marks the last scan as outdated, because files were published.
    pub(crate) fn mark_stale(&self) {
        self.stale.store(true, Ordering::Release);
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // A scan that panicked leaves the earlier state.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn scan(&self, known: &mut KnownFiles) -> io::Result<DataDigest> {
        let entries = self.list()?;
        let unknown = |(path, entry): &(&String, &Entry)| match entry {
            Entry::File(stamp) => known.get(*path).is_none_or(|file| file.stamp != *stamp),
            _ => false,
        };
        let size = |(_, entry): (&String, &Entry)| match entry {
            Entry::File(stamp) => stamp.size,
            _ => 0,
        };
        let bytes: u64 = entries.iter().filter(unknown).map(size).sum();
        if bytes >= LARGE {
            let gib = bytes / LARGE;
            tracing::info!(gib, "hashing data; later starts hash only changed files");
        }
        let mut files = KnownFiles::new();
        let mut hasher = blake3::Hasher::new_derive_key("orwd 2026 v1 digest of data");
        let mut tell = |kind: u8, path: &str, size: u64, hash: &[u8; 32]| {
            hasher.update(&[kind]);
            hasher.update(&(path.len() as u64).to_le_bytes());
            hasher.update(path.as_bytes());
            hasher.update(&size.to_le_bytes());
            hasher.update(hash);
        };
        for (path, entry) in entries {
            match entry {
                Entry::Dir => tell(b'd', &path, 0, &[0; 32]),
                Entry::Link(target) => {
                    let hash = blake3::hash(target.as_bytes());
                    tell(b'l', &path, target.len() as u64, hash.as_bytes());
                }
                Entry::Unreadable => tell(b'x', &path, 0, &[0; 32]),
                Entry::File(stamp) => {
                    let at = SystemTime::now();
                    let same = known.get(&path).filter(|file| file.stamp == stamp);
                    let file = match same {
                        Some(known) => Some(*known),
                        None => self.read(&path, stamp.size).ok(),
                    };
                    let Some(file) = file else {
                        tell(b'x', &path, 0, &[0; 32]);
                        continue;
                    };
                    tell(b'f', &path, file.stamp.size, &file.hash);
                    if file.stamp.is_settled(at) {
                        files.insert(path, file);
                    }
                }
            }
        }
        *known = files;
        Ok(DataDigest::from_bytes(*hasher.finalize().as_bytes()))
    }

    /// Lists everything that a guest can see, by path.
    fn list(&self) -> io::Result<BTreeMap<String, Entry>> {
        let mut entries = BTreeMap::new();
        let mut size = DataSize::new(self.limits);
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let at = if folder.is_empty() { "." } else { &folder };
            let listing = match self.dir.read_dir(at) {
                Ok(listing) => listing,
                Err(error) if folder.is_empty() => return Err(error),
                Err(_) => {
                    entries.insert(folder, Entry::Unreadable);
                    continue;
                }
            };
            for entry in listing {
                let entry = entry?;
                size.count_entry().map_err(io::Error::other)?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                if name.starts_with(PUBLISH_PREFIX) {
                    continue;
                }
                let path = if folder.is_empty() {
                    name
                } else {
                    format!("{folder}/{name}")
                };
                let metadata = match self.dir.symlink_metadata(&path) {
                    Ok(metadata) => metadata,
                    // It was removed in the meantime.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(_) => {
                        entries.insert(path, Entry::Unreadable);
                        continue;
                    }
                };
                let kind = metadata.file_type();
                let entry = if kind.is_dir() {
                    folders.push(path.clone());
                    Entry::Dir
                } else if kind.is_file() {
                    size.count_file(Path::new(&path), &metadata)
                        .map_err(io::Error::other)?;
                    Entry::File(FileStamp::of(&metadata))
                } else if kind.is_symlink() {
                    self.target(&path)
                } else {
                    continue;
                };
                entries.insert(path, entry);
            }
        }
        size.check_holes().map_err(io::Error::other)?;
        Ok(entries)
    }

    fn target(&self, path: &str) -> Entry {
        let target = self.dir.read_link_contents(path);
        let target = target
            .ok()
            .and_then(|target| target.into_os_string().into_string().ok());
        target.map_or(Entry::Unreadable, Entry::Link)
    }

    /// Reads and hashes a file, up to its length when it was opened: its owner
    /// may be writing it. One that was much smaller when it was listed is read by
    /// the next scan, if it is within the limits.
    fn read(&self, path: &str, listed: u64) -> io::Result<KnownFile> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = self.dir.open_with(path, &options)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let stamp = FileStamp::of(&metadata);
        if stamp.size > listed.saturating_add(MAX_GROWTH) {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file.into_std().take(stamp.size))?;
        Ok(KnownFile {
            stamp,
            hash: *hasher.finalize().as_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::data::rules::DataRefusal;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use cap_std::ambient_authority;
    use tempfile::TempDir;

    use super::*;

    const LIMITS: SizeLimits = SizeLimits {
        bytes: 1 << 30,
        entries: 100,
    };

    fn dir(path: &Path) -> Dir {
        Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    }

    fn digest(path: &Path) -> DataDigest {
        DataDigester::open(dir(path), LIMITS, None)
            .unwrap()
            .digest()
            .unwrap()
    }

    fn filled() -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("sub/empty")).unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        fs::write(folder.path().join("sub/b"), "two").unwrap();
        symlink("a", folder.path().join("link")).unwrap();
        folder
    }

    /// Makes the file look unchanged for a long time.
    fn settle(path: &Path) {
        let long_ago = SystemTime::now() - Duration::from_secs(1000);
        fs::File::open(path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }

    #[test]
    fn equal_files_have_equal_digests_and_changes_show() {
        let one = filled();
        let same = digest(one.path());
        assert_eq!(digest(filled().path()), same);
        type Change = fn(&Path);
        let changes: [Change; 9] = [
            |at| fs::write(at.join("a"), "eno").unwrap(),
            |at| fs::write(at.join("a"), "one more").unwrap(),
            |at| fs::remove_file(at.join("sub/b")).unwrap(),
            |at| fs::rename(at.join("sub/b"), at.join("sub/c")).unwrap(),
            |at| fs::rename(at.join("sub/b"), at.join("b")).unwrap(),
            |at| fs::remove_dir(at.join("sub/empty")).unwrap(),
            |at| fs::create_dir(at.join("new")).unwrap(),
            |at| {
                fs::remove_file(at.join("link")).unwrap();
                symlink("sub/b", at.join("link")).unwrap();
            },
            |at| {
                fs::remove_file(at.join("link")).unwrap();
                fs::write(at.join("link"), "a").unwrap();
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            let other = filled();
            change(other.path());
            assert_ne!(digest(other.path()), same, "change {number}");
        }
        // What guests cannot see does not count.
        let unseen = filled();
        fs::write(unseen.path().join(format!("{PUBLISH_PREFIX}x")), "half").unwrap();
        settle(&unseen.path().join("a"));
        assert_eq!(digest(unseen.path()), same);
    }

    #[test]
    fn a_change_shows_while_it_is_served() {
        let folder = filled();
        let digester = DataDigester::open(dir(folder.path()), LIMITS, None).unwrap();
        let before = digester.digest().unwrap();
        fs::write(folder.path().join("a"), "six").unwrap();
        digester.mark_stale();
        assert_ne!(digester.digest().unwrap(), before);
        fs::write(folder.path().join("a"), "one").unwrap();
        digester.mark_stale();
        assert_eq!(digester.digest().unwrap(), before);
    }

    #[test]
    fn data_that_outgrows_its_limits_is_not_read() {
        let folder = filled();
        let digester = DataDigester::open(dir(folder.path()), LIMITS, None).unwrap();
        let before = digester.digest().unwrap();
        let file = folder.path().join("a");
        let refused = |part: &str| {
            digester.mark_stale();
            let error = digester.digest().unwrap_err();
            let refusal = error.to_string();
            assert!(refusal.contains(part), "{refusal}");
            let known = DataRefusal::of(&error).and_then(DataRefusal::for_clients);
            let known = known.expect("clients get the cause");
            assert!(known.contains("operator must"), "{known}");
            assert!(!known.contains('"'), "it names no file: {known}");
            assert_eq!(digester.recent(), None);
        };
        let grown = fs::File::options().write(true).open(&file).unwrap();
        grown.set_len(1 << 43).unwrap();
        refused("\"a\" is sparse");
        grown.set_len((1 << 30) + 1).unwrap();
        refused("--data-limit");
        grown.set_len(3).unwrap();
        for number in 0..100 {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        refused("--data-entries");
        for number in 0..100 {
            fs::remove_file(folder.path().join(number.to_string())).unwrap();
        }
        digester.mark_stale();
        assert_eq!(digester.digest().unwrap(), before);
    }

    /// Change times cannot be set, so the cache is written by hand. A false
    /// hash in it is believed, which shows that the file was not read; one with
    /// another stamp is not.
    #[test]
    fn known_files_are_not_read_again_and_changed_ones_are() {
        let folder = filled();
        let notes_at = TempDir::new().unwrap();
        let cache = notes_at.path().join("deep/note");
        let true_digest = digest(folder.path());
        let metadata = dir(folder.path()).symlink_metadata("a").unwrap();
        let stamp = FileStamp::of(&metadata);
        let digest_with_cached = |stamp| {
            let hash = [7; 32];
            let files = KnownFiles::from([("a".to_owned(), KnownFile { stamp, hash })]);
            digest_cache::write(&cache, &files).unwrap();
            DataDigester::open(dir(folder.path()), LIMITS, Some(cache.clone()))
                .unwrap()
                .digest()
                .unwrap()
        };
        assert_ne!(digest_with_cached(stamp), true_digest);
        let (seconds, nanos) = stamp.changed;
        let others = [
            FileStamp { size: 4, ..stamp },
            FileStamp {
                inode: stamp.inode + 1,
                ..stamp
            },
            FileStamp {
                modified: (seconds, nanos + 1),
                ..stamp
            },
            FileStamp {
                changed: (seconds - 1, nanos),
                ..stamp
            },
        ];
        for other in others {
            assert_eq!(digest_with_cached(other), true_digest, "{other:?}");
        }
        // A damaged cache is ignored.
        let mut bytes = fs::read(&cache).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            fs::write(&cache, &bytes).unwrap();
            assert_eq!(digest_cache::read(&cache), None, "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn only_settled_files_are_cached() {
        let stamp = |seconds| FileStamp {
            size: 1,
            inode: 1,
            modified: (seconds, 0),
            changed: (seconds, 0),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        for (seconds, settled) in [
            (0, true),
            (997, true),
            (998, false),
            (1000, false),
            (2000, false),
        ] {
            assert_eq!(stamp(seconds).is_settled(now), settled, "{seconds}");
        }
        let folder = filled();
        let digester = DataDigester::open(dir(folder.path()), LIMITS, None).unwrap();
        assert!(
            digester.with(|state| state.files.is_empty()),
            "all of it is new"
        );
    }
}
