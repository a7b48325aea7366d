//! Components of live sessions, stored by digest.
//!
//! An environment's file may be replaced or removed while sessions that started
//! on it continue; after a restart they still need it. The store holds a copy
//! named by its digest. The digest is checked on insertion and on each read.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;

use orwd_model::Digest;

use super::component_file::ComponentFile;

/// Suffix of file names.
const SUFFIX: &str = ".wasm";

/// Folder of components, named by digest.
#[derive(Clone, Debug)]
pub struct ComponentStore {
    folder: PathBuf,
}

impl ComponentStore {
    /// Opens the folder, creating it if needed.
    pub fn open(folder: PathBuf) -> io::Result<ComponentStore> {
        fs::create_dir_all(&folder)?;
        Ok(ComponentStore { folder })
    }

    /// Copies a component with this digest and size into the store.
    pub fn insert(&self, digest: Digest, size: u64, component: &ComponentFile) -> io::Result<()> {
        let path = self.path(digest);
        if self.find(digest)?.is_some() {
            return Ok(());
        }
        let bytes = component.read(size)?;
        if Digest::of(&bytes) != digest {
            return Err(io::Error::other("the file has changed since it was loaded"));
        }
        // Renamed to its final name only when complete.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        io::Write::write_all(&mut file, &bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Returns the file with this digest, if it exists and is intact. An error
    /// says nothing about the file.
    pub fn find(&self, digest: Digest) -> io::Result<Option<PathBuf>> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if Digest::of(&bytes) == digest {
            return Ok(Some(path));
        }
        tracing::error!(file = %path.display(), "stored component is damaged");
        Ok(None)
    }

    /// Removes all components but these, and returns how many it removed.
    pub fn retain(&self, needed: &HashSet<Digest>) -> io::Result<usize> {
        let names: HashSet<String> = needed.iter().map(|digest| name(*digest)).collect();
        let mut removed = 0;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let known = |name: &OsStr| name.to_str().is_none_or(|name| names.contains(name));
            let ours = path.extension().is_some_and(|end| end == "wasm");
            if ours && !path.file_name().is_some_and(known) {
                fs::remove_file(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(name(digest))
    }
}

fn name(digest: Digest) -> String {
    format!("{}{SUFFIX}", digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn finds_components_by_digest_if_they_are_intact() {
        let folder = Folder::with(&[("a.wasm", "alpha"), ("b.wasm", "beta")]);
        let store = ComponentStore::open(folder.path().join("store")).unwrap();
        let (alpha, beta) = (Digest::of(b"alpha"), Digest::of(b"beta"));
        let open = |name: &str| ComponentFile::open(&folder.path().join(name)).unwrap();
        store.insert(alpha, 5, &open("a.wasm")).unwrap();
        store.insert(beta, 4, &open("b.wasm")).unwrap();
        let find = |digest| store.find(digest).unwrap();
        assert_eq!(fs::read(find(alpha).unwrap()).unwrap(), b"alpha");
        // A file with another digest or size is refused.
        let other = Digest::of(b"x");
        assert!(store.insert(other, 5, &open("a.wasm")).is_err());
        assert!(store.insert(other, 1, &open("a.wasm")).is_err());
        assert_eq!(find(Digest::of(b"x")), None);
        fs::write(find(beta).unwrap(), "gamma").unwrap();
        assert_eq!(find(beta), None);
        // A damaged file is replaced.
        store.insert(beta, 4, &open("b.wasm")).unwrap();
        assert!(find(beta).is_some());

        assert_eq!(store.retain(&HashSet::from([alpha])).unwrap(), 1);
        assert!(find(alpha).is_some());
        // A file that cannot be read is not one that is missing.
        fs::remove_file(find(alpha).unwrap()).unwrap();
        fs::create_dir(store.path(alpha)).unwrap();
        assert!(store.find(alpha).is_err());
    }
}
