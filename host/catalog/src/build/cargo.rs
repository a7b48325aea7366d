//! Builds by cargo.
//!
//! cargo itself reports the packages of a workspace, its target directory and
//! the files it built, so nothing is guessed from names. A workspace with a
//! profile `component` is built with that profile, others with `release`: what
//! suits a component (small, link-time optimised) may not suit the rest of the
//! workspace. Folders of one workspace are built by one run of cargo. A package
//! that fails does not stop the others.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use super::error::BuildError;
use super::job::{BuildJob, Progress, TARGET};
use super::last_build::profile;
use super::process::{self, BuildProcess};

/// Index of a job, and its component.
type Outcome = (usize, Result<PathBuf, BuildError>);

/// The needed part of the output of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    id: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Target {
    fn is_cdylib(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

/// One line of the output of `cargo build`.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Packages of one workspace.
struct Group<'a> {
    metadata: Metadata,
    members: Vec<Member<'a>>,
}

/// A package to build.
struct Member<'a> {
    /// Index of the job.
    index: usize,
    job: BuildJob<'a>,
    /// Id of the package.
    package: String,
}

/// Builds folders that have a `Cargo.toml`. Each outcome has the index of its
/// job.
pub(super) fn build(jobs: &[(usize, BuildJob<'_>)], progress: Progress<'_>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, job) in jobs {
        if let Err(error) = assign(*index, *job, &mut groups) {
            outcomes.push((*index, Err(error)));
        }
    }
    for group in &groups {
        build_group(group, progress, &mut outcomes);
    }
    outcomes
}

/// Adds a job to the group of its workspace.
fn assign<'a>(
    index: usize,
    job: BuildJob<'a>,
    groups: &mut Vec<Group<'a>>,
) -> Result<(), BuildError> {
    let member = |package: &Package| {
        library(package)?;
        Ok::<_, BuildError>(Member {
            index,
            job,
            package: package.id.clone(),
        })
    };
    for group in groups.iter_mut() {
        if let Some(package) = package(&group.metadata, job.folder.path()) {
            group.members.push(member(package)?);
            return Ok(());
        }
    }
    let metadata = metadata(job.folder.path())?;
    let package = package(&metadata, job.folder.path()).ok_or(BuildError::NoPackage)?;
    let members = vec![member(package)?];
    groups.push(Group { metadata, members });
    Ok(())
}

fn build_group(group: &Group<'_>, progress: Progress<'_>, outcomes: &mut Vec<Outcome>) {
    let Some(first) = group.members.first() else {
        return;
    };
    let folder = first.job.folder.path();
    let names = group
        .members
        .iter()
        .map(|member| member.job.manifest.name.as_str());
    let names: Vec<&str> = names.collect();
    let names = names.join(", ");
    let packages = group.members.iter().map(|member| member.package.as_str());
    let profile = profile(&group.metadata.workspace_root);
    progress(&format!(
        "building {names} in {}: cargo build --profile {profile} --target {TARGET}",
        folder.display()
    ));
    let result = ensure_target(folder, progress).and_then(|()| compile(folder, profile, packages));
    // The error is reported once; the other packages were not reached.
    let (mut built, mut error) = match result {
        Ok((built, error)) => (built, error),
        Err(error) => (HashMap::new(), Some(error)),
    };
    for member in &group.members {
        let outcome = match built.remove(&member.package) {
            Some(component) => Ok(component),
            None => Err(error.take().unwrap_or(BuildError::NotReached)),
        };
        outcomes.push((member.index, outcome));
    }
}

/// Runs cargo. Returns the built components by package, and the error if some
/// are missing.
fn compile<'i>(
    folder: &Path,
    profile: &str,
    packages: impl Iterator<Item = &'i str>,
) -> Result<(HashMap<String, PathBuf>, Option<BuildError>), BuildError> {
    let mut command = process::command("cargo");
    command
        .current_dir(folder)
        .args(["build", "--profile", profile, "--keep-going"])
        .args(["--target", TARGET])
        .arg("--message-format=json-render-diagnostics");
    for package in packages {
        command.args(["--package", package]);
    }
    command.stdout(Stdio::piped());
    let mut process = BuildProcess::start(&mut command).map_err(not_run)?;
    let mut built = HashMap::new();
    if let Some(output) = process.stdout() {
        // Build scripts may print lines of their own, which are skipped.
        let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
        built.extend(lines.filter_map(|line| component(&String::from_utf8_lossy(&line))));
    }
    let status = process.wait().map_err(not_run)?;
    let error = (!status.success()).then(|| BuildError::Failed {
        program: "cargo build".to_owned(),
        status,
    });
    Ok((built, error))
}

/// Returns the component that a line of output reports, with its package.
fn component(line: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" || !message.target?.is_cdylib() {
        return None;
    }
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|end| end == "wasm");
    let file = message.filenames.into_iter().find(is_wasm)?;
    Some((message.package_id?, file))
}

fn metadata(folder: &Path) -> Result<Metadata, BuildError> {
    let output = process::command("cargo")
        .current_dir(folder)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(not_run)?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            program: "cargo metadata".to_owned(),
            status: output.status,
        });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| BuildError::Output(error.to_string()))
}

fn package<'m>(metadata: &'m Metadata, folder: &Path) -> Option<&'m Package> {
    let manifest = folder.join("Cargo.toml").canonicalize().ok()?;
    metadata.packages.iter().find(|package| {
        let path = package.manifest_path.canonicalize();
        path.ok().as_ref() == Some(&manifest)
    })
}

fn library(package: &Package) -> Result<&Target, BuildError> {
    let mut targets = package.targets.iter();
    targets
        .find(|target| target.is_cdylib())
        .ok_or_else(|| BuildError::NoLibrary {
            package: package.name.clone(),
        })
}

/// Ensures that the target's standard library is installed. The check runs in
/// the folder, which may choose its own toolchain.
fn ensure_target(folder: &Path, progress: Progress<'_>) -> Result<(), BuildError> {
    let libdir = process::command("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .stderr(Stdio::null())
        .output();
    let installed = match libdir {
        Ok(output) => {
            let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success() && Path::new(&path).is_dir()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BuildError::NoCargo),
        Err(_) => false,
    };
    if installed {
        return Ok(());
    }
    progress(&format!("adding Rust's target {TARGET} with rustup"));
    let mut add = process::command("rustup");
    add.args(["target", "add", TARGET]).current_dir(folder);
    match process::run(add.stdout(io::stderr())) {
        Ok(status) if status.success() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BuildError::NoTarget),
        Ok(_) | Err(_) => Err(BuildError::TargetNotAdded),
    }
}

fn not_run(reason: io::Error) -> BuildError {
    if reason.kind() == io::ErrorKind::NotFound {
        return BuildError::NoCargo;
    }
    BuildError::NotRun {
        program: "cargo".to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_the_cdylib_and_nothing_else() {
        let artifact = |reason: &str, kind: &str, files: &str| {
            format!(
                r#"{{"reason":"{reason}","package_id":"p","target":{{"name":"n","crate_types":["{kind}"]}},"filenames":[{files}]}}"#
            )
        };
        for (line, expected) in [
            (
                artifact("compiler-artifact", "cdylib", r#""/t/n.d","/t/n.wasm""#),
                Some("/t/n.wasm"),
            ),
            (
                artifact("compiler-artifact", "rlib", r#""/t/n.wasm""#),
                None,
            ),
            (artifact("compiler-artifact", "bin", r#""/t/n.wasm""#), None),
            (artifact("compiler-artifact", "cdylib", ""), None),
            (
                r#"{"reason":"build-finished","success":true}"#.to_owned(),
                None,
            ),
            ("hello".to_owned(), None),
        ] {
            let got = component(&line);
            let expected = expected.map(|file| ("p".to_owned(), PathBuf::from(file)));
            assert_eq!(got, expected, "{line}");
        }
    }
}
