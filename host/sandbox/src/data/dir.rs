//! The data directory, which guests see at `/orwd_data`.
//!
//! It is opened once through cap-std when the environment is loaded, so that a
//! missing or unreadable directory is an error before anything is served, and
//! all sessions share one descriptor. Guests never write to it: their changes
//! stay in an overlay of the session, or are published at its end.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use orwd_model::DataDigest;
use orwd_overlay::LowerLayer;

use crate::data::digest::DataDigester;
use crate::data::private::Overlap;
use crate::data::rules::{DataRefusal, DataRules};
use crate::data::size::SizeLimits;
use crate::data::survey::{self, Survey};

/// A directory that existed and could be used as data when it was opened.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
    root: Arc<Dir>,
    lower: Arc<LowerLayer>,
    limits: SizeLimits,
    /// None if no digest is wanted.
    digester: Option<Arc<DataDigester>>,
}

/// The directory cannot be used as data.
#[derive(Debug, thiserror::Error)]
#[error("the data directory {} cannot be used: {reason}", path.display())]
pub struct DataDirError {
    path: PathBuf,
    reason: DataRefusal,
}

impl DataDirError {
    /// Creates the error of this directory.
    pub fn new(path: &Path, reason: impl Into<DataRefusal>) -> DataDirError {
        DataDirError {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

impl DataDir {
    /// The path at which guests see it.
    pub const GUEST_PATH: &str = "/orwd_data";

    /// Opens a directory that the operator chose. Links are followed.
    pub fn open(path: &Path, rules: &DataRules) -> Result<DataDir, DataDirError> {
        let fail = |reason: io::Error| DataDirError::new(path, reason);
        let real = path.canonicalize().map_err(fail)?;
        let dir = Dir::open_ambient_dir(&real, ambient_authority()).map_err(fail)?;
        DataDir::from_dir(dir, &real, rules)
    }

    /// Opens a directory whose [path](DataDir::path) was noted. It is refused if
    /// a link leads there by now: its author may have replaced it.
    pub fn reopen(path: &Path, rules: &DataRules) -> Result<DataDir, DataDirError> {
        let fail = |reason: io::Error| DataDirError::new(path, reason);
        let real = path.canonicalize().map_err(fail)?;
        if real != path {
            return Err(DataDirError::new(path, DataRefusal::Moved(real)));
        }
        DataDir::open(path, rules)
    }

    /// Takes an open directory. The path is for messages, and for a process that
    /// opens the directory later.
    pub fn from_dir(dir: Dir, path: &Path, rules: &DataRules) -> Result<DataDir, DataDirError> {
        let checked = real_path(&dir, path).and_then(|real| {
            check_private(&dir, &real, rules)?;
            let survey = survey::survey(&dir, rules)?;
            let lower = LowerLayer::new(dir.try_clone()?);
            Ok((real, survey, lower))
        });
        let (path, survey, lower) = checked.map_err(|reason| DataDirError::new(path, reason))?;
        warn(&path, &survey);
        Ok(DataDir {
            path,
            root: Arc::new(dir),
            lower: Arc::new(lower),
            limits: rules.into(),
            digester: None,
        })
    }

    /// Enables the digest of the data. Reads every file that is not in the
    /// digest cache below `cache`.
    pub fn with_digest(self, cache: &Path) -> Result<DataDir, DataDirError> {
        let name = blake3::hash(self.path.as_os_str().as_encoded_bytes());
        let cache = cache.join("data").join(name.to_hex().as_str());
        let digester = self
            .root
            .try_clone()
            .and_then(|dir| DataDigester::open(dir, self.limits, Some(cache)))
            .map_err(|reason| DataDirError::new(&self.path, reason))?;
        Ok(DataDir {
            digester: Some(Arc::new(digester)),
            ..self
        })
    }

    /// Returns the current digest of the data, or none if it is not enabled.
    /// Blocks on the disk.
    pub fn digest(&self) -> io::Result<Option<DataDigest>> {
        match &self.digester {
            Some(digester) => digester.digest().map(Some),
            None => Ok(None),
        }
    }

    /// Returns the digest if a recent scan is available, without blocking.
    pub fn recent_digest(&self) -> Option<DataDigest> {
        self.digester
            .as_ref()
            .and_then(|digester| digester.recent())
    }

    /// Marks the digest as outdated, because files were published.
    pub(crate) fn mark_stale(&self) {
        if let Some(digester) = &self.digester {
            digester.mark_stale();
        }
    }

    /// Returns the path on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the lower layer of all sessions' overlays.
    pub(crate) fn lower(&self) -> &Arc<LowerLayer> {
        &self.lower
    }
}

/// Returns the path of an open directory, without links.
fn real_path(dir: &Dir, path: &Path) -> Result<PathBuf, DataRefusal> {
    let own = dir.dir_metadata()?;
    let real = path.canonicalize()?;
    let named = std::fs::metadata(&real)?;
    if survey::id(&own) != (named.dev(), named.ino()) {
        return Err(DataRefusal::Replaced);
    }
    Ok(real)
}

fn check_private(dir: &Dir, real: &Path, rules: &DataRules) -> Result<(), DataRefusal> {
    let own = survey::id(&dir.dir_metadata()?);
    match rules.private.overlap_of_path(real, own) {
        None => Ok(()),
        Some(Overlap::In(place)) => Err(DataRefusal::Private(place)),
        Some(Overlap::Around(place)) => Err(DataRefusal::ContainsPrivate {
            at: place.strip_prefix(real).unwrap_or(&place).to_owned(),
            place,
        }),
    }
}

/// Logs what sessions will not be able to use.
fn warn(path: &Path, survey: &Survey) {
    if let Some((links, link, target)) = &survey.outward {
        tracing::warn!(
            data = %path.display(), ?link, ?target, links,
            "links lead out of the data directory, and sessions cannot follow them; copy it with \
             its files in place of the links (cp -rL), or pass the directory that holds both \
             with --data"
        );
    }
    if let Some((names, name)) = &survey.unreadable {
        tracing::warn!(
            data = %path.display(), ?name, names,
            "names in the data directory are not UTF-8, and sessions cannot see them; rename them"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use orwd_model::AdmissionLimits;
    use tempfile::TempDir;

    use super::*;
    use crate::data::private::PrivatePlaces;

    fn rules(private: &[&Path]) -> DataRules {
        DataRules::new(PrivatePlaces::new(private), &AdmissionLimits::default())
    }

    #[test]
    fn only_a_readable_directory_is_data() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(DataDir::open(folder.path(), &rules(&[])).is_ok());
        for wrong in [file.as_path(), &folder.path().join("no-such-folder")] {
            let error = DataDir::open(wrong, &rules(&[])).unwrap_err();
            assert!(error.to_string().contains(&*wrong.to_string_lossy()));
        }
    }

    #[test]
    fn a_private_place_is_no_data_by_whatever_path() {
        let folder = TempDir::new().unwrap();
        let state = folder.path().join("home/state");
        fs::create_dir_all(state.join("components")).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        symlink(&state, folder.path().join("link")).unwrap();
        let rules = rules(&[&state]);
        for path in [
            "home",
            "home/state",
            "home/state/components",
            "link",
            "link/components",
        ] {
            let error = DataDir::open(&folder.path().join(path), &rules).unwrap_err();
            assert!(error.to_string().contains("state"), "{path}: {error}");
        }
        assert!(DataDir::open(&folder.path().join("data"), &rules).is_ok());
    }

    #[test]
    fn a_noted_directory_that_became_a_link_is_refused() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let data = root.join("data");
        fs::create_dir(&data).unwrap();
        fs::create_dir(root.join("secret")).unwrap();
        assert!(DataDir::reopen(&data, &rules(&[])).is_ok());
        fs::remove_dir(&data).unwrap();
        symlink("secret", &data).unwrap();
        let error = DataDir::reopen(&data, &rules(&[])).unwrap_err().to_string();
        assert!(error.contains("a link leads to it now"), "{error}");
    }

    #[test]
    fn the_digest_is_of_the_directory_that_was_opened() {
        let folder = TempDir::new().unwrap();
        let (data, cache) = (folder.path().join("data"), folder.path().join("cache"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a"), "mine").unwrap();
        let opened = DataDir::open(&data, &rules(&[])).unwrap();
        let whole = opened
            .clone()
            .with_digest(&cache)
            .unwrap()
            .digest()
            .unwrap();
        fs::rename(&data, folder.path().join("moved")).unwrap();
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a"), "of another").unwrap();
        let later = opened.with_digest(&cache).unwrap().digest().unwrap();
        assert_eq!(later, whole);
    }
}
