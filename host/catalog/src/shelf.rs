//! The components that live sessions run on, kept by their digest.
//!
//! An environment's file may be exchanged or removed while sessions that began
//! on it go on; after a restart they need it still. What lies here is a copy
//! under the name of its digest, checked when it is put there and again when
//! it is read, so that nothing else is ever taken for it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use orwd_model::Digest;

/// What a file's name ends in.
const SUFFIX: &str = ".wasm";

/// A folder of components.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Opens the folder, which is made if there is none.
    pub fn open(folder: PathBuf) -> io::Result<Shelf> {
        fs::create_dir_all(&folder)?;
        Ok(Shelf { folder })
    }

    /// Keeps a copy of this file, whose digest this is.
    pub fn keep(&self, digest: Digest, component: &Path) -> io::Result<()> {
        let place = self.place(digest);
        if place.exists() {
            return Ok(());
        }
        let bytes = fs::read(component)?;
        if Digest::of(&bytes) != digest {
            return Err(io::Error::other("the file has changed since it was loaded"));
        }
        // Under its name only when it is whole.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        io::Write::write_all(&mut file, &bytes)?;
        file.as_file().sync_all()?;
        file.persist(&place).map_err(|error| error.error)?;
        Ok(())
    }

    /// The file of this digest, if it is here and still what it was.
    pub fn find(&self, digest: Digest) -> Option<PathBuf> {
        let place = self.place(digest);
        let bytes = fs::read(&place).ok()?;
        if Digest::of(&bytes) == digest {
            return Some(place);
        }
        tracing::error!(file = %place.display(), "a kept component is damaged");
        None
    }

    /// Removes all but these, and gives how many went.
    pub fn sweep(&self, needed: &HashSet<Digest>) -> io::Result<usize> {
        let names: HashSet<String> = needed.iter().map(|digest| name(*digest)).collect();
        let mut gone = 0;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let known = |name: &OsStr| name.to_str().is_none_or(|name| names.contains(name));
            let ours = path.extension().is_some_and(|end| end == "wasm");
            if ours && !path.file_name().is_some_and(known) {
                fs::remove_file(&path)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    fn place(&self, digest: Digest) -> PathBuf {
        self.folder.join(name(digest))
    }
}

fn name(digest: Digest) -> String {
    format!("{}{SUFFIX}", digest.hex())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Folder;
    use super::*;

    #[test]
    fn what_is_kept_is_found_by_its_digest_and_only_if_it_is_whole() {
        let folder = Folder::with(&[("a.wasm", "alpha"), ("b.wasm", "beta")]);
        let shelf = Shelf::open(folder.path().join("shelf")).unwrap();
        let (alpha, beta) = (Digest::of(b"alpha"), Digest::of(b"beta"));
        shelf.keep(alpha, &folder.path().join("a.wasm")).unwrap();
        shelf.keep(beta, &folder.path().join("b.wasm")).unwrap();
        assert_eq!(fs::read(shelf.find(alpha).unwrap()).unwrap(), b"alpha");
        // Another file under the name of a digest is not it.
        assert!(
            shelf
                .keep(Digest::of(b"x"), &folder.path().join("a.wasm"))
                .is_err()
        );
        assert_eq!(shelf.find(Digest::of(b"x")), None);
        fs::write(shelf.find(beta).unwrap(), "gamma").unwrap();
        assert_eq!(shelf.find(beta), None);

        assert_eq!(shelf.sweep(&HashSet::from([alpha])).unwrap(), 1);
        assert!(shelf.find(alpha).is_some());
    }
}
