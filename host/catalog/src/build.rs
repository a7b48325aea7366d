//! From an environment's folder to its component.
//!
//! A folder is built by cargo, by a command of its own, or not at all; either
//! way the answer is a file that is there. What a compiler prints goes to
//! standard error as it comes, where a person sees both progress and
//! mistakes; standard output is left to our own words. Building runs the
//! author's code on this machine, as every build does: a folder is as trusted
//! as its build.

mod cargo;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::manifest::{BuildRule, FILE_NAME, Manifest};
use orwd_model::Digest;

pub use cargo::TARGET;

/// A component that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The file.
    pub component: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// One folder to build.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Its manifest.
    pub manifest: &'a Manifest,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nothing says how.
    #[error(
        "there is nothing to build: it has no Cargo.toml, and its {FILE_NAME} no [build] with `command` and `component`"
    )]
    NoRule,
    /// cargo is missing.
    #[error(
        "cargo is not installed, and this environment is built by it: install Rust from https://rustup.rs and try again"
    )]
    NoCargo,
    /// The compiler cannot make components, and we cannot change that.
    #[error(
        "Rust's standard library for {TARGET} is missing, and there is no rustup to add it: install Rust from https://rustup.rs, or your system's package for that target"
    )]
    NoTarget,
    /// rustup could not add the target.
    #[error(
        "Rust's standard library for {TARGET} is missing; add it by: rustup target add {TARGET}"
    )]
    TargetNotAdded,
    /// A program could not be started.
    #[error("`{program}` cannot be run: {reason}")]
    NotRun {
        /// Which.
        program: String,
        /// Why.
        reason: io::Error,
    },
    /// A program ended badly; what it printed says why.
    #[error("`{program}` failed ({status}); its output is above")]
    Failed {
        /// Which.
        program: String,
        /// How.
        status: ExitStatus,
    },
    /// The compiler did not get to this one.
    #[error("it was not built, because cargo failed; its output is above")]
    NotReached,
    /// cargo said something that we do not understand.
    #[error("cargo's answer cannot be read: {0}")]
    Answer(String),
    /// The package makes no component.
    #[error(
        "the package {package} makes no component: say crate-type = [\"cdylib\"] under [lib] in its Cargo.toml"
    )]
    NoLibrary {
        /// Its name.
        package: String,
    },
    /// `Cargo.toml` is there but no package.
    #[error("its Cargo.toml describes no package")]
    NoPackage,
    /// The build went well but left no file where it should be.
    #[error("the build left no component at {}", .0.display())]
    NotMade(PathBuf),
    /// There is no component, and none shall be built.
    #[error("there is no component at {}, and nothing shall be built; run `orwd build` first", .0.display())]
    NotBuilt(PathBuf),
    /// The manifest says that it is there, and it is not.
    #[error("there is no component at {}, where {FILE_NAME} says that it is", .0.display())]
    Absent(PathBuf),
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

/// Tells a person what goes on.
pub type Progress<'a> = &'a dyn Fn(&str);

/// Builds one folder.
pub fn build(job: Job<'_>, progress: Progress<'_>) -> Result<Built, BuildError> {
    let results = build_all(&[job], progress);
    results
        .into_iter()
        .next()
        .unwrap_or(Err(BuildError::NotReached))
}

/// Builds folders, one result for each in their order. Those that share a
/// cargo workspace share one start of cargo.
pub fn build_all(jobs: &[Job<'_>], progress: Progress<'_>) -> Vec<Result<Built, BuildError>> {
    let mut results: Vec<Option<Result<Built, BuildError>>> = Vec::new();
    let mut cargo_jobs = Vec::new();
    for (place, job) in jobs.iter().enumerate() {
        results.push(match rule(*job) {
            Err(error) => Some(Err(error)),
            Ok(Rule::Cargo) => {
                cargo_jobs.push((place, *job));
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
            Ok(Rule::Ready(component)) => Some(ready(component)),
        });
    }
    for (place, result) in cargo::build(&cargo_jobs, progress) {
        if let Some(slot) = results.get_mut(place) {
            *slot = Some(result.and_then(made));
        }
    }
    results
        .into_iter()
        .map(|result| result.unwrap_or(Err(BuildError::NotReached)))
        .collect()
}

/// Finds what an earlier build left, and builds nothing.
pub fn locate(job: Job<'_>) -> Result<Built, BuildError> {
    let component = match rule(job)? {
        Rule::Cargo => cargo::locate(job.folder)?,
        Rule::Command(_, component) => component,
        Rule::Ready(component) => return ready(component),
    };
    match made(component) {
        Err(BuildError::NotMade(component)) => Err(BuildError::NotBuilt(component)),
        other => other,
    }
}

/// A manifest's rule, with paths from the folder.
enum Rule<'a> {
    Cargo,
    Command(&'a [String], PathBuf),
    Ready(PathBuf),
}

fn rule(job: Job<'_>) -> Result<Rule<'_>, BuildError> {
    match &job.manifest.build {
        BuildRule::Cargo if job.folder.join("Cargo.toml").is_file() => Ok(Rule::Cargo),
        BuildRule::Cargo => Err(BuildError::NoRule),
        BuildRule::Command { command, component } => {
            Ok(Rule::Command(command, job.folder.join(component)))
        }
        BuildRule::Ready(component) => Ok(Rule::Ready(job.folder.join(component))),
    }
}

/// Runs a command in a folder, without a shell.
fn run(folder: &Path, words: &[String]) -> Result<(), BuildError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(BuildError::NoRule);
    };
    // Where a relative program is looked for differs between systems; a name
    // without a slash is looked up in PATH.
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

/// The file that was there without a build.
fn ready(component: PathBuf) -> Result<Built, BuildError> {
    match made(component) {
        Err(BuildError::NotMade(component)) => Err(BuildError::Absent(component)),
        other => other,
    }
}

/// The file that a build should have left.
fn made(component: PathBuf) -> Result<Built, BuildError> {
    match std::fs::read(&component) {
        Ok(bytes) => Ok(Built {
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
    use crate::testing::Folder;

    fn outcome(folder: &Folder, only_locate: bool) -> String {
        let manifest = Manifest::read(folder.path()).unwrap();
        let job = Job {
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
    fn a_command_makes_the_component() {
        let folder = Folder::with(&[("orwd.toml", COMMAND)]);
        assert_eq!(
            outcome(&folder, true),
            "there is no component at FOLDER/out.wasm, and nothing shall be built; run `orwd build` first"
        );
        assert_eq!(outcome(&folder, false), "FOLDER/out.wasm 5");
        assert_eq!(outcome(&folder, true), "FOLDER/out.wasm 5");
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let command = |command: &str| {
            format!("name = 'abc'\n[build]\ncommand = {command}\ncomponent = 'out.wasm'\n")
        };
        for (manifest, expected) in [
            (
                "name = 'abc'".to_owned(),
                "there is nothing to build: it has no Cargo.toml, and its orwd.toml no [build] with `command` and `component`",
            ),
            (
                command("['sh', '-c', 'exit 3']"),
                "`sh -c exit 3` failed (exit status: 3); its output is above",
            ),
            (
                command("['true']"),
                "the build left no component at FOLDER/out.wasm",
            ),
            (
                command("['no-such-program-here']"),
                "`no-such-program-here` cannot be run: No such file or directory (os error 2)",
            ),
            (
                "name = 'abc'\nbuild.component = 'out.wasm'".to_owned(),
                "there is no component at FOLDER/out.wasm, where orwd.toml says that it is",
            ),
        ] {
            let folder = Folder::with(&[("orwd.toml", &manifest)]);
            assert_eq!(outcome(&folder, false), expected, "{manifest}");
        }
    }

    #[test]
    fn a_program_of_the_folder_is_run_from_there() {
        let folder = Folder::with(&[(
            "orwd.toml",
            "name = 'abc'\n[build]\ncommand = ['./make.sh', 'a b']\ncomponent = 'a b'\n",
        )]);
        // Written by another process: one that is open for writing here is
        // also open in whatever a test beside this one is just starting, and
        // could not be run.
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

    /// A workspace of its own, with cargo at work.
    #[test]
    fn one_that_fails_does_not_keep_cargo_from_the_others() {
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
        let jobs = folders.each_ref().map(|folder| Job {
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
                "`cargo build` failed (exit status: 101); its output is above",
                "good_one.wasm",
                "the package rlib makes no component: say crate-type = [\"cdylib\"] under [lib] in its Cargo.toml",
                "its Cargo.toml describes no package",
            ]
        );
        let located = locate(jobs[1]).unwrap();
        assert!(located.size > 0, "{located:?}");
    }
}
