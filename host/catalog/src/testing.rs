//! Temporary folders for tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Folder of one test, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Creates a folder with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "orwd-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let folder = Folder(folder.canonicalize().unwrap());
        for (path, content) in files {
            folder.write(path, content);
        }
        folder
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Creates a named pipe without a writer.
    pub(crate) fn pipe(&self, path: &str) {
        let made = std::process::Command::new("mkfifo")
            .arg(self.0.join(path))
            .status();
        assert!(made.unwrap().success());
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
