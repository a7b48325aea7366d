//! Finds environments at the operator's paths.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use orwd_model::EnvName;

use super::error::{SourceError, SourceProblem};
use crate::files::{AuthorFolder, ComponentFile};
use crate::manifest::{self, FILE_NAME, Manifest};

/// Entries of a folder that are searched for environments.
const MAX_ENTRIES: usize = 10_000;

/// An environment before its component is built.
pub(super) struct Candidate {
    pub(super) manifest: Manifest,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    File(ComponentFile),
    Folder(AuthorFolder),
    /// A folder whose component is built already.
    Built(AuthorFolder, ComponentFile),
}

/// What the operator wants to serve.
#[derive(Clone, Debug)]
pub enum Served {
    /// What is found at a path.
    Path(PathBuf),
    /// An environment that was built before.
    Built(Box<BuiltEnvironment>),
}

/// An environment whose component was built before the folders are searched, by
/// a way that this crate does not know.
#[derive(Clone, Debug)]
pub struct BuiltEnvironment {
    /// The author's folder, which holds its data.
    pub folder: AuthorFolder,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its component.
    pub component: ComponentFile,
}

impl From<&PathBuf> for Served {
    fn from(path: &PathBuf) -> Served {
        Served::Path(path.clone())
    }
}

impl Candidate {
    fn path(&self) -> &Path {
        match &self.kind {
            Kind::File(file) => file.path(),
            Kind::Folder(folder) | Kind::Built(folder, _) => folder.path(),
        }
    }

    pub(super) fn problem(&self, reason: impl Into<SourceError>) -> SourceProblem {
        SourceProblem {
            path: self.path().to_owned(),
            reason: reason.into(),
        }
    }
}

/// Finds the environments at these paths.
pub(super) fn find<S: Into<Served>>(
    served: impl IntoIterator<Item = S>,
    problems: &mut Vec<SourceProblem>,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    for served in served {
        let path = match served.into() {
            Served::Path(path) => path,
            Served::Built(built) => {
                found.push(Candidate {
                    manifest: built.manifest,
                    kind: Kind::Built(built.folder, built.component),
                });
                continue;
            }
        };
        if let Err(reason) = find_at(&path, &mut found, problems) {
            problems.push(SourceProblem { path, reason });
        }
    }
    found
}

fn find_at(
    path: &Path,
    found: &mut Vec<Candidate>,
    problems: &mut Vec<SourceProblem>,
) -> Result<(), SourceError> {
    let kind = path.metadata()?;
    if kind.is_file() {
        check_not_manifest(path)?;
        found.push(file(ComponentFile::open(path)?)?);
        return Ok(());
    }
    if !kind.is_dir() {
        return Err(SourceError::NeitherFileNorFolder);
    }
    let collection = AuthorFolder::open(path)?;
    if collection.has(FILE_NAME) {
        found.push(folder(collection)?);
        return Ok(());
    }
    let members = members(&collection)?;
    if members.is_empty() {
        return Err(SourceError::NoEnvironment);
    }
    for name in members {
        match member(&collection, &name) {
            Ok(candidate) => found.push(candidate),
            Err(reason) => problems.push(SourceProblem {
                path: path.join(name),
                reason,
            }),
        }
    }
    Ok(())
}

/// Returns the names in a folder of environments that may be one, sorted.
fn members(collection: &AuthorFolder) -> Result<Vec<PathBuf>, SourceError> {
    let mut members = Vec::new();
    for (number, entry) in collection.dir().entries()?.enumerate() {
        if number >= MAX_ENTRIES {
            return Err(SourceError::TooManyEntries(MAX_ENTRIES));
        }
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        let kind = entry.file_type()?;
        if is_component(&name) || kind.is_dir() || kind.is_symlink() {
            members.push(name);
        }
    }
    members.sort();
    // Only what is an environment counts, which needs a look into each.
    members.retain(|name| match collection.dir().metadata(name) {
        Ok(kind) if kind.is_dir() => {
            let manifest = name.join(FILE_NAME);
            collection.dir().symlink_metadata(manifest).is_ok()
        }
        Ok(_) => is_component(name),
        // A link that leads out, if it would be an environment.
        Err(_) => {
            let path = collection.path().join(name);
            is_component(name) || path.join(FILE_NAME).exists()
        }
    });
    Ok(members)
}

fn is_component(name: &Path) -> bool {
    name.extension().is_some_and(|end| end == "wasm")
}

/// Opens a member of a folder of environments.
fn member(collection: &AuthorFolder, name: &Path) -> Result<Candidate, SourceError> {
    let Ok(kind) = collection.dir().metadata(name) else {
        return Err(SourceError::LeadsOut);
    };
    if kind.is_dir() {
        folder(collection.folder(name)?)
    } else if kind.is_file() {
        file(ComponentFile::of_author(collection, name)?)
    } else {
        Err(SourceError::NeitherFileNorFolder)
    }
}

fn folder(folder: AuthorFolder) -> Result<Candidate, SourceError> {
    Ok(Candidate {
        manifest: Manifest::read(&folder)?,
        kind: Kind::Folder(folder),
    })
}

fn check_not_manifest(path: &Path) -> Result<(), SourceError> {
    if path.file_name().is_some_and(|name| name == FILE_NAME) {
        return Err(SourceError::IsManifest);
    }
    Ok(())
}

fn file(component: ComponentFile) -> Result<Candidate, SourceError> {
    let stem = component.path().file_stem().unwrap_or_default();
    let fit: String = stem
        .to_string_lossy()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = manifest::check_name(fit.trim_matches('-')).map_err(SourceError::Name)?;
    Ok(Candidate {
        manifest: Manifest::bare(name),
        kind: Kind::File(component),
    })
}

/// Drops environments whose name is taken by an earlier one.
pub(super) fn drop_duplicates(found: &mut Vec<Candidate>, problems: &mut Vec<SourceProblem>) {
    let mut firsts: HashMap<EnvName, PathBuf> = HashMap::new();
    found.retain(|candidate| {
        let name = &candidate.manifest.name;
        let Some(first) = firsts.get(name) else {
            firsts.insert(name.clone(), candidate.path().to_owned());
            return true;
        };
        problems.push(candidate.problem(SourceError::DuplicateName {
            name: name.to_string(),
            first: first.clone(),
        }));
        false
    });
}
