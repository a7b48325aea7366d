//! The digest of a data directory: what its files are, in one hash.
//!
//! A session's answers depend on the data that it sees, so that the journal
//! says which data that was. The digest is that of the sorted list of what a
//! guest can see: paths, kinds, sizes, contents, and where links lead; times
//! and permissions are nothing that it sees.
//!
//! Data may be ten gigabytes, and is not read at every start. What is known of
//! a file is kept, in memory and in a note in the cache, for as long as its
//! size, its times and its inode stay what they were. The time of change, which
//! no program can set, is among them, so that a file whose time was set back is
//! read again all the same. A file that changed just before it was read may
//! change once more within the same tick of the clock, so that it is read again
//! until it has been at rest for a while. What is left is the owner of the
//! machine who turns its clock back, whom nothing here can stop.
//!
//! Data may also change while it is served. To look again takes a call to the
//! system for each file, so that it is done when it is asked for, but never so
//! often that it takes more than a fiftieth of the time; and always after
//! something was published.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use super::notes;
use orwd_model::DataDigest;
use orwd_overlay::UNFINISHED;

/// A file that changed later than this before it was read is read again.
const SETTLED: Duration = Duration::from_secs(2);

/// Looking takes at most this part of the time.
const SHARE: u32 = 50;

/// What the log tells of, since the start waits for it.
const MUCH: u64 = 1 << 30;

/// What tells a file that was changed from one that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    pub(super) inode: u64,
    /// Seconds and nanoseconds.
    pub(super) modified: (i64, i64),
    pub(super) changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            size: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a change after this moment would show.
    fn is_settled(&self, at: SystemTime) -> bool {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs().cast_signed());
        let last = self.modified.0.max(self.changed.0);
        last < now.saturating_sub(SETTLED.as_secs().cast_signed())
    }
}

/// A file whose content is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) stamp: Stamp,
    pub(super) hash: [u8; 32],
}

/// Files by their path in the directory.
pub(super) type Files = HashMap<String, Known>;

/// What is known of one directory.
#[derive(Debug)]
pub(super) struct Ledger {
    dir: Dir,
    /// Something was published since the last look.
    stale: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: Files,
    last: Option<Look>,
}

/// The last look.
#[derive(Clone, Copy, Debug)]
struct Look {
    digest: DataDigest,
    at: Instant,
    took: Duration,
}

impl Look {
    fn is_recent(&self) -> bool {
        self.at.elapsed() < self.took * SHARE
    }
}

/// Something in the directory.
enum Entry {
    Dir,
    File(Stamp),
    Link(String),
    /// It is there, and cannot be read.
    Closed,
}

impl Ledger {
    /// Looks at a directory for the first time. What is known of it is taken
    /// from a note and put there again.
    pub(super) fn open(dir: Dir, note: Option<PathBuf>) -> io::Result<Ledger> {
        let files = note.as_deref().and_then(notes::read).unwrap_or_default();
        let state = State { files, last: None };
        let ledger = Ledger {
            dir,
            stale: AtomicBool::new(true),
            state: Mutex::new(state),
        };
        let before = ledger.with(|state| state.files.clone());
        ledger.digest()?;
        if let Some(note) = note {
            let files = ledger.with(|state| state.files.clone());
            if files != before
                && let Err(error) = notes::write(&note, &files)
            {
                tracing::warn!(note = %note.display(), "what is known of data is not kept: {error}");
            }
        }
        Ok(ledger)
    }

    /// The digest, if the last look will do. Waits for nothing.
    pub(super) fn recent(&self) -> Option<DataDigest> {
        let state = self.state.try_lock().ok()?;
        let last = state.last.filter(|last| last.is_recent())?;
        (!self.stale.load(Ordering::Acquire)).then_some(last.digest)
    }

    /// The digest. Waits for the disk.
    pub(super) fn digest(&self) -> io::Result<DataDigest> {
        self.with(|state| {
            let stale = self.stale.swap(false, Ordering::AcqRel);
            if let Some(last) = state.last.filter(|last| !stale && last.is_recent()) {
                return Ok(last.digest);
            }
            let begun = Instant::now();
            let digest = self.look(&mut state.files);
            match digest {
                Ok(digest) => {
                    state.last = Some(Look {
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

    /// Something was published.
    pub(super) fn mark(&self) {
        self.stale.store(true, Ordering::Release);
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // A look that panicked left what was known before it.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self, known: &mut Files) -> io::Result<DataDigest> {
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
        if bytes >= MUCH {
            let gib = bytes / MUCH;
            tracing::info!("reading {gib} GiB of data for its digest; later only what changes");
        }
        let mut files = Files::new();
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
                Entry::Closed => tell(b'x', &path, 0, &[0; 32]),
                Entry::File(stamp) => {
                    let at = SystemTime::now();
                    let same = known.get(&path).filter(|file| file.stamp == stamp);
                    let file = match same {
                        Some(known) => Some(*known),
                        None => self.read(&path).ok(),
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

    /// Everything that a guest can see, by its path.
    fn list(&self) -> io::Result<BTreeMap<String, Entry>> {
        let mut entries = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let at = if folder.is_empty() { "." } else { &folder };
            let listing = match self.dir.read_dir(at) {
                Ok(listing) => listing,
                Err(error) if folder.is_empty() => return Err(error),
                Err(_) => {
                    entries.insert(folder, Entry::Closed);
                    continue;
                }
            };
            for entry in listing {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                if name.starts_with(UNFINISHED) {
                    continue;
                }
                let path = if folder.is_empty() {
                    name
                } else {
                    format!("{folder}/{name}")
                };
                let metadata = match self.dir.symlink_metadata(&path) {
                    Ok(metadata) => metadata,
                    // It went meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(_) => {
                        entries.insert(path, Entry::Closed);
                        continue;
                    }
                };
                let kind = metadata.file_type();
                let entry = if kind.is_dir() {
                    folders.push(path.clone());
                    Entry::Dir
                } else if kind.is_file() {
                    Entry::File(Stamp::of(&metadata))
                } else if kind.is_symlink() {
                    self.target(&path)
                } else {
                    continue;
                };
                entries.insert(path, entry);
            }
        }
        Ok(entries)
    }

    fn target(&self, path: &str) -> Entry {
        let target = self.dir.read_link_contents(path);
        let target = target
            .ok()
            .and_then(|target| target.into_os_string().into_string().ok());
        target.map_or(Entry::Closed, Entry::Link)
    }

    /// Reads a file that is not known. It is taken to be as long as it was when
    /// it was opened: its owner may be writing it.
    fn read(&self, path: &str) -> io::Result<Known> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = self.dir.open_with(path, &options)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let stamp = Stamp::of(&metadata);
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file.into_std().take(stamp.size))?;
        Ok(Known {
            stamp,
            hash: *hasher.finalize().as_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use cap_std::ambient_authority;
    use tempfile::TempDir;

    use super::*;

    fn dir(path: &Path) -> Dir {
        Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    }

    fn digest(path: &Path) -> DataDigest {
        Ledger::open(dir(path), None).unwrap().digest().unwrap()
    }

    fn filled() -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("sub/empty")).unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        fs::write(folder.path().join("sub/b"), "two").unwrap();
        symlink("a", folder.path().join("link")).unwrap();
        folder
    }

    /// As if it had been at rest for long.
    fn settle(path: &Path) {
        let long_ago = SystemTime::now() - Duration::from_secs(1000);
        fs::File::open(path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }

    #[test]
    fn the_same_files_elsewhere_have_the_same_digest_and_others_another() {
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
        // What guests do not see does not count.
        let unseen = filled();
        fs::write(unseen.path().join(format!("{UNFINISHED}x")), "half").unwrap();
        settle(&unseen.path().join("a"));
        assert_eq!(digest(unseen.path()), same);
    }

    #[test]
    fn a_change_shows_while_it_is_served() {
        let folder = filled();
        let ledger = Ledger::open(dir(folder.path()), None).unwrap();
        let before = ledger.digest().unwrap();
        fs::write(folder.path().join("a"), "six").unwrap();
        ledger.mark();
        assert_ne!(ledger.digest().unwrap(), before);
        fs::write(folder.path().join("a"), "one").unwrap();
        ledger.mark();
        assert_eq!(ledger.digest().unwrap(), before);
    }

    /// The times of change of these files cannot be set, so that the note is
    /// made by hand: a note that lies is believed, which shows that the file
    /// was not read; one with another stamp is not.
    #[test]
    fn what_is_known_is_not_read_again_and_what_changed_is() {
        let folder = filled();
        let notes_at = TempDir::new().unwrap();
        let note = notes_at.path().join("deep/note");
        let truth = digest(folder.path());
        let metadata = dir(folder.path()).symlink_metadata("a").unwrap();
        let stamp = Stamp::of(&metadata);
        let lie = |stamp| {
            let hash = [7; 32];
            let files = Files::from([("a".to_owned(), Known { stamp, hash })]);
            notes::write(&note, &files).unwrap();
            Ledger::open(dir(folder.path()), Some(note.clone()))
                .unwrap()
                .digest()
                .unwrap()
        };
        assert_ne!(lie(stamp), truth);
        let (seconds, nanos) = stamp.changed;
        let others = [
            Stamp { size: 4, ..stamp },
            Stamp {
                inode: stamp.inode + 1,
                ..stamp
            },
            Stamp {
                modified: (seconds, nanos + 1),
                ..stamp
            },
            Stamp {
                changed: (seconds - 1, nanos),
                ..stamp
            },
        ];
        for other in others {
            assert_eq!(lie(other), truth, "{other:?}");
        }
        // A note that was tampered with is none.
        let mut bytes = fs::read(&note).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            fs::write(&note, &bytes).unwrap();
            assert_eq!(notes::read(&note), None, "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn only_what_is_at_rest_is_known() {
        let stamp = |seconds| Stamp {
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
        let ledger = Ledger::open(dir(folder.path()), None).unwrap();
        assert!(
            ledger.with(|state| state.files.is_empty()),
            "all of it is new"
        );
    }
}
