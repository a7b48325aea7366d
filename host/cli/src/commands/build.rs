//! `orwd build`: builds an environment's component, and lays it out for serving
//! elsewhere.

use std::path::{Path, PathBuf};

use clap::Args;
use orwd_catalog::build::{self, BuildJob, Package, PackageMember};
use orwd_catalog::manifest::{FILE_NAME, Manifest};
use orwd_catalog::{AuthorFolder, ComponentFile};
use orwd_config::{BuildMode, EnvironmentFlags, LimitFlags};
use orwd_engine::{CodeCache, Component, ComponentError, Engine};
use orwd_model::{AdmissionLimits, SessionLimits};
use orwd_python_build::PythonPlaces;

use crate::bootstrap::environments::python::PythonEnvironment;
use crate::bootstrap::{compiler, environments};
use crate::console::{CommandError, CommandStatus, terminal};

/// What to do where a component of Rust exports nothing.
const TRAIT_ADVICE: &str =
    "an environment in Rust exports it by `export!(TYPE);` at the end of src/lib.rs";

/// Build the component of an environment into a folder that serves anywhere
///
/// The environment is a folder with orwd.toml. A folder with Cargo.toml is
/// built by cargo; Rust's target wasm32-wasip2 is added if it is missing. Other
/// folders are built by the command in [build] of orwd.toml. A build runs code
/// of the environment's author on this machine, with your rights; the command is
/// printed before it runs.
///
/// A Python environment is FILE.py, FILE.py:CLASS, a folder with env.py, server.py
/// or main.py, or one whose orwd.toml has `python` in [build]. Its class derives
/// `openreward.environments.Environment` or `ors.Environment`, unmodified. Its
/// packages come from requirements.txt or pyproject.toml, as wheels; nothing of a
/// source distribution runs. Native packages for which orwd has a recipe are built
/// for WebAssembly on first use, once, or fetched from --wheel-index. The module is
/// imported in the sandbox of the component, and the state after the import is the
/// component. The tools for that are fetched once, into the cache directory.
///
/// The component is checked as `serve` checks it. Then the folder `dist` has the
/// manifest, the component and the data: copy it to another machine, and serve it
/// there without cargo.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd build                   build the environment in this folder
  orwd build examples/counter
  orwd build env.py:MyEnvironment
  orwd serve examples/counter/dist")]
pub(crate) struct Build {
    /// Folder of the environment, or FILE.py or FILE.py:CLASS
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Directory for compiled code and the tools of Python [default: orwd in the
    /// user's cache directory]
    #[arg(long, value_name = "DIR", env = "ORWD_CACHE")]
    cache: Option<PathBuf>,

    /// Folder of wheels for WASI, from which a build of a Python environment
    /// fetches those of native packages. Without it, orwd builds them
    #[arg(long, value_name = "URL", env = "ORWD_WHEEL_INDEX")]
    wheel_index: Option<String>,

    #[command(flatten)]
    admission: LimitFlags<AdmissionLimits>,
}

impl Build {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let path = &self.path;
        let error = |message: String| CommandError::new(format!("{}: {message}", path.display()));
        if let Some(python) = PythonEnvironment::at(path)? {
            return self.build_python(&python);
        }
        if !path.is_dir() {
            return Err(error("no such folder".to_owned()));
        }
        let folder = AuthorFolder::open(path).map_err(|reason| error(reason.to_string()))?;
        if !folder.has(FILE_NAME) {
            return Err(error(format!(
                "not an environment, since it has neither {FILE_NAME} nor env.py, server.py or main.py; create one with `orwd new NAME`"
            )));
        }
        let manifest = Manifest::read(&folder).map_err(|error| {
            CommandError::new(path.join(error.to_string()).display().to_string())
        })?;
        let job = BuildJob {
            folder: &folder,
            manifest: &manifest,
        };
        let built =
            build::build(job, &terminal::note).map_err(|reason| error(reason.to_string()))?;
        let wasm = self.check(&built, TRAIT_ADVICE)?;
        // A folder that has its component and no sources is what `dist` would be.
        let package = match build::has_sources(job) {
            true => {
                Some(build::write_package(job, &wasm).map_err(|reason| error(reason.to_string()))?)
            }
            false => None,
        };
        report(package.as_ref(), built.path(), &wasm)?;
        Ok(CommandStatus::Success)
    }

    /// Returns the cache directory.
    fn cache(&self) -> Result<PathBuf, CommandError> {
        let flags = EnvironmentFlags {
            cache: self.cache.clone(),
            ..EnvironmentFlags::default()
        };
        Ok(flags.resolve(BuildMode::Never)?.cache)
    }

    /// Builds a Python environment, and lays its component out.
    fn build_python(&self, python: &PythonEnvironment) -> Result<CommandStatus, CommandError> {
        let error = |reason: &dyn std::fmt::Display| {
            CommandError::new(format!("{}: {reason}", self.path.display()))
        };
        let places = PythonPlaces {
            cache: &self.cache()?,
            wheel_index: self.wheel_index.as_deref(),
        };
        let built = python.build(places, false, &terminal::note)?;
        let component = ComponentFile::open(&built.component).map_err(|reason| error(&reason))?;
        let wasm = self.check(&component, "it was built by another version of orwd")?;
        let members = python.members(&built)?;
        let contents: Vec<PackageMember<'_>> = members
            .iter()
            .map(|member| PackageMember {
                manifest: &member.manifest,
                text: &member.text,
            })
            .collect();
        let package = build::write_members(python.folder(), &contents, &wasm)
            .map_err(|reason| error(&reason))?;
        for member in &members {
            terminal::print(&format!("environment {}\n", member.manifest.name))?;
        }
        report(Some(&package), component.path(), &wasm)?;
        Ok(CommandStatus::Success)
    }

    /// Checks a component as it is checked before it is served, except that
    /// nothing of it runs. Returns its bytes.
    fn check(&self, built: &ComponentFile, advice: &str) -> Result<Vec<u8>, CommandError> {
        let error = |reason: &dyn std::fmt::Display| {
            CommandError::new(format!("{}: {reason}", built.path().display()))
        };
        let admission = self.admission.resolve();
        let settings = environments::engine_settings(SessionLimits::default(), 1);
        let engine = Engine::new(settings, compiler(admission)?)?;
        let wasm = built
            .read(admission.component)
            .map_err(|reason| error(&reason))?;
        // The first start is faster if there is a cache, and works without one.
        let cache = self
            .cache()
            .ok()
            .and_then(|cache| CodeCache::open(&cache).ok());
        match Component::load(&engine, cache.as_ref(), &wasm) {
            Ok(_) => Ok(wasm),
            Err(mismatch @ ComponentError::WorldMismatch(_)) => {
                Err(error(&format!("{mismatch}\n{advice}")))
            }
            Err(reason) => Err(error(&reason)),
        }
    }
}

fn report(package: Option<&Package>, built: &Path, wasm: &[u8]) -> Result<(), CommandError> {
    let component = package.map_or(built, |package| package.component.as_path());
    terminal::print(&format!(
        "component  {}\nsize       {} bytes\ndigest     {}\n",
        component.display(),
        wasm.len(),
        orwd_model::Digest::of(wasm)
    ))?;
    let Some(package) = package else {
        return Ok(());
    };
    for path in &package.left_out {
        terminal::note(&format!(
            "not in the folder: {:?}; sessions could not read it there",
            path
        ));
    }
    terminal::print(&format!(
        "folder     {}, which serves anywhere: orwd serve {}\n",
        package.folder.display(),
        package.folder.display()
    ))
}
