//! The directory in which a host keeps what outlives it.
//!
//! One host uses it at a time, which the lock on a file in it sees to; the
//! kernel gives the lock back however the host ends. A note of the format
//! stands beside the journal, so that a journal that has vanished is not taken
//! for one that never was.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::JournalError;
use orwd_model::{Digest, EnvName};

/// How long the lock is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the note says.
const NOTE: &str = "orwd state 1\n";

/// The directory of state of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

/// Holds the directory for one host, until it is dropped.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "open is what it has to be")] File);

impl StateDir {
    /// The directory at this path, made if there is none, for its owner alone.
    pub fn open(path: &Path) -> Result<StateDir, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| unusable(path, &error))?;
        Ok(StateDir(path.to_owned()))
    }

    /// The directory at this path, which has to be there.
    pub fn existing(path: &Path) -> Result<StateDir, JournalError> {
        let found = path.metadata().map_err(|error| unusable(path, &error))?;
        if found.is_dir() {
            Ok(StateDir(path.to_owned()))
        } else {
            Err(unusable(path, &io::Error::from(ErrorKind::NotADirectory)))
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes the directory for this host. Waits a little for one that is just
    /// ending: a process that it was about to start holds the lock until then.
    pub fn lock(&self) -> Result<StateLock, JournalError> {
        let path = self.0.join("lock");
        let file = private(&path).map_err(|error| unusable(&path, &error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(StateLock(file)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(PATIENCE / 50);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(JournalError::Io(format!(
                        "another orwd uses {}; give this one a directory of its own with --state",
                        self.0.display()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
            }
        }
    }

    /// The file of the journal.
    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("journal.db")
    }

    /// The file of what is not yet in the journal's file.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("journal.db-wal")
    }

    /// The file of the key that receipts are signed with.
    pub(super) fn receipts_key(&self) -> PathBuf {
        self.0.join("receipts.key")
    }

    /// Where the component of this digest is kept for the sessions on it.
    pub fn component(&self, digest: Digest) -> PathBuf {
        self.0
            .join("components")
            .join(format!("{}.wasm", digest.hex()))
    }

    /// Notes where the data of an environment is, or that it has none.
    pub fn note_data(&self, env: &EnvName, data: Option<&Path>) -> io::Result<()> {
        let note = self.data_note(env);
        match data {
            None => match std::fs::remove_file(&note) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Some(data) => {
                std::fs::create_dir_all(self.0.join("data"))?;
                put(&note, data.as_os_str().as_bytes())
            }
        }
    }

    /// Where the data of an environment was when it was last served; none if it
    /// had none or was never served here.
    pub fn noted_data(&self, env: &EnvName) -> io::Result<Option<PathBuf>> {
        match std::fs::read(self.data_note(env)) {
            Ok(path) => Ok(Some(PathBuf::from(OsString::from_vec(path)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes the most memory, in bytes, and elements of tables that any live
    /// session may have.
    pub fn note_most(&self, memory: usize, tables: usize) -> io::Result<()> {
        put(
            &self.0.join("most"),
            format!("{memory} {tables}\n").as_bytes(),
        )
    }

    /// What was noted of that; nothing if there is no such note.
    pub fn noted_most(&self) -> Option<(usize, usize)> {
        let text = std::fs::read_to_string(self.0.join("most")).ok()?;
        let (memory, tables) = text.trim().split_once(' ')?;
        Some((memory.parse().ok()?, tables.parse().ok()?))
    }

    fn data_note(&self, env: &EnvName) -> PathBuf {
        self.0.join("data").join(env.as_str())
    }

    /// Whether a journal was made here before.
    pub fn has_journal(&self) -> Result<bool, JournalError> {
        let path = self.0.join("format");
        let mut note = String::new();
        match File::open(&path) {
            Ok(file) => file
                .take(64)
                .read_to_string(&mut note)
                .map_err(|error| unusable(&path, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unusable(&path, &error)),
        };
        if note == NOTE {
            Ok(true)
        } else {
            Err(JournalError::Io(format!(
                "{} says {:?}, and this orwd knows {NOTE:?}",
                path.display(),
                note
            )))
        }
    }

    /// Notes that a journal was made here.
    pub(super) fn write_note(&self) -> Result<(), JournalError> {
        let path = self.0.join("format");
        let draft = self.0.join("format.new");
        let write = || -> io::Result<()> {
            let mut file = private(&draft)?;
            file.write_all(NOTE.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| unusable(&path, &error))
    }
}

/// Puts a small file in its place, or leaves the one that is there.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = private(&draft)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    std::fs::rename(&draft, path)
}

/// Opens a file that its owner alone may read, made if there is none.
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

pub(super) fn unusable(path: &Path, error: &io::Error) -> JournalError {
    JournalError::Io(format!("{}: {error}", path.display()))
}
