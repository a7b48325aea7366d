//! The folder of an environment's author, who may be a stranger.
//!
//! The operator names the folder, and it is opened once. Every path that the
//! author wrote is resolved below it, component by component: absolute paths,
//! `..` and links that lead out are refused, also if the author changes the
//! folder meanwhile. A file is read only if it is a regular one of bounded size.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

/// An open folder of an author.
#[derive(Clone, Debug)]
pub struct AuthorFolder {
    path: PathBuf,
    dir: Arc<Dir>,
}

impl AuthorFolder {
    /// Opens a folder that the operator named.
    pub fn open(path: &Path) -> io::Result<AuthorFolder> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(AuthorFolder {
            path: path.to_owned(),
            dir: Arc::new(dir),
        })
    }

    /// Opens a folder in this one.
    pub fn folder(&self, name: &Path) -> io::Result<AuthorFolder> {
        Ok(AuthorFolder {
            path: self.path.join(name),
            dir: Arc::new(self.open_dir(name)?),
        })
    }

    /// Returns the path of the folder, as the operator named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open folder itself.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Opens a directory below the folder.
    pub fn open_dir(&self, relative: &Path) -> io::Result<Dir> {
        check_relative(relative)?;
        self.dir.open_dir(relative).map_err(explain)
    }

    /// Opens a regular file below the folder, without blocking.
    pub fn open_file(&self, relative: &Path) -> io::Result<File> {
        check_relative(relative)?;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags());
        let file = self.dir.open_with(relative, &options).map_err(explain)?;
        regular(file.into_std())
    }

    /// Reads a regular file below the folder, of at most `limit` bytes.
    pub fn read(&self, relative: &Path, limit: u64) -> io::Result<Vec<u8>> {
        read_whole(&self.open_file(relative)?, limit)
    }

    /// Returns whether the folder has an entry of this name, of any kind.
    pub fn has(&self, name: &str) -> bool {
        self.dir.symlink_metadata(name).is_ok()
    }
}

/// Opens a regular file at a path of the host, without blocking.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(flags());
    regular(options.open(path)?)
}

/// Reads an open file from its current position, up to a limit.
pub(crate) fn read_whole(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = |size| {
        let message = format!("too large: it has {size} bytes, and {limit} are permitted");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
    };
    let size = file.metadata()?.len();
    if size > limit {
        return too_large(size);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    if size > limit {
        return too_large(size);
    }
    Ok(bytes)
}

fn flags() -> i32 {
    OFlags::NONBLOCK.bits().cast_signed()
}

/// Refuses pipes, devices and directories.
fn regular(file: File) -> io::Result<File> {
    if file.metadata().is_ok_and(|found: Metadata| found.is_file()) {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

fn check_relative(path: &Path) -> io::Result<()> {
    if stays_below(path) {
        Ok(())
    } else {
        Err(leads_out())
    }
}

/// Returns whether a path, by how it is written, stays below the folder that it
/// is relative to.
pub(crate) fn stays_below(path: &Path) -> bool {
    let mut depth = 0_usize;
    path.components().all(|component| match component {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => match depth.checked_sub(1) {
            Some(less) => {
                depth = less;
                true
            }
            None => false,
        },
        Component::RootDir | Component::Prefix(_) => false,
    })
}

fn leads_out() -> io::Error {
    io::Error::other(
        "it leads out of the environment's folder, and what an author writes stays below it",
    )
}

/// cap-std refuses what leads out by itself, without a number of the system.
fn explain(error: io::Error) -> io::Error {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::PermissionDenied, None) => leads_out(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::Folder;

    #[test]
    fn nothing_outside_of_the_folder_can_be_opened() {
        let tree = Folder::with(&[("env/in/file", "mine"), ("secret/key", "theirs")]);
        let at = |path: &str| tree.path().join(path);
        symlink(at("secret"), at("env/absolute")).unwrap();
        symlink("../secret", at("env/up")).unwrap();
        symlink("in", at("env/inner")).unwrap();
        symlink("../../secret/key", at("env/in/key")).unwrap();
        symlink("/proc/self/root", at("env/magic")).unwrap();
        let folder = AuthorFolder::open(&at("env")).unwrap();
        let read = |path: &str| {
            let bytes = folder.read(Path::new(path), 100);
            bytes.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        for path in ["in/file", "inner/file", "./in/../in/file"] {
            assert_eq!(read(path).unwrap(), "mine", "{path}");
        }
        let absolute = at("secret/key");
        for path in [
            absolute.to_str().unwrap(),
            "../secret/key",
            "in/../../secret/key",
            "absolute/key",
            "up/key",
            "in/key",
            "magic/etc/passwd",
            "magic",
        ] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.contains("leads out"), "{path}: {error}");
            assert!(folder.open_dir(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn a_folder_that_its_author_replaces_is_still_the_one_that_was_opened() {
        let tree = Folder::with(&[("env/file", "mine"), ("secret/file", "theirs")]);
        let at = |path: &str| tree.path().join(path);
        let folder = AuthorFolder::open(&at("env")).unwrap();
        std::fs::rename(at("env"), at("moved")).unwrap();
        symlink("secret", at("env")).unwrap();
        let read = folder.read(Path::new("file"), 100).unwrap();
        assert_eq!(read, b"mine");
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let tree = Folder::with(&[("env/file", "12345"), ("env/folder/x", "")]);
        let env = tree.path().join("env");
        tree.pipe("env/pipe");
        std::fs::File::create(env.join("huge"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let folder = AuthorFolder::open(&env).unwrap();
        for (path, part) in [
            ("pipe", "not a regular file"),
            ("folder", "not a regular file"),
            ("huge", "too large: it has 1099511627776 bytes"),
            ("missing", "No such file"),
        ] {
            let error = folder.read(Path::new(path), 5).unwrap_err().to_string();
            assert!(error.contains(part), "{path}: {error}");
        }
        assert_eq!(folder.read(Path::new("file"), 5).unwrap(), b"12345");
        assert!(open_regular(Path::new("/dev/zero")).is_err());
        assert!(open_regular(&env.join("pipe")).is_err());
    }
}
