//! Building by cargo.
//!
//! cargo itself says which packages a workspace has, where its output goes and
//! what it made: nothing is guessed from names. A workspace that defines a
//! profile `component` is built with that, since what suits a component (small,
//! optimised as a whole) may not suit the rest of it; others with `release`. Folders of one workspace are
//! built by one start of cargo, which saves a fifth of a second for each; one
//! that fails does not keep cargo from the others.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{BuildError, Job, Progress};

/// What components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

type Outcome = (usize, Result<PathBuf, BuildError>);

/// What `cargo metadata` says, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
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
    name: String,
    crate_types: Vec<String>,
}

/// One line of what `cargo build` reports.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The packages of one workspace that are to be built.
struct Group<'a> {
    metadata: Metadata,
    /// The place of the job, its folder and name, and the package's id.
    members: Vec<(usize, Job<'a>, String)>,
}

/// Builds folders that have a `Cargo.toml`; the outcomes bear the places that
/// came with the jobs.
pub(super) fn build(jobs: &[(usize, Job<'_>)], progress: Progress<'_>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (place, job) in jobs {
        if let Err(error) = assign(*place, *job, &mut groups) {
            outcomes.push((*place, Err(error)));
        }
    }
    for group in &groups {
        build_group(group, progress, &mut outcomes);
    }
    outcomes
}

/// Where cargo leaves the component of a folder.
pub(super) fn locate(folder: &Path) -> Result<PathBuf, BuildError> {
    let metadata = metadata(folder)?;
    let library = library(package(&metadata, folder).ok_or(BuildError::NoPackage)?)?;
    let file = format!("{}.wasm", library.name.replace('-', "_"));
    let output = metadata.target_directory.join(TARGET);
    let output = output.join(profile(&metadata.workspace_root));
    Ok(output.join(file))
}

fn assign<'a>(place: usize, job: Job<'a>, groups: &mut Vec<Group<'a>>) -> Result<(), BuildError> {
    for group in groups.iter_mut() {
        if let Some(package) = package(&group.metadata, job.folder) {
            library(package)?;
            group.members.push((place, job, package.id.clone()));
            return Ok(());
        }
    }
    let metadata = metadata(job.folder)?;
    let package = package(&metadata, job.folder).ok_or(BuildError::NoPackage)?;
    library(package)?;
    let members = vec![(place, job, package.id.clone())];
    groups.push(Group { metadata, members });
    Ok(())
}

fn build_group(group: &Group<'_>, progress: Progress<'_>, outcomes: &mut Vec<Outcome>) {
    let Some((_, first, _)) = group.members.first() else {
        return;
    };
    let names: Vec<&str> = group
        .members
        .iter()
        .map(|(_, job, _)| job.manifest.name.as_str())
        .collect();
    progress(&format!("building {} with cargo", names.join(", ")));
    let ids = group.members.iter().map(|(_, _, id)| id.as_str());
    let profile = profile(&group.metadata.workspace_root);
    let result =
        ensure_target(first.folder, progress).and_then(|()| compile(first.folder, profile, ids));
    // An error can be told once; the others were not reached.
    let (mut made, mut error) = match result {
        Ok((made, None)) => (made, None),
        Ok((made, Some(error))) => (made, Some(error)),
        Err(error) => (HashMap::new(), Some(error)),
    };
    for (place, _, id) in &group.members {
        let outcome = match made.remove(id) {
            Some(component) => Ok(component),
            None => Err(error.take().unwrap_or(BuildError::NotReached)),
        };
        outcomes.push((*place, outcome));
    }
}

/// Runs cargo, and gives the components that it made by package; and the
/// error, if it did not make all of them.
fn compile<'i>(
    folder: &Path,
    profile: &str,
    ids: impl Iterator<Item = &'i str>,
) -> Result<(HashMap<String, PathBuf>, Option<BuildError>), BuildError> {
    let mut command = cargo(folder);
    command
        .args(["build", "--profile", profile, "--keep-going"])
        .args(["--target", TARGET])
        .arg("--message-format=json-render-diagnostics");
    for id in ids {
        command.args(["--package", id]);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(not_run)?;
    let mut made = HashMap::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            // A build script may print lines of its own among the messages.
            let Some(message) = line.ok().and_then(|line| read_message(&line)) else {
                continue;
            };
            if let Some((id, component)) = component(message) {
                made.insert(id, component);
            }
        }
    }
    let status = child.wait().map_err(not_run)?;
    let error = (!status.success()).then(|| BuildError::Failed {
        program: "cargo build".to_owned(),
        status,
    });
    Ok((made, error))
}

fn read_message(line: &str) -> Option<Message> {
    serde_json::from_str(line).ok()
}

/// The component that a message tells of, with its package.
fn component(message: Message) -> Option<(String, PathBuf)> {
    let is_library = message.target.is_some_and(|target| target.is_cdylib());
    if message.reason != "compiler-artifact" || !is_library {
        return None;
    }
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|end| end == "wasm");
    let file = message.filenames.into_iter().find(is_wasm)?;
    Some((message.package_id?, file))
}

impl Target {
    fn is_cdylib(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

fn metadata(folder: &Path) -> Result<Metadata, BuildError> {
    let output = cargo(folder)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(not_run)?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            program: "cargo metadata".to_owned(),
            status: output.status,
        });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| BuildError::Answer(error.to_string()))
}

/// The profile that a workspace has for components. A file that cannot be read
/// is cargo's to complain about.
fn profile(workspace_root: &Path) -> &'static str {
    let own = std::fs::read_to_string(workspace_root.join("Cargo.toml"))
        .ok()
        .and_then(|text| text.parse::<toml::Table>().ok())
        .is_some_and(|table| {
            let profiles = table.get("profile").and_then(toml::Value::as_table);
            profiles.is_some_and(|profiles| profiles.contains_key("component"))
        });
    if own { "component" } else { "release" }
}

fn package<'m>(metadata: &'m Metadata, folder: &Path) -> Option<&'m Package> {
    let manifest = folder.join("Cargo.toml").canonicalize().ok()?;
    metadata
        .packages
        .iter()
        .find(|package| package.manifest_path.canonicalize().ok().as_ref() == Some(&manifest))
}

fn library(package: &Package) -> Result<&Target, BuildError> {
    let mut targets = package.targets.iter();
    targets
        .find(|target| target.is_cdylib())
        .ok_or_else(|| BuildError::NoLibrary {
            package: package.name.clone(),
        })
}

/// Sees to it that the compiler has the target's standard library. Asked in
/// the folder, because that may choose its own toolchain.
fn ensure_target(folder: &Path, progress: Progress<'_>) -> Result<(), BuildError> {
    let answer = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let installed = match answer {
        Ok(answer) => {
            let path = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            answer.status.success() && Path::new(&path).is_dir()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BuildError::NoCargo),
        Err(_) => false,
    };
    if installed {
        return Ok(());
    }
    progress(&format!("adding Rust's target {TARGET} with rustup"));
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BuildError::NoTarget),
        Ok(_) | Err(_) => Err(BuildError::TargetNotAdded),
    }
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(folder);
    command
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
    fn a_workspace_with_a_profile_for_components_is_built_with_it() {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        assert_eq!(profile(&ours), "component");
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/templates/counter");
        assert_eq!(profile(&template), "release");
        assert_eq!(profile(&ours.join("no-such-folder")), "release");
    }

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
            let got = read_message(&line).and_then(component);
            let expected = expected.map(|file| ("p".to_owned(), PathBuf::from(file)));
            assert_eq!(got, expected, "{line}");
        }
    }
}
