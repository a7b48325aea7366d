//! Builds components: by cargo, by the folder's own command, or not at all.
//!
//! Each way ends with a file that exists. Compiler output goes to standard error
//! as it is printed, for people; standard output is reserved for the result.
//! Building runs the author's code on this machine, as every build does.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orwd_model::Digest;

use super::cargo;
use super::error::BuildError;
use super::job::{BuildJob, BuiltComponent, Progress};
use crate::manifest::BuildRule;

/// Builds one folder.
pub fn build(job: BuildJob<'_>, progress: Progress<'_>) -> Result<BuiltComponent, BuildError> {
    let results = build_all(&[job], progress);
    results
        .into_iter()
        .next()
        .unwrap_or(Err(BuildError::NotReached))
}

/// Builds folders, and returns one result for each in order. Folders of one
/// cargo workspace share one run of cargo.
pub fn build_all(
    jobs: &[BuildJob<'_>],
    progress: Progress<'_>,
) -> Vec<Result<BuiltComponent, BuildError>> {
    let mut results: Vec<Option<Result<BuiltComponent, BuildError>>> = Vec::new();
    let mut cargo_jobs = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        results.push(match rule(*job) {
            Err(error) => Some(Err(error)),
            Ok(Rule::Cargo) => {
                cargo_jobs.push((index, *job));
                None
            }
            Ok(Rule::Command(command, component)) => {
                progress(&format!(
                    "building {}: {}",
                    job.manifest.name,
                    command.join(" ")
                ));
                Some(run(job.folder, command).and_then(|()| made(component)))
            }
            Ok(Rule::Prebuilt(component)) => Some(prebuilt(component)),
        });
    }
    for (index, result) in cargo::build(&cargo_jobs, progress) {
        if let Some(slot) = results.get_mut(index) {
            *slot = Some(result.and_then(made));
        }
    }
    results
        .into_iter()
        .map(|result| result.unwrap_or(Err(BuildError::NotReached)))
        .collect()
}

/// Finds the component of an earlier build, without building.
pub fn locate(job: BuildJob<'_>) -> Result<BuiltComponent, BuildError> {
    let component = match rule(job)? {
        Rule::Cargo => cargo::locate(job.folder)?,
        Rule::Command(_, component) => component,
        Rule::Prebuilt(component) => return prebuilt(component),
    };
    match made(component) {
        Err(BuildError::NotMade(component)) => Err(BuildError::NotBuilt(component)),
        other => other,
    }
}

/// Build rule of a manifest, with paths joined to the folder.
enum Rule<'a> {
    Cargo,
    Command(&'a [String], PathBuf),
    Prebuilt(PathBuf),
}

fn rule(job: BuildJob<'_>) -> Result<Rule<'_>, BuildError> {
    match &job.manifest.build {
        BuildRule::Cargo if job.folder.join("Cargo.toml").is_file() => Ok(Rule::Cargo),
        BuildRule::Cargo => Err(BuildError::NoRule),
        BuildRule::Command { command, component } => {
            Ok(Rule::Command(command, job.folder.join(component)))
        }
        BuildRule::Prebuilt(component) => Ok(Rule::Prebuilt(job.folder.join(component))),
    }
}

/// Runs a command in a folder, without a shell.
fn run(folder: &Path, words: &[String]) -> Result<(), BuildError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(BuildError::NoRule);
    };
    // Systems resolve a relative program differently, so its path is joined
    // here. A name without a slash is looked up in PATH.
    let found = if program.contains('/') {
        folder
            .canonicalize()
            .unwrap_or_else(|_| folder.to_owned())
            .join(program)
    } else {
        PathBuf::from(program)
    };
    let status = Command::new(found)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .map_err(|reason| BuildError::NotRun {
            program: program.clone(),
            reason,
        })?;
    if status.success() {
        Ok(())
    } else {
        Err(BuildError::Failed {
            program: words.join(" "),
            status,
        })
    }
}

/// Returns a component that needs no build.
fn prebuilt(component: PathBuf) -> Result<BuiltComponent, BuildError> {
    match made(component) {
        Err(BuildError::NotMade(component)) => Err(BuildError::Absent(component)),
        other => other,
    }
}

/// Returns the component of a build.
fn made(component: PathBuf) -> Result<BuiltComponent, BuildError> {
    match std::fs::read(&component) {
        Ok(bytes) => Ok(BuiltComponent {
            size: bytes.len() as u64,
            digest: Digest::of(&bytes),
            component,
        }),
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
            Err(BuildError::NotMade(component))
        }
        Err(reason) => Err(BuildError::Unreadable {
            file: component,
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::testing::Folder;

    fn outcome(folder: &Folder, only_locate: bool) -> String {
        let manifest = Manifest::read(folder.path()).unwrap();
        let job = BuildJob {
            folder: folder.path(),
            manifest: &manifest,
        };
        let result = if only_locate {
            locate(job)
        } else {
            build(job, &|_| {})
        };
        let text = match result {
            Ok(built) => format!("{} {}", built.component.display(), built.size),
            Err(error) => error.to_string(),
        };
        text.replace(&*folder.path().to_string_lossy(), "FOLDER")
    }

    const COMMAND: &str = "name = 'abc'\n[build]\ncommand = ['sh', '-c', 'echo made > out.wasm']\ncomponent = 'out.wasm'\n";

    #[test]
    fn a_command_builds_the_component() {
        let folder = Folder::with(&[("orwd.toml", COMMAND)]);
        assert_eq!(
            outcome(&folder, true),
            "there is no component at FOLDER/out.wasm; run `orwd build`, or omit --no-build"
        );
        assert_eq!(outcome(&folder, false), "FOLDER/out.wasm 5");
        assert_eq!(outcome(&folder, true), "FOLDER/out.wasm 5");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let command = |command: &str| {
            format!("name = 'abc'\n[build]\ncommand = {command}\ncomponent = 'out.wasm'\n")
        };
        for (manifest, expected) in [
            (
                "name = 'abc'".to_owned(),
                "nothing to build: there is no Cargo.toml, and orwd.toml has no [build] with `command` and `component`",
            ),
            (
                command("['sh', '-c', 'exit 3']"),
                "`sh -c exit 3` failed (exit status: 3); see its output above",
            ),
            (
                command("['true']"),
                "the build created no component at FOLDER/out.wasm",
            ),
            (
                command("['no-such-program-here']"),
                "cannot run `no-such-program-here`: No such file or directory (os error 2)",
            ),
            (
                "name = 'abc'\nbuild.component = 'out.wasm'".to_owned(),
                "there is no component at FOLDER/out.wasm; check `build.component` in orwd.toml",
            ),
        ] {
            let folder = Folder::with(&[("orwd.toml", &manifest)]);
            assert_eq!(outcome(&folder, false), expected, "{manifest}");
        }
    }

    #[test]
    fn runs_a_program_in_the_folder() {
        let folder = Folder::with(&[(
            "orwd.toml",
            "name = 'abc'\n[build]\ncommand = ['./make.sh', 'a b']\ncomponent = 'a b'\n",
        )]);
        // Written by another process: a file that is open for writing here is
        // also open in processes that other tests start, and could not be run.
        let script = "#!/bin/sh\necho \"$1\" > \"$1\"\n";
        let write = "printf '%s' \"$0\" > make.sh && chmod +x make.sh";
        let written = Command::new("sh")
            .args(["-c", write, script])
            .current_dir(folder.path())
            .status();
        assert!(written.unwrap().success());
        assert_eq!(outcome(&folder, false), "FOLDER/a b 4");
    }

    fn member(name: &str, library: &str) -> String {
        format!("[package]\nname = '{name}'\nedition = '2024'\n[lib]\n{library}\n")
    }

    #[test]
    fn a_failed_package_does_not_stop_cargo_from_building_others() {
        let library = "crate-type = ['cdylib']";
        let folder = Folder::with(&[
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['good', 'bad', 'rlib']\nresolver = '3'",
            ),
            ("good/Cargo.toml", &member("good-one", library)),
            ("good/src/lib.rs", ""),
            ("bad/Cargo.toml", &member("bad", library)),
            ("bad/src/lib.rs", "this is not Rust"),
            ("rlib/Cargo.toml", &member("rlib", "")),
            ("rlib/src/lib.rs", ""),
        ]);
        let manifest = Manifest::parse("name = 'abc'").unwrap();
        let folders = ["bad", "good", "rlib", ""].map(|name| folder.path().join(name));
        let jobs = folders.each_ref().map(|folder| BuildJob {
            folder,
            manifest: &manifest,
        });
        let outcomes: Vec<String> = build_all(&jobs, &|_| {})
            .into_iter()
            .map(|outcome| match outcome {
                Ok(built) => built
                    .component
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into(),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(
            outcomes,
            [
                "`cargo build` failed (exit status: 101); see its output above",
                "good_one.wasm",
                "package rlib has no component: set crate-type = [\"cdylib\"] in [lib] of its Cargo.toml",
                "Cargo.toml has no package",
            ]
        );
        let located = locate(jobs[1]).unwrap();
        assert!(located.size > 0, "{located:?}");
    }
}
