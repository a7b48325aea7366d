//! The state directory of a host.
//!
//! A lock on a file in it ensures that one host uses it at a time; the kernel
//! releases the lock when the process ends. A marker file of the format lies
//! beside the journal, so that a deleted journal is not mistaken for a new one.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use orwd_model::{Digest, EnvName};

use crate::error::JournalError;

/// How long to wait for the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The content of the marker file.
const MARKER: &str = "orwd state 1\n";

/// The state directory of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

/// Locks the directory for one host until it is dropped.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "the open file holds the lock")] File);

impl StateDir {
    /// Opens the directory at this path. Creates it if missing, for its owner
    /// only.
    pub fn open(path: &Path) -> Result<StateDir, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| io_error(path, &error))?;
        Ok(StateDir(path.to_owned()))
    }

    /// Opens the directory at this path, which must exist.
    pub fn open_existing(path: &Path) -> Result<StateDir, JournalError> {
        let found = path.metadata().map_err(|error| io_error(path, &error))?;
        if found.is_dir() {
            Ok(StateDir(path.to_owned()))
        } else {
            Err(io_error(path, &io::Error::from(ErrorKind::NotADirectory)))
        }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Locks the directory for this host. Waits up to a second for a host that is
    /// exiting: a child process that it was starting may hold the lock.
    pub fn lock(&self) -> Result<StateLock, JournalError> {
        let path = self.0.join("lock");
        let file = open_private(&path).map_err(|error| io_error(&path, &error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(StateLock(file)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(LOCK_TIMEOUT / 50);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(JournalError::Io(format!(
                        "another orwd uses {}; pass another directory with --state",
                        self.0.display()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(io_error(&path, &error)),
            }
        }
    }

    /// Returns whether a host uses the directory.
    pub fn is_in_use(&self) -> bool {
        let lock = File::open(self.0.join("lock"));
        lock.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Returns the path of the journal database.
    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal.db")
    }

    /// Returns the path of the database's write-ahead log.
    pub(crate) fn wal(&self) -> PathBuf {
        self.0.join("journal.db-wal")
    }

    /// Returns the path of the file with the number of commits.
    pub(crate) fn commits(&self) -> PathBuf {
        self.0.join("commits")
    }

    /// Returns the path of the file with the fingerprint of the seal key.
    pub(crate) fn seal_fingerprint(&self) -> PathBuf {
        self.0.join("seal.fingerprint")
    }

    /// Returns the path of the key that signs receipts.
    pub(crate) fn receipts_key(&self) -> PathBuf {
        self.0.join("receipts.key")
    }

    /// Returns the path where the component of this digest is stored for its
    /// sessions.
    pub fn component(&self, digest: Digest) -> PathBuf {
        self.0
            .join("components")
            .join(format!("{}.wasm", digest.hex()))
    }

    /// Saves the path of an environment's data, or that it has none.
    pub fn save_data_path(&self, env: &EnvName, data: Option<&Path>) -> io::Result<()> {
        let file = self.data_file(env);
        match data {
            None => match std::fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Some(data) => {
                std::fs::create_dir_all(self.0.join("data"))?;
                write_file(&file, data.as_os_str().as_bytes())
            }
        }
    }

    /// Returns the path of an environment's data when it was last served; `None`
    /// if it had none or was never served here.
    pub fn saved_data_path(&self, env: &EnvName) -> io::Result<Option<PathBuf>> {
        match std::fs::read(self.data_file(env)) {
            Ok(path) => Ok(Some(PathBuf::from(OsString::from_vec(path)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Saves the largest memory limit, in bytes, and table limit, in elements, of
    /// all live sessions.
    pub fn save_memory_limits(&self, memory: usize, tables: usize) -> io::Result<()> {
        write_file(
            &self.0.join("most"),
            format!("{memory} {tables}\n").as_bytes(),
        )
    }

    /// Returns the saved limits; `None` if there are none.
    pub fn saved_memory_limits(&self) -> Option<(usize, usize)> {
        let text = std::fs::read_to_string(self.0.join("most")).ok()?;
        let (memory, tables) = text.trim().split_once(' ')?;
        Some((memory.parse().ok()?, tables.parse().ok()?))
    }

    fn data_file(&self, env: &EnvName) -> PathBuf {
        self.0.join("data").join(env.as_str())
    }

    /// Whether a journal was created here before.
    pub fn has_journal(&self) -> Result<bool, JournalError> {
        let path = self.0.join("format");
        let mut marker = String::new();
        match File::open(&path) {
            Ok(file) => file
                .take(64)
                .read_to_string(&mut marker)
                .map_err(|error| io_error(&path, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io_error(&path, &error)),
        };
        if marker == MARKER {
            Ok(true)
        } else {
            Err(JournalError::Io(format!(
                "{} holds {marker:?}, and this orwd expects {MARKER:?}",
                path.display(),
            )))
        }
    }

    /// Writes the marker file.
    pub(crate) fn write_marker(&self) -> Result<(), JournalError> {
        let path = self.0.join("format");
        let draft = self.0.join("format.new");
        let write = || -> io::Result<()> {
            let mut file = open_private(&draft)?;
            file.write_all(MARKER.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| io_error(&path, &error))
    }
}

/// Writes a small file. After an error the previous file is unchanged.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = open_private(&draft)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    std::fs::rename(&draft, path)
}

/// Opens a file that only its owner may read. Creates it if missing.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Names the path of an I/O error.
pub(crate) fn io_error(path: &Path, error: &io::Error) -> JournalError {
    JournalError::Io(format!("{}: {error}", path.display()))
}
