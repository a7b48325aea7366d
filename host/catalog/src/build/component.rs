//! Builds components: by cargo, by the folder's own command, or not at all.
//!
//! Each way ends with an open file. Compiler output goes to standard error as it
//! is printed, for people; standard output is reserved for the result. Building
//! runs the author's code on this machine, as every build does, so each command
//! is reported before it runs.

use std::io;
use std::path::{Path, PathBuf};

use super::cargo;
use super::error::BuildError;
use super::job::{BuildJob, Progress};
use super::last_build::{self, CARGO_MANIFEST};
use super::process;
use crate::files::ComponentFile;
use crate::manifest::BuildRule;

/// Returns whether a folder has anything to build.
pub fn has_sources(job: BuildJob<'_>) -> bool {
    match job.manifest.build {
        BuildRule::Cargo => job.folder.has(CARGO_MANIFEST),
        BuildRule::Command { .. } => true,
        // Built before the folder is looked at; see `orwd-python-build`.
        BuildRule::Prebuilt(_) | BuildRule::Python(_) => false,
    }
}

/// Builds one folder.
pub fn build(job: BuildJob<'_>, progress: Progress<'_>) -> Result<ComponentFile, BuildError> {
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
) -> Vec<Result<ComponentFile, BuildError>> {
    let mut results: Vec<Option<Result<ComponentFile, BuildError>>> = Vec::new();
    let mut cargo_jobs = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        results.push(match &job.manifest.build {
            _ if !has_sources(*job) => Some(last_build::locate(*job)),
            BuildRule::Command { command, component } => {
                progress(&format!(
                    "building {} in {}: {command:?}",
                    job.manifest.name,
                    job.folder.path().display()
                ));
                let built = run(job.folder.path(), command);
                Some(built.and_then(|()| last_build::made(job.folder, component)))
            }
            BuildRule::Cargo | BuildRule::Prebuilt(_) | BuildRule::Python(_) => {
                cargo_jobs.push((index, *job));
                None
            }
        });
    }
    for (index, result) in cargo::build(&cargo_jobs, progress) {
        if let Some(slot) = results.get_mut(index) {
            *slot = Some(result.and_then(last_build::made_by_cargo));
        }
    }
    results
        .into_iter()
        .map(|result| result.unwrap_or(Err(BuildError::NotReached)))
        .collect()
}

/// Runs a command in a folder, without a shell.
fn run(folder: &Path, words: &[String]) -> Result<(), BuildError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(BuildError::NotReached);
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
    let mut command = process::command(found);
    command.args(arguments).current_dir(folder);
    let status =
        process::run(command.stdout(io::stderr())).map_err(|reason| BuildError::NotRun {
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::files::AuthorFolder;
    use crate::manifest::Manifest;
    use crate::testing::Folder;

    fn size(component: &ComponentFile) -> usize {
        component.read(u64::MAX).unwrap().len()
    }

    fn outcome(folder: &Folder, only_locate: bool) -> String {
        let author = AuthorFolder::open(folder.path()).unwrap();
        let manifest = Manifest::read(&author).unwrap();
        let job = BuildJob {
            folder: &author,
            manifest: &manifest,
        };
        let result = if only_locate {
            last_build::locate(job)
        } else {
            build(job, &|_| {})
        };
        let text = match result {
            Ok(built) => format!("{} {}", built.path().display(), size(&built)),
            Err(error) => error.to_string(),
        };
        text.replace(&*folder.path().to_string_lossy(), "FOLDER")
    }

    const COMMAND: &str = "name = 'abc'\n[build]\ncommand = ['sh', '-c', 'echo made > out.wasm']\ncomponent = 'out.wasm'\n";

    #[test]
    fn a_command_builds_the_component() {
        let folder = Folder::with(&[("orwd.toml", COMMAND)]);
        let missing = outcome(&folder, true);
        let expected = "it is not built: there is no component at FOLDER/out.wasm.";
        assert!(missing.starts_with(expected), "{missing}");
        assert!(missing.contains("`orwd build FOLDER`"), "{missing}");
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
                "there is no component: put abc.wasm into the folder, or add Cargo.toml or [build] to build one",
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
        let folders = ["bad", "good", "rlib", ""].map(|name| {
            let path = folder.path().join(name);
            AuthorFolder::open(&path).unwrap()
        });
        let jobs = folders.each_ref().map(|folder| BuildJob {
            folder,
            manifest: &manifest,
        });
        let outcomes: Vec<String> = build_all(&jobs, &|_| {})
            .into_iter()
            .map(|outcome| match outcome {
                Ok(built) => built.path().file_name().unwrap().to_string_lossy().into(),
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
        let located = last_build::locate(jobs[1]).unwrap();
        assert!(size(&located) > 0, "{located:?}");
    }
}
