//! The builder, the interface and the wheels that this program carries.

use std::fs;
use std::path::{Path, PathBuf};

use orwd_model::Digest;

use crate::error::PythonBuildError;
use crate::install::complete;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The files, laid out in a folder.
pub(crate) struct Embedded {
    folder: PathBuf,
}

impl Embedded {
    /// Lays the files out below the cache directory, unless they are there.
    pub(crate) fn lay_out(cache: &Path) -> Result<Embedded, PythonBuildError> {
        let digest = digest();
        let folder = cache.join(format!("builder-{}", short(&digest)));
        complete(&folder, |draft| {
            for (name, content) in FILES {
                let path = draft.join(name);
                let parent = path.parent().unwrap_or(draft);
                fs::create_dir_all(parent).map_err(PythonBuildError::file(parent))?;
                fs::write(&path, content).map_err(PythonBuildError::file(&path))?;
            }
            Ok(())
        })?;
        Ok(Embedded { folder })
    }

    /// Returns the folder of the Python package.
    pub(crate) fn package(&self) -> PathBuf {
        self.folder.join("src")
    }

    /// Returns the folder of the wheels for WASI.
    pub(crate) fn wheels(&self) -> PathBuf {
        self.folder.join("wheels/dist")
    }

    /// Returns the folder of the recipes of further wheels, and of what builds them.
    pub(crate) fn recipes(&self) -> PathBuf {
        self.folder.join("wheels")
    }

    /// Returns the file with the interface.
    pub(crate) fn interface(&self) -> PathBuf {
        self.folder.join("world.wit")
    }

    /// Returns the file with the interface of requests.
    pub(crate) fn network_interface(&self) -> PathBuf {
        self.folder.join("http.wit")
    }
}

/// Returns the digest of all files, which is part of the identity of a build.
pub(crate) fn digest() -> Digest {
    let mut all = Vec::new();
    for (name, content) in FILES {
        all.extend(name.as_bytes());
        all.push(0);
        all.extend(Digest::of(content).to_string().as_bytes());
        all.push(b'\n');
    }
    Digest::of(&all)
}

/// Returns the content of a file of the Python package.
pub(crate) fn file(name: &str) -> &'static [u8] {
    FILES
        .iter()
        .find(|(path, _)| *path == name)
        .map_or(&[], |(_, content)| *content)
}

/// Returns the part of a digest that names a folder.
pub(crate) fn short(digest: &Digest) -> String {
    digest.hex().chars().take(24).collect()
}
