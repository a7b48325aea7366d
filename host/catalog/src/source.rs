//! Discovers environments that can be loaded.
//!
//! A path is a component file, an environment's folder, or a folder of those.
//! Everything that does not require running a guest is checked here, before
//! anything is served: names, manifests, data directories, builds. A problem of
//! one environment does not affect the others, and names its path.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use orwd_config::{CappedLimit, Paths};
use orwd_model::DataMode;
use orwd_model::{EnvName, SessionLimits};
use orwd_sandbox::{DataDir, DataDirError};

use crate::build::{self, BuildError, BuildJob, Progress};
use crate::manifest::{self, FILE_NAME, Manifest, ManifestError};
use crate::spec::EnvironmentSpec;

/// An environment that can be loaded.
#[derive(Clone, Debug)]
pub struct EnvironmentSource {
    /// Name that clients use.
    pub name: EnvName,
    /// File of the component.
    pub component: PathBuf,
    /// Its manifest; a bare one for a component file.
    pub manifest: Manifest,
    /// Its folder, if it has one.
    pub folder: Option<PathBuf>,
    /// Directory that its sessions see as `/orwd_data`.
    pub data: Option<DataDir>,
    /// What happens to files that its sessions write. Shared only if both the
    /// manifest and the operator permit it.
    pub mode: DataMode,
}

impl EnvironmentSource {
    /// Returns its path.
    pub fn path(&self) -> &Path {
        self.folder.as_deref().unwrap_or(&self.component)
    }

    /// Returns what it is loaded from, with the operator's limits as the
    /// manifest tightens them, and the overrides without effect.
    pub fn spec(&self, operator: SessionLimits) -> (EnvironmentSpec, Vec<CappedLimit>) {
        let (limits, capped) = self.manifest.limits.apply(operator);
        let spec = EnvironmentSpec {
            name: self.name.clone(),
            component: self.component.clone(),
            data: self.data.clone(),
            mode: self.mode.clone(),
            limits,
            secrets: self.manifest.secrets.clone(),
            clock: self.manifest.clock,
            seed: self.manifest.seed,
        };
        (spec, capped)
    }
}

/// The environments that were discovered.
#[derive(Debug, Default)]
pub struct Discovered {
    /// Environments in the order of the paths; the first is the default.
    pub sources: Vec<EnvironmentSource>,
    /// Paths that cannot be served.
    pub problems: Vec<SourceProblem>,
}

/// A path that cannot be served.
#[derive(Debug)]
pub struct SourceProblem {
    /// The path.
    pub path: PathBuf,
    /// The reason.
    pub reason: SourceError,
}

impl std::error::Error for SourceProblem {}

/// Writes the path and the reason. A manifest's path includes its file name.
impl fmt::Display for SourceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            SourceError::Manifest(error) => {
                write!(f, "{}", self.path.join(error.to_string()).display())
            }
            reason => write!(f, "{}: {reason}", self.path.display()),
        }
    }
}

/// Why a path cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a pipe, a device or the like.
    #[error("neither a file nor a folder")]
    NeitherFileNorFolder,
    /// It is a manifest in candidate of its folder.
    #[error("this is a manifest; pass its folder")]
    IsManifest,
    /// It is a folder without environments.
    #[error("no environment found; expected {FILE_NAME}, folders with {FILE_NAME}, or .wasm files")]
    NoEnvironment,
    /// The name of a component file is not valid for an environment.
    #[error("{0}; rename the file")]
    Name(String),
    /// The manifest is invalid.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// Another environment has this name.
    #[error("duplicate name {name:?}, also used by {}", first.display())]
    DuplicateName {
        /// The name.
        name: String,
        /// The other one.
        first: PathBuf,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// There is no component.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// `--data` was given, and there is more than one environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--data is for one environment, but {0} were found; set `data = \"…\"` in the {FILE_NAME} of each instead"
)]
pub struct DataForSeveral(usize);

/// Finds the environments at these paths and builds their components.
pub fn discover(
    paths: &[PathBuf],
    config: &Paths,
    progress: Progress<'_>,
) -> Result<Discovered, DataForSeveral> {
    let mut problems = Vec::new();
    let mut found = find(paths, &mut problems);
    if config.data.is_some() && found.len() > 1 {
        return Err(DataForSeveral(found.len()));
    }
    drop_duplicates(&mut found, &mut problems);
    let mut with_data = Vec::new();
    for candidate in found {
        match data(&candidate, config) {
            Ok(data) => with_data.push((candidate, data)),
            Err(error) => problems.push(candidate.problem(error)),
        }
    }
    let components = components(&with_data, config, progress);
    let mut sources = Vec::new();
    for ((candidate, data), component) in with_data.into_iter().zip(components) {
        match component {
            Ok(component) => sources.push(source(candidate, component, data, config)),
            Err(error) => problems.push(candidate.problem(error)),
        }
    }
    Ok(Discovered { sources, problems })
}

/// An environment before its component is built.
struct Candidate {
    manifest: Manifest,
    kind: Kind,
}

enum Kind {
    File(PathBuf),
    Folder(PathBuf),
}

impl Candidate {
    fn path(&self) -> &Path {
        match &self.kind {
            Kind::File(path) | Kind::Folder(path) => path,
        }
    }

    fn problem(&self, reason: impl Into<SourceError>) -> SourceProblem {
        SourceProblem {
            path: self.path().to_owned(),
            reason: reason.into(),
        }
    }
}

fn find(paths: &[PathBuf], problems: &mut Vec<SourceProblem>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for path in paths {
        if let Err(reason) = find_at(path, &mut found, problems) {
            problems.push(SourceProblem {
                path: path.clone(),
                reason,
            });
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
            Ok(candidate) => found.push(candidate),
            Err(reason) => problems.push(SourceProblem {
                path: member,
                reason,
            }),
        }
    }
    Ok(())
}

/// Returns the environments directly in a folder, by name.
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

fn folder(path: &Path) -> Result<Candidate, SourceError> {
    Ok(Candidate {
        manifest: Manifest::read(path)?,
        kind: Kind::Folder(path.to_owned()),
    })
}

fn file(path: &Path) -> Result<Candidate, SourceError> {
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
    Ok(Candidate {
        manifest: Manifest::bare(name),
        kind: Kind::File(path.to_owned()),
    })
}

/// Drops environments whose name is taken by an earlier one.
fn drop_duplicates(found: &mut Vec<Candidate>, problems: &mut Vec<SourceProblem>) {
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

fn data(candidate: &Candidate, config: &Paths) -> Result<Option<DataDir>, DataDirError> {
    let of_manifest = || match (&candidate.kind, &candidate.manifest.data) {
        (Kind::Folder(folder), Some(data)) => Some(folder.join(data)),
        _ => None,
    };
    let Some(path) = config.data.clone().or_else(of_manifest) else {
        return Ok(None);
    };
    DataDir::open(&path).map(Some)
}

/// Returns the data mode. Sharing requires the manifest, the operator, and a
/// data directory.
fn mode(candidate: &Candidate, config: &Paths, has_data: bool) -> DataMode {
    match &candidate.manifest.mode {
        DataMode::Shared(_) if !(config.writable_data && has_data) => DataMode::Session,
        mode => mode.clone(),
    }
}

fn components(
    found: &[(Candidate, Option<DataDir>)],
    config: &Paths,
    progress: Progress<'_>,
) -> Vec<Result<PathBuf, BuildError>> {
    let jobs: Vec<BuildJob<'_>> = found
        .iter()
        .filter_map(|(candidate, _)| match &candidate.kind {
            Kind::Folder(folder) => Some(BuildJob {
                folder,
                manifest: &candidate.manifest,
            }),
            Kind::File(_) => None,
        })
        .collect();
    let built = if config.build {
        build::build_all(&jobs, progress)
    } else {
        jobs.iter().map(|job| build::locate(*job)).collect()
    };
    let mut built = built.into_iter();
    found
        .iter()
        .map(|(candidate, _)| match &candidate.kind {
            Kind::File(component) => Ok(component.clone()),
            Kind::Folder(_) => match built.next() {
                Some(built) => built.map(|built| built.component),
                None => Err(BuildError::NotReached),
            },
        })
        .collect()
}

fn source(
    candidate: Candidate,
    component: PathBuf,
    data: Option<DataDir>,
    config: &Paths,
) -> EnvironmentSource {
    EnvironmentSource {
        mode: mode(&candidate, config, data.is_some()),
        name: candidate.manifest.name.clone(),
        component,
        data,
        manifest: candidate.manifest,
        folder: match candidate.kind {
            Kind::Folder(folder) => Some(folder),
            Kind::File(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn config() -> Paths {
        Paths {
            data: None,
            writable_data: false,
            cache: PathBuf::from("/nowhere"),
            build: true,
        }
    }

    /// Manifest of an environment that needs no build.
    fn prebuilt(name: &str, more: &str) -> String {
        format!("name = '{name}'\n{more}\nbuild.component = 'x.wasm'\n")
    }

    fn discovered(folder: &Folder, paths: &[&str], config: &Paths) -> Vec<String> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
        let discovered = discover(&paths, config, &|_| {}).unwrap();
        let sources = discovered.sources.iter().map(|source| {
            let mut line = format!("{} = {}", source.name, source.component.display());
            if let Some(data) = &source.data {
                let mode = source.mode.as_str();
                line.push_str(&format!(" with {} {mode}", data.path().display()));
            }
            line
        });
        let problems = discovered.problems.iter().map(SourceProblem::to_string);
        sources
            .chain(problems)
            .map(|line| line.replace(&*folder.path().to_string_lossy(), "F"))
            .collect()
    }

    #[test]
    fn finds_files_folders_and_folders_of_those() {
        let folder = Folder::with(&[
            ("one/orwd.toml", &prebuilt("one", "")),
            ("one/x.wasm", "w"),
            ("many/b/orwd.toml", &prebuilt("bee", "")),
            ("many/b/x.wasm", "w"),
            ("many/a-file.wasm", "w"),
            ("many/c/deeper/orwd.toml", &prebuilt("deep", "")),
            ("many/notes.txt", ""),
            ("My File.v2.wasm", "w"),
        ]);
        assert_eq!(
            discovered(&folder, &["one", "many", "My File.v2.wasm"], &config()),
            [
                "one = F/one/x.wasm",
                "a-file = F/many/a-file.wasm",
                "bee = F/many/b/x.wasm",
                "my-file-v2 = F/My File.v2.wasm",
            ]
        );
    }

    #[test]
    fn problems_do_not_affect_other_environments() {
        let folder = Folder::with(&[
            ("good/orwd.toml", &prebuilt("good", "")),
            ("good/x.wasm", "w"),
            ("again/orwd.toml", &prebuilt("GOOD", "")),
            ("again/x.wasm", "w"),
            ("typo/orwd.toml", "nmae = 'x'"),
            ("unbuilt/orwd.toml", &prebuilt("unbuilt", "")),
            ("nodata/orwd.toml", &prebuilt("nodata", "data = 'gone'")),
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
            discovered(&folder, &paths, &config()),
            [
                "good = F/good/x.wasm",
                "F/gone: No such file or directory (os error 2)",
                "F/typo/orwd.toml:1:1: unknown key `nmae`; did you mean `name`?",
                "F/empty: no environment found; expected orwd.toml, folders with orwd.toml, or .wasm files",
                "F/ab.wasm: invalid environment name \"ab\": expected 3 to 64 letters, digits, '-' or '_'; rename the file",
                "F/good/orwd.toml: this is a manifest; pass its folder",
                "F/again: duplicate name \"good\", also used by F/good",
                "F/nodata: the data directory F/nodata/gone cannot be used: No such file or directory (os error 2)",
                "F/unbuilt: there is no component at F/unbuilt/x.wasm; check `build.component` in orwd.toml",
            ]
        );
    }

    #[test]
    fn data_is_shared_only_if_manifest_and_operator_permit_it() {
        let folder = Folder::with(&[
            (
                "asks/orwd.toml",
                &prebuilt(
                    "asks",
                    "data = 'd'\ndata-mode = 'shared'\nshared.publish = ['r']",
                ),
            ),
            ("asks/x.wasm", "w"),
            ("asks/d/file", ""),
            ("not/orwd.toml", &prebuilt("not", "data = 'd'")),
            ("not/x.wasm", "w"),
            ("not/d/file", ""),
            ("other/file", ""),
            ("plain.wasm", "w"),
        ]);
        let allowed = |writable_data| Paths {
            writable_data,
            ..config()
        };
        let given = Paths {
            data: Some(folder.path().join("other")),
            ..allowed(true)
        };
        for (path, config, expected) in [
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
            assert_eq!(discovered(&folder, &[path], &config), [expected]);
        }
    }

    #[test]
    fn data_by_flag_is_for_one_environment() {
        let folder = Folder::with(&[("one.wasm", "w"), ("two.wasm", "w"), ("data/file", "")]);
        let config = Paths {
            data: Some(folder.path().join("data")),
            ..config()
        };
        let error = discover(&[folder.path().to_owned()], &config, &|_| {}).unwrap_err();
        assert_eq!(error, DataForSeveral(2));
    }
}
