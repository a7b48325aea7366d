//! Directories for one test, below the target directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::artifacts;

/// A directory that is removed when this is dropped, unless the test failed.
pub struct TestDir(PathBuf);

impl TestDir {
    /// Creates an empty directory.
    #[allow(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        let directory = artifacts::target_dir()
            .join("orwd-scratch")
            .join(uuid::Uuid::new_v4().to_string());
        fs::create_dir_all(&directory).expect("a test directory can be created");
        Self(directory)
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns a path below the directory, as text.
    pub fn at(&self, below: &str) -> String {
        self.0
            .join(below)
            .to_str()
            .expect("a UTF-8 path")
            .to_owned()
    }

    /// Writes a file and creates its parent directories.
    pub fn write(&self, below: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(below);
        let parent = path.parent().expect("a file has a directory");
        fs::create_dir_all(parent).expect("a directory can be created");
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Copies a file to a path below the directory.
    pub fn copy(&self, below: &str, from: &Path) -> PathBuf {
        self.write(below, fs::read(from).expect("a file can be read"))
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
