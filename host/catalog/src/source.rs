//! Discovers environments that can be loaded.
//!
//! A path is a component file, an environment's folder, or a folder of those.
//! Everything that does not require running a guest is checked here, before
//! anything is served: names, manifests, data directories, builds. A problem of
//! one environment does not affect the others, and names its path.

mod data;
mod error;
mod find;

use std::path::{Path, PathBuf};

use orwd_config::{BuildMode, CappedLimit, Paths};
use orwd_model::{AdmissionLimits, DataMode, EnvName, SessionLimits};
use orwd_sandbox::{DataDir, DataRules, PrivatePlaces};

use crate::build::{self, BuildError, BuildJob, Progress};
use crate::files::ComponentFile;
use crate::manifest::Manifest;
use crate::spec::{EnvironmentNetwork, EnvironmentSpec};
use find::{Candidate, Kind};

pub use error::{DataFlagError, SourceError, SourceProblem};
pub use find::{BuiltEnvironment, Served};

/// An environment that can be loaded.
#[derive(Clone, Debug)]
pub struct EnvironmentSource {
    /// Name that clients use.
    pub name: EnvName,
    /// File of the component.
    pub component: ComponentFile,
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
        self.folder.as_deref().unwrap_or(self.component.path())
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
            network: EnvironmentNetwork::default(),
            toolsets: self.manifest.toolsets.clone(),
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

/// Finds the environments at these paths. Builds the components that may be
/// built; `own` are folders whose environments count as this user's.
pub fn discover<S: Into<Served>>(
    paths: impl IntoIterator<Item = S>,
    config: &Paths,
    own: &[PathBuf],
    limits: &AdmissionLimits,
    progress: Progress<'_>,
) -> Result<Discovered, DataFlagError> {
    let mut problems = Vec::new();
    let mut found = find::find(paths, &mut problems);
    data::check_flags(&config.data, &found, problems.is_empty())?;
    find::drop_duplicates(&mut found, &mut problems);
    let rules = DataRules::new(PrivatePlaces::new(&config.private), limits);
    let mut with_data = Vec::new();
    for candidate in found {
        match data::open(&candidate, &config.data, &rules) {
            Ok(data) => with_data.push((candidate, data)),
            Err(error) => problems.push(candidate.problem(error)),
        }
    }
    let is_own = |folder: &Path| is_own(folder, config, own);
    let components = components(&with_data, config.build, is_own, progress);
    let mut sources = Vec::new();
    for ((candidate, data), component) in with_data.into_iter().zip(components) {
        match component {
            Ok(component) => sources.push(source(candidate, component, data, config)),
            Err(error) => problems.push(candidate.problem(error)),
        }
    }
    Ok(Discovered { sources, problems })
}

/// Returns whether the user has created a folder, or it is in one of these.
fn is_own(folder: &Path, config: &Paths, own: &[PathBuf]) -> bool {
    let created = config.created_folders.as_deref();
    created.is_some_and(|file| build::is_created(file, folder))
        || folder
            .canonicalize()
            .is_ok_and(|real| own.iter().any(|parent| real.starts_with(parent)))
}

/// Returns the data mode. Sharing requires the manifest, the operator, and a
/// data directory.
fn mode(candidate: &Candidate, config: &Paths, has_data: bool) -> DataMode {
    match &candidate.manifest.mode {
        DataMode::Shared(_) if !(config.writable_data && has_data) => DataMode::Session,
        mode => mode.clone(),
    }
}

/// Returns the component of each environment: built now, or from its last build.
fn components(
    found: &[(Candidate, Option<DataDir>)],
    mode: BuildMode,
    is_own: impl Fn(&Path) -> bool,
    progress: Progress<'_>,
) -> Vec<Result<ComponentFile, BuildError>> {
    let may_build = |job: BuildJob<'_>| match mode {
        BuildMode::Never => false,
        BuildMode::Own => is_own(job.folder.path()),
        BuildMode::All => true,
    };
    let mut jobs = Vec::new();
    let mut components: Vec<Option<Result<ComponentFile, BuildError>>> = Vec::new();
    for (index, (candidate, _)) in found.iter().enumerate() {
        let folder = match &candidate.kind {
            Kind::File(component) | Kind::Built(_, component) => {
                components.push(Some(Ok(component.clone())));
                continue;
            }
            Kind::Folder(folder) => folder,
        };
        let manifest = &candidate.manifest;
        let job = BuildJob { folder, manifest };
        components.push(if build::has_sources(job) && may_build(job) {
            jobs.push((index, job));
            None
        } else {
            Some(build::locate(job).inspect(|_| note_last_build(job, mode, progress)))
        });
    }
    let to_build: Vec<BuildJob<'_>> = jobs.iter().map(|(_, job)| *job).collect();
    let built = build::build_all(&to_build, progress);
    for ((index, job), built) in jobs.into_iter().zip(built) {
        let built = match built {
            Err(BuildError::NoCargo) if mode == BuildMode::Own => without_cargo(job, progress),
            built => built,
        };
        if let Some(slot) = components.get_mut(index) {
            *slot = Some(built);
        }
    }
    components
        .into_iter()
        .map(|component| component.unwrap_or(Err(BuildError::NotReached)))
        .collect()
}

/// Says that a folder with sources is not built, unless the operator asked for
/// that.
fn note_last_build(job: BuildJob<'_>, mode: BuildMode, progress: Progress<'_>) {
    if mode == BuildMode::Own && build::has_sources(job) {
        progress(&format!(
            "{}: using the component of its last build, since `orwd new` did not create {} here; \
             pass --build to build it first",
            job.manifest.name,
            job.folder.path().display()
        ));
    }
}

/// Takes the last build where nobody asked for a new one and there is no cargo.
fn without_cargo(job: BuildJob<'_>, progress: Progress<'_>) -> Result<ComponentFile, BuildError> {
    let last = build::locate(job).map_err(|_| BuildError::NoCargo)?;
    progress(&format!(
        "{}: cargo is not installed; using the component of its last build",
        job.manifest.name
    ));
    Ok(last)
}

fn source(
    candidate: Candidate,
    component: ComponentFile,
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
            Kind::Folder(folder) | Kind::Built(folder, _) => Some(folder.path().to_owned()),
            Kind::File(_) => None,
        },
    }
}

#[cfg(test)]
mod tests;
