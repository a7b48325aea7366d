//! The interface that the evaluator expects of a file system.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bashkit::{DirEntry, FileSystem, FileSystemExt, Metadata, Result, async_trait};

use super::SessionFiles;
use crate::guard::meter;

/// Steps of the meter that an operation counts, and each entry of a folder. A call of
/// the host takes some microseconds, and the evaluator allocates little for it.
const STEPS: u64 = 8;

/// Counts an operation. Those of a command line that is stopped fail, so that a command
/// which walks a tree ends.
fn count(steps: u64) -> Result<()> {
    match meter::charge(steps) {
        true => Ok(()),
        false => Err(bashkit::Error::Cancelled),
    }
}

#[async_trait]
impl FileSystemExt for SessionFiles {
    fn backend_kind(&self) -> &'static str {
        "orwd-session"
    }
}

#[async_trait]
impl FileSystem for SessionFiles {
    async fn read_file(&self, path: &Path) -> Result<Vec<u8>> {
        count(STEPS)?;
        Ok(self.read(path)?)
    }

    async fn write_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        count(STEPS)?;
        Ok(self.write(path, content)?)
    }

    async fn append_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        count(STEPS)?;
        Ok(self.append(path, content)?)
    }

    async fn mkdir(&self, path: &Path, recursive: bool) -> Result<()> {
        count(STEPS)?;
        Ok(self.create_folder(path, recursive)?)
    }

    async fn remove(&self, path: &Path, recursive: bool) -> Result<()> {
        count(STEPS)?;
        Ok(self.remove_all(path, recursive)?)
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        count(STEPS)?;
        Ok(self.look(path)?)
    }

    async fn read_dir(&self, path: &Path) -> Result<Vec<DirEntry>> {
        count(STEPS)?;
        let entries = self.list(path)?;
        count(STEPS * entries.len() as u64)?;
        Ok(entries)
    }

    async fn exists(&self, path: &Path) -> Result<bool> {
        count(STEPS)?;
        Ok(self.look(path).is_ok())
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        count(STEPS)?;
        Ok(self.move_to(from, to)?)
    }

    async fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        count(STEPS)?;
        Ok(self.copy_to(from, to)?)
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        count(STEPS)?;
        Ok(self.link(target, link)?)
    }

    async fn read_link(&self, path: &Path) -> Result<PathBuf> {
        count(STEPS)?;
        Ok(self.target(path)?)
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        count(STEPS)?;
        Ok(self.set_mode(path, mode)?)
    }

    async fn set_modified_time(&self, path: &Path, time: SystemTime) -> Result<()> {
        count(STEPS)?;
        Ok(self.set_time(path, time)?)
    }
}
