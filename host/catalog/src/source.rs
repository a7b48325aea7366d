//! From paths to environments that can be loaded.
//!
//! A path is a component file, an environment's folder, or a folder of those.
//! Everything that can be known without running a guest is found out here,
//! before anything is served: names, manifests, data directories, builds. What
//! is wrong with one environment is kept beside what is right with others, so
//! that the caller may go on with those, and every problem says where it is.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::build::{self, BuildError, Job, Progress};
use super::environment::Blueprint;
use super::manifest::{self, FILE_NAME, Manifest, ManifestError};
use orwd_config::{Capped, Places};
use orwd_model::{DataMode, EnvName, SessionLimits};
use orwd_sandbox::{DataDir, DataDirError};

/// An environment, ready to be loaded.
#[derive(Clone, Debug)]
pub struct Source {
    /// What clients call it.
    pub name: EnvName,
    /// The component's file.
    pub component: PathBuf,
    /// Its manifest; a bare one for a component file.
    pub manifest: Manifest,
    /// Its folder, if it has one.
    pub folder: Option<PathBuf>,
    /// What its sessions see at `/orwd_data`.
    pub data: Option<DataDir>,
    /// What becomes of what its sessions write; shared only if the manifest
    /// asks for it and the operator allows it.
    pub mode: DataMode,
}

impl Source {
    /// Where it was found.
    pub fn place(&self) -> &Path {
        self.folder.as_deref().unwrap_or(&self.component)
    }

    /// What it is loaded from, under limits that its manifest may narrow; and
    /// the wishes of the manifest that went too far.
    pub fn blueprint(&self, operator: SessionLimits) -> (Blueprint, Vec<Capped>) {
        let (limits, capped) = self.manifest.limits.apply(operator);
        let blueprint = Blueprint {
            name: self.name.clone(),
            component: self.component.clone(),
            data: self.data.clone(),
            mode: self.mode.clone(),
            limits,
            secrets: self.manifest.secrets.clone(),
            clock: self.manifest.clock,
            seed: self.manifest.seed,
        };
        (blueprint, capped)
    }
}

/// What the paths came to.
#[derive(Debug, Default)]
pub struct Gathered {
    /// In the order of the paths; the first is the default environment.
    pub sources: Vec<Source>,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
}

/// Something wrong with one path.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", at.display())]
pub struct Problem {
    /// The path.
    pub at: PathBuf,
    /// What is wrong.
    pub reason: SourceError,
}

/// What can be wrong with a path.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be looked at.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a pipe, a device or the like.
    #[error("this is neither a file nor a folder")]
    NeitherFileNorFolder,
    /// It is a manifest, and its folder is meant.
    #[error("this is a manifest; say the folder that it is in")]
    IsManifest,
    /// It is a folder without environments.
    #[error(
        "there is no environment here: neither {FILE_NAME}, nor a folder that has one, nor a .wasm file"
    )]
    NoEnvironment,
    /// A component file has a name that no environment can have.
    #[error("the file's name does not do for an environment: {0}; rename it")]
    Name(String),
    /// The manifest is wrong.
    #[error("{FILE_NAME}: {0}")]
    Manifest(#[from] ManifestError),
    /// Another environment has this name.
    #[error("its name is {name:?}, and so is that of {}", first.display())]
    Twice {
        /// The name.
        name: String,
        /// The other one.
        first: PathBuf,
    },
    /// The data directory is wrong.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// There is no component.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// `--data` was given, and there is more than one environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--data is for one environment, and there are {0} here: say `data = \"…\"` in the {FILE_NAME} of each that needs it"
)]
pub struct DataForSeveral(usize);

/// Finds the environments at these paths and makes their components.
pub fn gather(
    paths: &[PathBuf],
    places: &Places,
    progress: Progress<'_>,
) -> Result<Gathered, DataForSeveral> {
    let mut problems = Vec::new();
    let mut found = find(paths, &mut problems);
    if places.data.is_some() && found.len() > 1 {
        return Err(DataForSeveral(found.len()));
    }
    drop_namesakes(&mut found, &mut problems);
    let mut with_data = Vec::new();
    for place in found {
        match data(&place, places) {
            Ok(data) => with_data.push((place, data)),
            Err(error) => problems.push(place.problem(error)),
        }
    }
    let components = components(&with_data, places, progress);
    let mut sources = Vec::new();
    for ((place, data), component) in with_data.into_iter().zip(components) {
        match component {
            Ok(component) => sources.push(source(place, component, data, places)),
            Err(error) => problems.push(place.problem(error)),
        }
    }
    Ok(Gathered { sources, problems })
}

/// An environment that was found.
struct Place {
    manifest: Manifest,
    kind: Kind,
}

enum Kind {
    File(PathBuf),
    Folder(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match &self.kind {
            Kind::File(path) | Kind::Folder(path) => path,
        }
    }

    fn problem(&self, reason: impl Into<SourceError>) -> Problem {
        Problem {
            at: self.path().to_owned(),
            reason: reason.into(),
        }
    }
}

fn find(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<Place> {
    let mut found = Vec::new();
    for path in paths {
        if let Err(reason) = find_at(path, &mut found, problems) {
            problems.push(Problem {
                at: path.clone(),
                reason,
            });
        }
    }
    found
}

fn find_at(
    path: &Path,
    found: &mut Vec<Place>,
    problems: &mut Vec<Problem>,
) -> Result<(), SourceError> {
    let kind = path.metadata()?;
    if kind.is_file() {
        found.push(file(path)?);
        return Ok(());
    }
    if !kind.is_dir() {
        return Err(SourceError::NeitherFileNorFolder);
    }
    if path.join(FILE_NAME).exists() {
        found.push(folder(path)?);
        return Ok(());
    }
    let members = members(path)?;
    if members.is_empty() {
        return Err(SourceError::NoEnvironment);
    }
    for member in members {
        let result = if member.is_dir() {
            folder(&member)
        } else {
            file(&member)
        };
        match result {
            Ok(place) => found.push(place),
            Err(reason) => problems.push(Problem { at: member, reason }),
        }
    }
    Ok(())
}

/// The environments right below a folder, by name.
fn members(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut members = Vec::new();
    for entry in path.read_dir()? {
        let entry = entry?.path();
        let is_component = entry.extension().is_some_and(|end| end == "wasm") && entry.is_file();
        if is_component || entry.join(FILE_NAME).exists() {
            members.push(entry);
        }
    }
    members.sort();
    Ok(members)
}

fn folder(path: &Path) -> Result<Place, SourceError> {
    Ok(Place {
        manifest: Manifest::read(path)?,
        kind: Kind::Folder(path.to_owned()),
    })
}

fn file(path: &Path) -> Result<Place, SourceError> {
    if path.file_name().is_some_and(|name| name == FILE_NAME) {
        return Err(SourceError::IsManifest);
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let fit: String = stem
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
    Ok(Place {
        manifest: Manifest::bare(name),
        kind: Kind::File(path.to_owned()),
    })
}

/// The first of a name stays.
fn drop_namesakes(found: &mut Vec<Place>, problems: &mut Vec<Problem>) {
    let mut firsts: HashMap<EnvName, PathBuf> = HashMap::new();
    found.retain(|place| {
        let name = &place.manifest.name;
        let Some(first) = firsts.get(name) else {
            firsts.insert(name.clone(), place.path().to_owned());
            return true;
        };
        problems.push(place.problem(SourceError::Twice {
            name: name.to_string(),
            first: first.clone(),
        }));
        false
    });
}

fn data(place: &Place, places: &Places) -> Result<Option<DataDir>, DataDirError> {
    let of_manifest = || match (&place.kind, &place.manifest.data) {
        (Kind::Folder(folder), Some(data)) => Some(folder.join(data)),
        _ => None,
    };
    let Some(path) = places.data.clone().or_else(of_manifest) else {
        return Ok(None);
    };
    DataDir::open(&path).map(Some)
}

/// To share needs the manifest and the operator, and data to share.
fn mode(place: &Place, places: &Places, has_data: bool) -> DataMode {
    match &place.manifest.mode {
        DataMode::Shared(_) if !(places.writable_data && has_data) => DataMode::Session,
        mode => mode.clone(),
    }
}

fn components(
    found: &[(Place, Option<DataDir>)],
    places: &Places,
    progress: Progress<'_>,
) -> Vec<Result<PathBuf, BuildError>> {
    let jobs: Vec<Job<'_>> = found
        .iter()
        .filter_map(|(place, _)| match &place.kind {
            Kind::Folder(folder) => Some(Job {
                folder,
                manifest: &place.manifest,
            }),
            Kind::File(_) => None,
        })
        .collect();
    let built = if places.build {
        build::build_all(&jobs, progress)
    } else {
        jobs.iter().map(|job| build::locate(*job)).collect()
    };
    let mut built = built.into_iter();
    found
        .iter()
        .map(|(place, _)| match &place.kind {
            Kind::File(component) => Ok(component.clone()),
            Kind::Folder(_) => match built.next() {
                Some(built) => built.map(|built| built.component),
                None => Err(BuildError::NotReached),
            },
        })
        .collect()
}

fn source(place: Place, component: PathBuf, data: Option<DataDir>, places: &Places) -> Source {
    Source {
        mode: mode(&place, places, data.is_some()),
        name: place.manifest.name.clone(),
        component,
        data,
        manifest: place.manifest,
        folder: match place.kind {
            Kind::Folder(folder) => Some(folder),
            Kind::File(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn places() -> Places {
        Places {
            data: None,
            writable_data: false,
            cache: PathBuf::from("/nowhere"),
            build: true,
        }
    }

    /// An environment that is there already, so that nothing is built.
    fn ready(name: &str, more: &str) -> String {
        format!("name = '{name}'\n{more}\nbuild.component = 'x.wasm'\n")
    }

    fn gathered(folder: &Folder, paths: &[&str], places: &Places) -> Vec<String> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
        let gathered = gather(&paths, places, &|_| {}).unwrap();
        let sources = gathered.sources.iter().map(|source| {
            let mut line = format!("{} = {}", source.name, source.component.display());
            if let Some(data) = &source.data {
                let mode = source.mode.as_str();
                line.push_str(&format!(" with {} {mode}", data.path().display()));
            }
            line
        });
        let problems = gathered.problems.iter().map(Problem::to_string);
        sources
            .chain(problems)
            .map(|line| line.replace(&*folder.path().to_string_lossy(), "F"))
            .collect()
    }

    #[test]
    fn files_folders_and_folders_of_those() {
        let folder = Folder::with(&[
            ("one/orwd.toml", &ready("one", "")),
            ("one/x.wasm", "w"),
            ("many/b/orwd.toml", &ready("bee", "")),
            ("many/b/x.wasm", "w"),
            ("many/a-file.wasm", "w"),
            ("many/c/deeper/orwd.toml", &ready("deep", "")),
            ("many/notes.txt", ""),
            ("My File.v2.wasm", "w"),
        ]);
        assert_eq!(
            gathered(&folder, &["one", "many", "My File.v2.wasm"], &places()),
            [
                "one = F/one/x.wasm",
                "a-file = F/many/a-file.wasm",
                "bee = F/many/b/x.wasm",
                "my-file-v2 = F/My File.v2.wasm",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_kept_beside_what_is_right() {
        let folder = Folder::with(&[
            ("good/orwd.toml", &ready("good", "")),
            ("good/x.wasm", "w"),
            ("again/orwd.toml", &ready("GOOD", "")),
            ("again/x.wasm", "w"),
            ("typo/orwd.toml", "nmae = 'x'"),
            ("unbuilt/orwd.toml", &ready("unbuilt", "")),
            ("nodata/orwd.toml", &ready("nodata", "data = 'gone'")),
            ("empty/readme", ""),
            ("ab.wasm", "w"),
        ]);
        let paths = [
            "gone",
            "good",
            "again",
            "typo",
            "unbuilt",
            "nodata",
            "empty",
            "ab.wasm",
            "good/orwd.toml",
        ];
        assert_eq!(
            gathered(&folder, &paths, &places()),
            [
                "good = F/good/x.wasm",
                "F/gone: No such file or directory (os error 2)",
                "F/typo: orwd.toml: line 1, column 1: `nmae` is no key here; did you mean `name`?",
                "F/empty: there is no environment here: neither orwd.toml, nor a folder that has one, nor a .wasm file",
                "F/ab.wasm: the file's name does not do for an environment: invalid environment name \"ab\": expected 3 to 64 letters, digits, '-' or '_'; rename it",
                "F/good/orwd.toml: this is a manifest; say the folder that it is in",
                "F/again: its name is \"good\", and so is that of F/good",
                "F/nodata: the data directory F/nodata/gone cannot be used: No such file or directory (os error 2)",
                "F/unbuilt: there is no component at F/unbuilt/x.wasm, where orwd.toml says that it is",
            ]
        );
    }

    #[test]
    fn data_is_shared_only_if_both_sides_say_so() {
        let folder = Folder::with(&[
            (
                "asks/orwd.toml",
                &ready(
                    "asks",
                    "data = 'd'\ndata-mode = 'shared'\nshared.publish = ['r']",
                ),
            ),
            ("asks/x.wasm", "w"),
            ("asks/d/file", ""),
            ("not/orwd.toml", &ready("not", "data = 'd'")),
            ("not/x.wasm", "w"),
            ("not/d/file", ""),
            ("other/file", ""),
            ("plain.wasm", "w"),
        ]);
        let allowed = |writable_data| Places {
            writable_data,
            ..places()
        };
        let given = Places {
            data: Some(folder.path().join("other")),
            ..allowed(true)
        };
        for (path, places, expected) in [
            (
                "asks",
                allowed(false),
                "asks = F/asks/x.wasm with F/asks/d session",
            ),
            (
                "asks",
                allowed(true),
                "asks = F/asks/x.wasm with F/asks/d shared",
            ),
            (
                "not",
                allowed(true),
                "not = F/not/x.wasm with F/not/d session",
            ),
            (
                "asks",
                given.clone(),
                "asks = F/asks/x.wasm with F/other shared",
            ),
            (
                "plain.wasm",
                given,
                "plain = F/plain.wasm with F/other session",
            ),
        ] {
            assert_eq!(gathered(&folder, &[path], &places), [expected]);
        }
    }

    #[test]
    fn data_by_flag_is_for_one_environment() {
        let folder = Folder::with(&[("one.wasm", "w"), ("two.wasm", "w"), ("data/file", "")]);
        let places = Places {
            data: Some(folder.path().join("data")),
            ..places()
        };
        let error = gather(&[folder.path().to_owned()], &places, &|_| {}).unwrap_err();
        assert_eq!(error, DataForSeveral(2));
    }
}
