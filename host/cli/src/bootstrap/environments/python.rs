//! Python environments among the operator's paths: built first, and then served
//! like any other.
//!
//! An author's module runs in the sandbox of the component that is built from it,
//! so building needs no `--build`. What runs on this machine is orwd's own
//! builder; it fetches the wheels that the environment requires.

use std::path::{Path, PathBuf};

use orwd_catalog::manifest::{self, BuildRule, FILE_NAME, Manifest};
use orwd_catalog::source::{BuiltEnvironment, Served};
use orwd_catalog::{AuthorFolder, ComponentFile};
use orwd_python_build::{ENTRIES, PythonBuild, PythonPlaces, PythonSource};

use crate::console::CommandError;

/// A Python environment at a path.
#[derive(Debug)]
pub(crate) struct PythonEnvironment {
    path: PathBuf,
    source: PythonSource,
    folder: AuthorFolder,
    /// The manifest and its text, if the folder has one.
    manifest: Option<(Manifest, String)>,
}

/// An environment of a built component, with the text of its manifest.
#[derive(Debug)]
pub(crate) struct PythonMember {
    pub(crate) manifest: Manifest,
    pub(crate) text: String,
}

/// Builds the Python environments among some paths, and leaves the other paths as
/// they are. With `no_build`, earlier builds of the same sources are used.
pub(crate) fn build_among(
    paths: &[PathBuf],
    places: PythonPlaces<'_>,
    no_build: bool,
    progress: &dyn Fn(&str),
) -> Result<Vec<Served>, CommandError> {
    let mut served = Vec::new();
    for path in paths {
        for path in members(path) {
            match PythonEnvironment::at(&path)? {
                None => served.push(Served::Path(path)),
                Some(environment) => {
                    let built = environment.build(places, no_build, progress)?;
                    served.extend(environment.served(&built)?);
                }
            }
        }
    }
    Ok(served)
}

/// Returns the paths in a folder of environments if there is a Python environment
/// among them, and otherwise the path itself.
fn members(path: &Path) -> Vec<PathBuf> {
    let whole = || vec![path.to_owned()];
    if !path.is_dir() || is_environment(path) {
        return whole();
    }
    let Ok(entries) = path.read_dir() else {
        return whole();
    };
    // A link may lead out of the folder, which is refused where the folder itself
    // is searched.
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut found: Vec<PathBuf> = names.map(|name| path.join(name)).collect();
    found.retain(|path| path.join(FILE_NAME).exists() || is_component(path));
    found.sort();
    let has_links = found.iter().any(|path| path.is_symlink());
    let has_python = found.iter().any(|path| {
        let read = AuthorFolder::open(path).ok();
        let manifest = read.and_then(|folder| Manifest::read(&folder).ok());
        manifest.is_some_and(|manifest| python_source(path, Some(&manifest)).is_some())
    });
    match has_python && !has_links {
        true => found,
        false => whole(),
    }
}

fn is_environment(path: &Path) -> bool {
    path.join(FILE_NAME).exists() || ENTRIES.iter().any(|entry| path.join(entry).is_file())
}

fn is_component(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "wasm")
}

/// Returns how a folder is built from Python, if it is.
fn python_source(folder: &Path, manifest: Option<&Manifest>) -> Option<PythonSource> {
    let Some(manifest) = manifest else {
        return PythonSource::in_folder(folder);
    };
    let data = manifest.data.as_deref().map(|data| folder.join(data));
    let network = !manifest.network.rules.is_empty();
    match &manifest.build {
        BuildRule::Python(rule) => Some(PythonSource {
            folder: folder.to_owned(),
            entry: rule.module.clone(),
            class: rule.class.clone(),
            data,
            bake: rule.bake.clone(),
            network,
        }),
        BuildRule::Cargo if !folder.join("Cargo.toml").exists() => {
            let source = PythonSource::in_folder(folder)?;
            Some(PythonSource {
                data,
                network,
                ..source
            })
        }
        BuildRule::Cargo | BuildRule::Command { .. } | BuildRule::Prebuilt(_) => None,
    }
}

impl PythonEnvironment {
    /// Returns the Python environment at a path: a module, perhaps with a class, or
    /// a folder that is built from one.
    pub(crate) fn at(path: &Path) -> Result<Option<PythonEnvironment>, CommandError> {
        let module = PythonSource::at(path);
        if module.is_none() && !path.is_dir() {
            return Ok(None);
        }
        let folder_path = module.as_ref().map_or(path, |module| &module.folder);
        let fail = |reason: std::io::Error| error(path, &reason);
        let folder = AuthorFolder::open(folder_path).map_err(fail)?;
        let manifest = match folder.has(FILE_NAME) {
            false => None,
            true => {
                let invalid = |reason: orwd_catalog::manifest::ManifestError| {
                    let place = folder_path.join(reason.to_string());
                    CommandError::new(place.display().to_string())
                };
                let text = Manifest::text(&folder).map_err(invalid)?;
                let manifest = match Manifest::parse(&text) {
                    Ok(manifest) => manifest,
                    // It is reported where folders are searched.
                    Err(_) if module.is_none() => return Ok(None),
                    Err(reason) => return Err(invalid(reason)),
                };
                Some((manifest, text))
            }
        };
        let of_folder = python_source(folder_path, manifest.as_ref().map(|(read, _)| read));
        let source = match (module, of_folder) {
            (None, None) => return Ok(None),
            (None, Some(source)) => source,
            // What the manifest says of the data holds for a named module too.
            (Some(module), other) => PythonSource {
                data: other.as_ref().and_then(|other| other.data.clone()),
                network: other.as_ref().is_some_and(|other| other.network),
                bake: other.map_or_else(Vec::new, |other| other.bake),
                ..module
            },
        };
        if let Some((read, _)) = &manifest
            && let Some(data) = &read.data
        {
            // A link that leads out of the folder is no data of this author.
            folder.open_dir(data).map_err(|reason| {
                error(
                    path,
                    &format!("data directory {}: {reason}", data.display()),
                )
            })?;
        }
        Ok(Some(PythonEnvironment {
            path: path.to_owned(),
            source,
            folder,
            manifest,
        }))
    }

    /// Builds the component.
    pub(crate) fn build(
        &self,
        places: PythonPlaces<'_>,
        no_build: bool,
        progress: &dyn Fn(&str),
    ) -> Result<PythonBuild, CommandError> {
        let built = orwd_python_build::build(&self.source, places, no_build, progress)
            .map_err(|reason| error(&self.path, &reason))?;
        if !built.cached {
            for note in &built.notes {
                progress(note);
            }
        }
        Ok(built)
    }

    /// Returns the author's folder.
    pub(crate) fn folder(&self) -> &AuthorFolder {
        &self.folder
    }

    /// Returns the environments of a built component. The name of the manifest is
    /// that of the only one; several have the names of their classes.
    pub(crate) fn members(&self, built: &PythonBuild) -> Result<Vec<PythonMember>, CommandError> {
        let member = |name: &str| {
            let text = match &self.manifest {
                Some((_, text)) => text.clone(),
                None => String::new(),
            };
            let mut table: toml::Table = text
                .parse()
                .map_err(|reason: toml::de::Error| error(&self.path, &reason))?;
            if !name.is_empty() {
                let checked = manifest::check_name(name).map_err(|reason| {
                    let advice = "name the class differently, or add orwd.toml with name = \"…\"";
                    error(&self.path, &format!("{reason}; {advice}"))
                })?;
                table.insert("name".to_owned(), checked.to_string().into());
            }
            table.remove("build");
            let text = table.to_string();
            let manifest = Manifest::parse(&text).map_err(|reason| error(&self.path, &reason))?;
            Ok(PythonMember { manifest, text })
        };
        match (built.environments.as_slice(), &self.manifest) {
            ([] | [_], Some(_)) => Ok(vec![member("")?]),
            (several, _) => several.iter().map(|name| member(name)).collect(),
        }
    }

    fn served(&self, built: &PythonBuild) -> Result<Vec<Served>, CommandError> {
        let component =
            ComponentFile::open(&built.component).map_err(|reason| error(&self.path, &reason))?;
        let members = self.members(built)?;
        let served = members.into_iter().map(|member| {
            Served::Built(Box::new(BuiltEnvironment {
                folder: self.folder.clone(),
                manifest: member.manifest,
                component: component.clone(),
            }))
        });
        Ok(served.collect())
    }
}

/// Returns the paths whose changes concern what is served: for a module, its
/// folder.
pub(crate) fn watched(paths: &[PathBuf]) -> Vec<PathBuf> {
    let folder = |path: &PathBuf| match PythonSource::at(path) {
        Some(source) => source.folder,
        None => path.clone(),
    };
    paths.iter().map(folder).collect()
}

fn error(path: &Path, reason: &dyn std::fmt::Display) -> CommandError {
    CommandError::new(format!("{}: {reason}", path.display()))
}
