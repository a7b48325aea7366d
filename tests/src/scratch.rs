//! Folders for one test, below the target folder and removed afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use crate::artifacts;

/// A folder that is removed when this is dropped, unless the test failed.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty folder.
    #[allow(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        let folder = artifacts::target_dir()
            .join("orwd-scratch")
            .join(crate::ors::fresh_id());
        fs::create_dir_all(&folder).expect("a scratch folder can be made");
        Self(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder, or a path below it, as text.
    pub fn at(&self, below: &str) -> String {
        self.0
            .join(below)
            .to_str()
            .expect("a UTF-8 path")
            .to_owned()
    }

    /// Writes a file, with the folders that it needs.
    pub fn write(&self, below: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(below);
        let parent = path.parent().expect("a file has a folder");
        fs::create_dir_all(parent).expect("a folder can be made");
        fs::write(&path, content).expect("a file can be written");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
