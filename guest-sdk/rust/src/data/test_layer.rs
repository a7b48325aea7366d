//! The data folder of unit tests: a copy for each episode.
//!
//! In a session the host puts a copy-on-write layer over the data, which no
//! library can do for ordinary processes. So each episode gets a copy, made when
//! it first asks for the folder. Copies are kept below the build directory and
//! locked while they are in use. The next episode takes a free one and renews
//! only the files that differ, so a large data set is copied once for each thread
//! of tests.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What a test sees if the environment has no data.
const NO_DATA: &str = "/orwd_data";

thread_local! {
    /// The layer of the episode whose code runs now.
    static CURRENT: RefCell<Option<Arc<TestLayer>>> = const { RefCell::new(None) };
    /// The layer of code that runs outside of an episode, such as the catalog.
    static OUTSIDE: Arc<TestLayer> = Arc::new(TestLayer::default());
}

/// The data of one episode.
#[derive(Default)]
pub(crate) struct TestLayer {
    /// The author's folder; by default the one in the manifest.
    source: Option<PathBuf>,
    copy: OnceLock<Option<DataCopy>>,
}

/// A copy of the data, which is locked until it is dropped.
struct DataCopy {
    path: PathBuf,
    _lock: File,
}

/// Makes a layer the current one until it is dropped.
struct Entered(Option<Arc<TestLayer>>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl TestLayer {
    /// Returns a layer over this folder.
    pub(crate) fn over(source: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            source,
            copy: OnceLock::new(),
        })
    }

    /// Runs code of the episode with this layer.
    pub(crate) fn enter<T>(self: &Arc<Self>, run: impl FnOnce() -> T) -> T {
        let _entered = Entered(CURRENT.replace(Some(Arc::clone(self))));
        run()
    }

    fn path(&self) -> PathBuf {
        let copy = self.copy.get_or_init(|| {
            let source = self.source.clone().or_else(manifest_data)?;
            if !source.is_dir() {
                return None;
            }
            match copy(&source) {
                Ok(copy) => Some(copy),
                Err(error) => {
                    warn(&source, &error);
                    None
                }
            }
        });
        copy.as_ref()
            .map_or_else(|| PathBuf::from(NO_DATA), |copy| copy.path.clone())
    }
}

#[allow(clippy::print_stderr, reason = "it runs in unit tests only")]
fn warn(source: &Path, error: &io::Error) {
    eprintln!("cannot copy the data {}: {error}", source.display());
}

/// Returns the data folder of the episode whose code runs, or else of the thread.
pub(crate) fn data_dir() -> PathBuf {
    let current = CURRENT.with_borrow(Clone::clone);
    current.unwrap_or_else(|| OUTSIDE.with(Arc::clone)).path()
}

/// Returns the folder that the manifest of the crate under test names.
fn manifest_data() -> Option<PathBuf> {
    // cargo sets it for tests.
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let manifest = fs::read_to_string(package.join("orwd.toml")).unwrap_or_default();
    let top_level = manifest
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with('['));
    let named = top_level
        .filter_map(|line| line.strip_prefix("data"))
        .find_map(|line| line.trim_start().strip_prefix('='))
        .and_then(|value| {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            value.get(1..)?.split(quote).next()
        });
    Some(package.join(named.unwrap_or("data")))
}

/// Returns a copy of the folder that no other test uses.
fn copy(source: &Path) -> io::Result<DataCopy> {
    let source = source.canonicalize()?;
    let copies = copies_dir(&source);
    fs::create_dir_all(&copies)?;
    for number in 0.. {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(copies.join(format!("{number}.lock")))?;
        match lock.try_lock() {
            Ok(()) => {
                let path = copies.join(number.to_string());
                fs::create_dir_all(&path)?;
                renew(&source, &path, 0)?;
                return Ok(DataCopy { path, _lock: lock });
            }
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::ErrorKind::QuotaExceeded.into())
}

/// Returns where copies of this folder are kept: beside the test program, which
/// `cargo clean` removes, or else in the folder for temporary files.
fn copies_dir(source: &Path) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let build = program
        .ancestors()
        .find(|path| path.ends_with("deps"))
        .and_then(Path::parent)
        .map_or_else(std::env::temp_dir, Path::to_owned);
    let mut name = OsString::new();
    for part in source.components() {
        if let Component::Normal(part) = part {
            name.push(part);
            name.push("+");
        }
    }
    // A name has at most 255 bytes, and the end of a path tells more.
    let text = name.to_string_lossy().into_owned();
    let skipped = text.chars().count().saturating_sub(60);
    let short: String = text.chars().skip(skipped).collect();
    build
        .join("orwd-test-data")
        .join(format!("{short}{:x}", hash(text.as_bytes())))
}

/// FNV-1a, which is the same in every build.
fn hash(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Makes `copy` equal to `source`: copies what differs, and removes the rest.
fn renew(source: &Path, copy: &Path, depth: usize) -> io::Result<()> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let (from, to) = (entry.path(), copy.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !to.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                remove(&to)?;
                fs::create_dir(&to)?;
            }
            renew(&from, &to, depth + 1)?;
        } else if kind.is_symlink() {
            copy_link(&from, &to, depth)?;
        } else if kind.is_file() {
            copy_file(&from, &to)?;
        } else {
            continue;
        }
        names.insert(entry.file_name());
    }
    for entry in fs::read_dir(copy)? {
        let entry = entry?;
        if !names.contains(&entry.file_name()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Copies a file, unless the copy has its size and time. A write changes the
/// time.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let source = from.metadata()?;
    let modified = source.modified()?;
    let same = to.symlink_metadata().is_ok_and(|found| {
        found.is_file()
            && found.len() == source.len()
            && found.modified().is_ok_and(|time| time == modified)
    });
    if same {
        return Ok(());
    }
    remove(to)?;
    // Without its mode: a session may write files that the author may not.
    let mut copy = File::create(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.set_modified(modified)
}

/// Copies a link that stays in the data. The host refuses any other too.
fn copy_link(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    let target = fs::read_link(from)?;
    let mut level = Some(depth);
    for part in target.components() {
        level = match (part, level) {
            (Component::Normal(_), Some(level)) => Some(level + 1),
            (Component::ParentDir, Some(level)) => level.checked_sub(1),
            (Component::CurDir, level) => level,
            _ => None,
        };
    }
    if level.is_none() {
        return Err(io::Error::other(format!(
            "the link {} leads out of the data, to {}",
            from.display(),
            target.display()
        )));
    }
    if fs::read_link(to).is_ok_and(|existing| existing == target) {
        return Ok(());
    }
    remove(to)?;
    link(&target, to)
}

#[cfg(unix)]
fn link(target: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, to)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes a file, a link or a folder, if there is one.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A folder that a test of this crate removes at its end.
#[cfg(test)]
pub(crate) struct TempFolder(PathBuf);

#[cfg(test)]
impl TempFolder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orwd-sdk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_an_episode_writes_is_seen_by_it_alone() {
        let temp = TempFolder::new("layer");
        let source = temp.path().join("data");
        fs::create_dir_all(source.join("sub")).unwrap();
        fs::write(source.join("a.txt"), "one").unwrap();
        fs::write(source.join("sub/b.txt"), "two").unwrap();
        std::os::unix::fs::symlink("sub/b.txt", source.join("link")).unwrap();
        let episode = || TestLayer::over(Some(source.clone()));
        let (first, second) = (episode(), episode());
        first.enter(|| {
            let data = data_dir();
            assert_ne!(data, source);
            assert_eq!(data_dir(), data);
            assert_eq!(read(&data.join("link")), "two");
            fs::write(data.join("a.txt"), "ONE").unwrap();
            fs::write(data.join("new.txt"), "x").unwrap();
            fs::write(data.join("link"), "through the link").unwrap();
            fs::remove_dir_all(data.join("sub")).unwrap();
            second.enter(|| {
                assert_eq!(read(&data_dir().join("a.txt")), "one");
                fs::write(data_dir().join("a.txt"), "1").unwrap();
            });
            assert_eq!(read(&data.join("a.txt")), "ONE");
        });
        drop(first);
        // The next episode has the data as the author wrote it.
        episode().enter(|| {
            let data = data_dir();
            assert_eq!(read(&data.join("a.txt")), "one");
            assert_eq!(read(&data.join("sub/b.txt")), "two");
            assert!(!data.join("new.txt").exists());
        });
        assert_eq!(read(&source.join("a.txt")), "one");
        assert_eq!(read(&source.join("sub/b.txt")), "two");
        assert!(!source.join("new.txt").exists());
    }

    #[test]
    fn a_link_that_leads_out_of_the_data_is_refused() {
        let temp = TempFolder::new("links");
        let source = temp.path().join("data");
        fs::create_dir_all(&source).unwrap();
        std::os::unix::fs::symlink("../outside", source.join("link")).unwrap();
        let error = copy(&source).err().unwrap().to_string();
        assert!(error.contains("leads out of the data"), "{error}");
    }

    #[test]
    fn without_data_there_is_no_folder() {
        let layer = TestLayer::over(Some(PathBuf::from("/nosuch")));
        layer.enter(|| assert_eq!(data_dir(), Path::new(NO_DATA)));
    }
}
