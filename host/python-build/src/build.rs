//! Builds, or finds the earlier build of the same sources.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::embedded::{Embedded, short};
use crate::error::PythonBuildError;
use crate::install::complete;
use crate::progress::PythonProgress;
use crate::source::PythonSource;
use crate::{key, process, tools};

const COMPONENT: &str = "component.wasm";
const RESULT: &str = "build.json";

/// A built component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonBuild {
    /// Its file, below the cache directory.
    pub component: PathBuf,
    /// The names of its environments, in the order in which they are served. An
    /// instance serves the one under whose name the host runs it.
    pub environments: Vec<String>,
    /// What a person should know about the build.
    pub notes: Vec<String>,
    /// Whether it was there already.
    pub cached: bool,
}

/// What the builder gets.
#[derive(Serialize)]
struct Request<'a> {
    folder: &'a Path,
    entry: &'a Path,
    class: Option<&'a str>,
    data: Option<&'a Path>,
    bake: &'a [String],
    wit: PathBuf,
    /// The interface of requests, if it makes some.
    network: Option<PathBuf>,
    wheels: Vec<PathBuf>,
    /// Recipes of further wheels, and where these are kept and fetched from.
    recipes: PathBuf,
    wheel_cache: PathBuf,
    wheel_index: Option<&'a str>,
    base: PathBuf,
    work: &'a Path,
    output: PathBuf,
}

/// What the builder answers, and what the cache keeps.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    notes: Vec<String>,
}

/// Where builds are kept, and where wheels come from.
#[derive(Clone, Copy, Debug)]
pub struct PythonPlaces<'a> {
    /// The cache directory.
    pub cache: &'a Path,
    /// The URL of a folder of wheels for WASI. Without it they are built.
    pub wheel_index: Option<&'a str>,
}

/// Builds the component of a Python environment below a cache directory. Sources
/// that were built before are not built again; with `only_cached`, others are
/// refused.
pub fn build(
    source: &PythonSource,
    places: PythonPlaces<'_>,
    only_cached: bool,
    progress: PythonProgress<'_>,
) -> Result<PythonBuild, PythonBuildError> {
    source.check()?;
    let cache = places.cache.join("python");
    let key = key::key(source)?;
    let folder = cache.join("built").join(short(&key));
    let cached = folder.is_dir();
    if !cached {
        if only_cached {
            return Err(PythonBuildError::NotBuilt(source.folder.clone()));
        }
        complete(&folder, |draft| {
            make(source, places, &cache, draft, progress)
        })?;
    }
    let result = folder.join(RESULT);
    let text = fs::read(&result).map_err(PythonBuildError::file(&result))?;
    let answer: Answer = serde_json::from_slice(&text)
        .map_err(|error| PythonBuildError::file(&result)(error.into()))?;
    Ok(PythonBuild {
        component: folder.join(COMPONENT),
        environments: answer.names,
        notes: answer.notes,
        cached,
    })
}

fn make(
    source: &PythonSource,
    places: PythonPlaces<'_>,
    cache: &Path,
    draft: &Path,
    progress: PythonProgress<'_>,
) -> Result<(), PythonBuildError> {
    let interpreter = tools::interpreter(cache, progress)?;
    let embedded = Embedded::lay_out(cache)?;
    let real = |path: &Path| path.canonicalize().map_err(PythonBuildError::file(path));
    let folder = real(&source.folder)?;
    let data = source.data.as_deref().map(real).transpose()?;
    let work = tempfile::TempDir::new_in(cache).map_err(PythonBuildError::file(cache))?;
    let request = Request {
        folder: &folder,
        entry: &source.entry,
        class: source.class.as_deref(),
        data: data.as_deref(),
        bake: &source.bake,
        wit: embedded.interface(),
        network: source.network.then(|| embedded.network_interface()),
        wheels: vec![embedded.wheels()],
        recipes: embedded.recipes(),
        wheel_cache: real(places.cache)?.join("wheels"),
        wheel_index: places.wheel_index,
        base: cache.join(format!("packages-{}", short(&crate::embedded::digest()))),
        work: work.path(),
        output: draft.join(COMPONENT),
    };
    let request = serde_json::to_string(&request).map_err(|error| PythonBuildError::Builder {
        status: "no request".to_owned(),
        output: error.to_string(),
    })?;
    let mut builder = process::command(interpreter);
    builder
        .args(["-m", "orwd_build"])
        .env("PYTHONPATH", embedded.package())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(work.path());
    let text = process::exchange(&mut builder, &request, progress)?;
    let answer: Answer =
        serde_json::from_str(&text).map_err(|error| PythonBuildError::Builder {
            status: "no answer".to_owned(),
            output: format!("{error}: {}", process::last_lines(&text)),
        })?;
    if let Some(error) = answer.error {
        return Err(PythonBuildError::Environment(error));
    }
    let result = draft.join(RESULT);
    let text = serde_json::to_vec(&answer).unwrap_or_default();
    fs::write(&result, text).map_err(PythonBuildError::file(&result))
}
