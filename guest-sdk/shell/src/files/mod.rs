//! The files of the session as the evaluator's file system.
//!
//! Links are not followed here: an operation on a path with a link reports that
//! it is missing, and the evaluator's outermost layer follows the link within
//! the tree that it sees. So no link leads out of the real folders.
//!
//! WASI has no permissions. Modes are kept beside the files, for `chmod`, `test
//! -x` and `ls -l`.

mod error;
mod interface;
mod links;
mod paths;
mod tree;

use std::collections::HashMap;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bashkit::{DirEntry, FileType, Metadata};

use crate::guard::{digits, meter, scripts};
use crate::limits::{MAX_FILE, MAX_LIVE};
use paths::{Place, Roots, relative};

/// Bytes that one look at a random device returns.
const RANDOM_BYTES: usize = 8 << 10;

/// The files of a session.
pub(crate) struct SessionFiles {
    roots: Roots,
    modes: Mutex<HashMap<PathBuf, u32>>,
}

impl SessionFiles {
    /// Creates the view of these folders.
    pub(crate) fn new(roots: Vec<PathBuf>) -> Self {
        Self {
            roots: Roots::new(roots),
            modes: Mutex::new(HashMap::new()),
        }
    }

    /// Begins a command line: since the last one, tools may have changed the files.
    pub(crate) fn begin(&self) {
        self.roots.forget();
    }

    fn modes(&self) -> MutexGuard<'_, HashMap<PathBuf, u32>> {
        self.modes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the real path of something that is to be changed.
    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        match self.roots.place(path) {
            Ok(Place::Real(path)) => Ok(path),
            Ok(_) => Err(error::read_only()),
            // Outside of the real folders there is nothing to create.
            Err(_) if self.roots.of(path).is_none() => Err(error::read_only()),
            Err(error) => Err(error),
        }
    }

    fn describe(&self, path: &Path, found: &fs::Metadata) -> Metadata {
        let (file_type, size, mode) = if found.is_symlink() {
            (FileType::Symlink, found.len(), 0o777)
        } else if found.is_dir() {
            (FileType::Directory, 4096, 0o755)
        } else {
            (FileType::File, found.len(), 0o644)
        };
        let modified = found.modified().unwrap_or(UNIX_EPOCH);
        Metadata {
            file_type,
            size,
            mode: self.modes().get(path).copied().unwrap_or(mode),
            modified,
            created: modified,
        }
    }

    /// Forgets the modes of a path and all below it.
    fn forget(&self, path: &Path) {
        self.modes().retain(|known, _| !known.starts_with(path));
    }

    /// Opens a file that is to be written, which is no folder and no link.
    fn open(&self, path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        let path = self.real(path)?;
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => return Err(error::is_a_directory()),
            Ok(found) if found.is_symlink() => return Err(error::not_found()),
            _ => {}
        }
        options.create(true).open(path).map_err(error::named)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = match self.roots.place(path)? {
            Place::Real(path) => path,
            Place::Above(_) => return Err(error::is_a_directory()),
            Place::Null => return Ok(Vec::new()),
            Place::Random => return Ok(random(RANDOM_BYTES)),
            Place::Sourced(program) => return Ok(program.into_bytes()),
        };
        let found = path.symlink_metadata().map_err(error::named)?;
        if found.is_dir() {
            return Err(error::is_a_directory());
        }
        if found.is_symlink() {
            return Err(error::not_found());
        }
        let held = meter::live().saturating_add(found.len() as usize);
        if found.len() > MAX_FILE || held > MAX_LIVE {
            return Err(error::too_large());
        }
        let content = fs::read(path).map_err(error::named)?;
        // It may be a script.
        match digits::are_too_many(&content) {
            true => Err(error::too_many_digits()),
            false => Ok(content),
        }
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        if self.is_null(path) {
            return Ok(());
        }
        let mut file = self.open(path, OpenOptions::new().write(true))?;
        file.write_all(content).map_err(error::named)?;
        file.set_len(content.len() as u64).map_err(error::named)
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        if self.is_null(path) {
            return Ok(());
        }
        let mut file = self.open(path, OpenOptions::new().append(true))?;
        file.write_all(content).map_err(error::named)
    }

    fn is_null(&self, path: &Path) -> bool {
        matches!(self.roots.place(path), Ok(Place::Null | Place::Random))
    }

    fn create_folder(&self, path: &Path, recursive: bool) -> io::Result<()> {
        match self.roots.place(path) {
            Ok(Place::Above(_)) if recursive => return Ok(()),
            Ok(Place::Above(_) | Place::Null | Place::Random | Place::Sourced(_)) => {
                return Err(error::exists());
            }
            // `mkdir -p` of several levels: the parents do not exist yet.
            Err(_) if recursive && self.roots.of(path).is_some() => {}
            _ => {
                let path = self.real(path)?;
                if let Ok(found) = path.symlink_metadata()
                    && !(recursive && found.is_dir())
                {
                    return Err(error::exists());
                }
            }
        }
        if !recursive {
            return fs::create_dir(self.real(path)?).map_err(error::named);
        }
        let Some(root) = self.roots.of(path) else {
            return Err(error::read_only());
        };
        let mut missing: Vec<&Path> = Vec::new();
        for folder in path
            .ancestors()
            .take_while(|folder| folder.starts_with(root))
        {
            match folder.symlink_metadata() {
                Ok(found) if found.is_dir() => break,
                Ok(found) if found.is_symlink() => return Err(error::not_found()),
                Ok(_) => return Err(error::not_a_directory()),
                Err(_) => missing.push(folder),
            }
        }
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).map_err(error::named)?;
        }
        Ok(())
    }

    fn remove_all(&self, path: &Path, recursive: bool) -> io::Result<()> {
        let path = match self.roots.place(path)? {
            Place::Real(path) => path,
            _ => return Err(error::read_only()),
        };
        if self.roots.is_root(&path) {
            return Err(error::busy());
        }
        let found = path.symlink_metadata().map_err(error::named)?;
        self.roots.forget();
        if !found.is_dir() {
            fs::remove_file(&path).map_err(error::named)?;
        } else if recursive {
            tree::remove(&path).map_err(error::named)?;
        } else {
            fs::remove_dir(&path).map_err(error::named)?;
        }
        self.forget(&path);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = match self.roots.place(path)? {
            Place::Real(path) => path,
            Place::Above(names) => {
                let listed = names.into_iter().map(|name| {
                    let metadata = self.look(&path.join(&name))?;
                    Ok(DirEntry { name, metadata })
                });
                return listed.collect();
            }
            _ => return Err(error::not_a_directory()),
        };
        let found = path.symlink_metadata().map_err(error::named)?;
        if found.is_symlink() {
            return Err(error::not_found());
        }
        if !found.is_dir() {
            return Err(error::not_a_directory());
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path).map_err(error::named)? {
            let entry = entry.map_err(error::named)?;
            let path = entry.path();
            // Removed since it was listed.
            let Ok(found) = path.symlink_metadata() else {
                continue;
            };
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                metadata: self.describe(&path, &found),
            });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn look(&self, path: &Path) -> io::Result<Metadata> {
        let special = |file_type, size, mode| Metadata {
            file_type,
            size,
            mode,
            modified: UNIX_EPOCH,
            created: UNIX_EPOCH,
        };
        match self.roots.place(path)? {
            Place::Real(path) => {
                let found = path.symlink_metadata().map_err(error::named)?;
                Ok(self.describe(&path, &found))
            }
            Place::Above(_) => Ok(special(FileType::Directory, 4096, 0o755)),
            Place::Null | Place::Random => Ok(special(FileType::File, 0, 0o666)),
            Place::Sourced(program) => Ok(special(FileType::File, program.len() as u64, 0o444)),
        }
    }

    fn move_to(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.real(from)?, self.real(to)?);
        if self.roots.is_root(&from) || self.roots.is_root(&to) {
            return Err(error::busy());
        }
        self.roots.forget();
        let found = from.symlink_metadata().map_err(error::named)?;
        if self.roots.of(&from) == self.roots.of(&to) {
            fs::rename(&from, &to).map_err(error::named)?;
        } else if found.is_file() {
            self.write(&to, &self.read(&from)?)?;
            fs::remove_file(&from).map_err(error::named)?;
        } else {
            return Err(error::cross_device());
        }
        let mut modes = self.modes();
        modes.retain(|known, _| !known.starts_with(&to));
        let moved: Vec<(PathBuf, u32)> = modes
            .iter()
            .filter_map(|(known, mode)| {
                let below = known.strip_prefix(&from).ok()?;
                // An empty rest would add a slash.
                let target = match below.as_os_str().is_empty() {
                    true => to.clone(),
                    false => to.join(below),
                };
                Some((target, *mode))
            })
            .collect();
        modes.retain(|known, _| !known.starts_with(&from));
        modes.extend(moved);
        Ok(())
    }

    fn copy_to(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.read(from)?;
        self.write(to, &content)?;
        let mode = self.modes().get(from).copied();
        if let Some(mode) = mode {
            self.modes().insert(to.to_owned(), mode);
        }
        Ok(())
    }

    fn link(&self, target: &Path, link: &Path) -> io::Result<()> {
        let link = self.real(link)?;
        let folder = link.parent().unwrap_or(Path::new("/"));
        let target = match (target.is_absolute(), self.roots.of(&link)) {
            (false, _) => target.to_owned(),
            (true, Some(root)) => relative(root, folder, target)
                .ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))
                .map_err(error::named)?,
            (true, None) => return Err(error::read_only()),
        };
        links::create(&target, &link).map_err(error::named)
    }

    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        match self.roots.place(path)? {
            Place::Real(path) => fs::read_link(path).map_err(error::named),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "Invalid argument",
            )),
        }
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        let path = self.real(path)?;
        path.symlink_metadata().map_err(error::named)?;
        self.modes().insert(path, mode);
        Ok(())
    }

    fn set_time(&self, path: &Path, time: SystemTime) -> io::Result<()> {
        let path = self.real(path)?;
        let found = path.symlink_metadata().map_err(error::named)?;
        let mut options = OpenOptions::new();
        let options = match found.is_dir() {
            true => options.read(true),
            false => options.write(true),
        };
        let file = options.open(path).map_err(error::named)?;
        file.set_times(FileTimes::new().set_modified(time))
            .map_err(error::named)
    }
}

/// Returns random bytes of the session. The keys of a hash map are the random
/// numbers that the standard library offers.
fn random(count: usize) -> Vec<u8> {
    use std::hash::{BuildHasher, RandomState};
    let state = RandomState::new();
    let words = (0..count.div_ceil(8)).map(|place| state.hash_one(place).to_le_bytes());
    words.flatten().take(count).collect()
}
