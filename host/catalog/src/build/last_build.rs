//! Finds the component of the last build, without running anything.
//!
//! Not even cargo is asked: it runs what the author's folder configures, such as
//! another compiler. Its convention is followed instead: the component of a
//! package is `target/TARGET/PROFILE/NAME.wasm` of its workspace.

use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::BuildError;
use super::job::{BuildJob, TARGET};
use crate::files::{AuthorFolder, ComponentFile, open_regular, read_whole};
use crate::manifest::BuildRule;

/// Folder in which `orwd build` leaves what can be served elsewhere.
pub const DIST: &str = "dist";

/// Manifest of a cargo package.
pub(super) const CARGO_MANIFEST: &str = "Cargo.toml";

/// Bytes of a `Cargo.toml`.
const MAX_SIZE: u64 = 4 << 20;

/// Entries of a folder that are searched for a component.
const MAX_ENTRIES: usize = 10_000;

/// Finds the component of an earlier build, or one that needs no build.
pub fn locate(job: BuildJob<'_>) -> Result<ComponentFile, BuildError> {
    match &job.manifest.build {
        BuildRule::Prebuilt(component) => {
            made(job.folder, component).map_err(|error| match error {
                BuildError::NotMade(component) => BuildError::Absent(component),
                error => error,
            })
        }
        BuildRule::Command { component, .. } => {
            made(job.folder, component).map_err(|error| match error {
                BuildError::NotMade(component) => not_built(job.folder, component),
                error => error,
            })
        }
        BuildRule::Cargo | BuildRule::Python(_) => locate_default(job),
    }
}

/// Opens the component that a build has made.
pub(super) fn made(folder: &AuthorFolder, component: &Path) -> Result<ComponentFile, BuildError> {
    ComponentFile::of_author(folder, component)
        .map_err(|reason| unreadable(folder.path().join(component), reason))
}

/// Opens a component that cargo reported.
pub(super) fn made_by_cargo(component: PathBuf) -> Result<ComponentFile, BuildError> {
    ComponentFile::open(&component).map_err(|reason| unreadable(component, reason))
}

/// Finds the component of a folder whose manifest has no `[build]`.
fn locate_default(job: BuildJob<'_>) -> Result<ComponentFile, BuildError> {
    let file = format!("{}.wasm", job.manifest.name);
    let in_dist = Path::new(DIST).join(&file);
    let found = [
        cargo_output(job.folder),
        optional(ComponentFile::of_author(job.folder, &in_dist), &in_dist),
        optional(
            ComponentFile::of_author(job.folder, Path::new(&file)),
            Path::new(&file),
        ),
    ];
    for found in found {
        if let Some(component) = found? {
            return Ok(component);
        }
    }
    if job.folder.has(CARGO_MANIFEST) {
        return Err(not_built(job.folder, job.folder.path().join(in_dist)));
    }
    let components = components_in(job.folder).map_err(|reason| BuildError::Unreadable {
        file: job.folder.path().to_owned(),
        reason,
    })?;
    match components.as_slice() {
        [] => Err(BuildError::NoRule { file }),
        [one] => made(job.folder, one),
        several => Err(BuildError::SeveralComponents {
            count: several.len(),
            file,
        }),
    }
}

/// Returns the names of the component files in a folder.
fn components_in(folder: &AuthorFolder) -> io::Result<Vec<PathBuf>> {
    let mut components = Vec::new();
    for entry in folder.dir().entries()?.take(MAX_ENTRIES) {
        let name = PathBuf::from(entry?.file_name());
        if name.extension().is_some_and(|end| end == "wasm") {
            components.push(name);
        }
    }
    Ok(components)
}

/// Returns the component that cargo made of a folder, if there is one.
fn cargo_output(folder: &AuthorFolder) -> Result<Option<ComponentFile>, BuildError> {
    let Some(package) = cargo_manifest(folder.read(Path::new(CARGO_MANIFEST), MAX_SIZE)) else {
        return Ok(None);
    };
    let Some(library) = library_name(&package) else {
        return Ok(None);
    };
    let output = |profile: &str| {
        let folder = Path::new(TARGET).join(profile);
        folder.join(format!("{library}.wasm"))
    };
    let root = match package.contains_key("workspace") {
        true => None,
        false => workspace_above(folder.path()),
    };
    let profile = match &root {
        Some(root) => profile(root),
        None => profile_of(&package),
    };
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        let file = PathBuf::from(target).join(output(profile));
        return optional(ComponentFile::open(&file), &file);
    }
    // The workspace is the author's too. A target directory that is a link leads
    // out, and is not followed.
    let workspace = match root {
        Some(root) => AuthorFolder::open(&root),
        None => Ok(folder.clone()),
    };
    let file = Path::new("target").join(output(profile));
    Ok(workspace
        .and_then(|workspace| ComponentFile::of_author(&workspace, &file))
        .ok())
}

/// Returns the root of the workspace that a folder is in, other than itself.
fn workspace_above(folder: &Path) -> Option<PathBuf> {
    let real = folder.canonicalize().ok()?;
    let mut above = real.ancestors().skip(1);
    above
        .find(|root| read_cargo_manifest(root).is_some_and(|table| table.contains_key("workspace")))
        .map(Path::to_owned)
}

/// Returns the profile for components of a workspace. cargo itself reports a
/// `Cargo.toml` that cannot be read.
pub(super) fn profile(workspace_root: &Path) -> &'static str {
    read_cargo_manifest(workspace_root).map_or("release", |table| profile_of(&table))
}

fn profile_of(workspace: &Table) -> &'static str {
    let profiles = workspace.get("profile").and_then(Value::as_table);
    match profiles.is_some_and(|profiles| profiles.contains_key("component")) {
        true => "component",
        false => "release",
    }
}

fn read_cargo_manifest(folder: &Path) -> Option<Table> {
    let file = open_regular(&folder.join(CARGO_MANIFEST)).ok()?;
    cargo_manifest(read_whole(&file, MAX_SIZE))
}

fn cargo_manifest(bytes: io::Result<Vec<u8>>) -> Option<Table> {
    String::from_utf8(bytes.ok()?).ok()?.parse().ok()
}

/// Returns the name of a package's library, as in file names.
fn library_name(package: &Table) -> Option<String> {
    let name = |table: &str| package.get(table)?.get("name")?.as_str();
    let name = name("lib").or_else(|| name("package"))?.replace('-', "_");
    let fits = |c: char| c.is_alphanumeric() || c == '_';
    name.chars().all(fits).then_some(name)
}

/// Turns the absence of a file into `None`.
fn optional(
    opened: io::Result<ComponentFile>,
    path: &Path,
) -> Result<Option<ComponentFile>, BuildError> {
    match opened {
        Ok(component) => Ok(Some(component)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(reason) => Err(unreadable(path.to_owned(), reason)),
    }
}

fn unreadable(file: PathBuf, reason: io::Error) -> BuildError {
    if is_absent(&reason) {
        BuildError::NotMade(file)
    } else {
        BuildError::Unreadable { file, reason }
    }
}

fn not_built(folder: &AuthorFolder, component: PathBuf) -> BuildError {
    BuildError::NotBuilt {
        component,
        folder: folder.path().to_owned(),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::manifest::Manifest;
    use crate::testing::Folder;

    fn located(tree: &Folder) -> String {
        let folder = AuthorFolder::open(&tree.path().join("env")).unwrap();
        let manifest = Manifest::read(&folder).unwrap();
        let job = BuildJob {
            folder: &folder,
            manifest: &manifest,
        };
        let text = match locate(job) {
            Ok(component) => component.path().display().to_string(),
            Err(error) => error.to_string(),
        };
        text.replace(&*tree.path().to_string_lossy(), "F")
    }

    const NAME: (&str, &str) = ("env/orwd.toml", "name = 'abc'");

    #[test]
    fn a_component_beside_a_manifest_needs_no_build() {
        for (files, expected) in [
            (&["env/abc.wasm", "env/other.wasm"][..], "F/env/abc.wasm"),
            (&["env/other.wasm"], "F/env/other.wasm"),
            (
                &["env/dist/abc.wasm", "env/abc.wasm"],
                "F/env/dist/abc.wasm",
            ),
            (
                &["env/x.wasm", "env/y.wasm"],
                "the folder has 2 components; name the one to serve with `component` in [build] of orwd.toml, or abc.wasm",
            ),
            (
                &[],
                "there is no component: put abc.wasm into the folder, or add Cargo.toml or [build] to build one",
            ),
        ] {
            let tree = Folder::with(&[NAME]);
            for file in files {
                tree.write(file, "w");
            }
            assert_eq!(located(&tree), expected);
        }
    }

    #[test]
    fn the_output_of_cargo_is_found_without_cargo() {
        let package = "[package]\nname = 'my-env'\n";
        for (cargo, root, output) in [
            (package, "", "env/target/wasm32-wasip2/release/my_env.wasm"),
            (
                "[package]\nname = 'x'\n[lib]\nname = 'y'\n[profile.component]\n[workspace]\n",
                "[workspace]\n",
                "env/target/wasm32-wasip2/component/y.wasm",
            ),
            (
                package,
                "[workspace]\n[profile.component]\n",
                "target/wasm32-wasip2/component/my_env.wasm",
            ),
        ] {
            let tree = Folder::with(&[NAME, ("env/Cargo.toml", cargo), ("Cargo.toml", root)]);
            let missing = located(&tree);
            assert!(missing.contains("it is not built"), "{missing}");
            tree.write(output, "w");
            // A target directory of the environment that runs this test decides.
            if std::env::var_os("CARGO_TARGET_DIR").is_none() {
                assert_eq!(located(&tree), format!("F/{output}"));
            }
        }
    }

    #[test]
    fn a_component_that_is_a_pipe_or_leads_out_is_refused() {
        let manifest = "name = 'abc'\nbuild.component = 'x.wasm'";
        let tree = Folder::with(&[("env/orwd.toml", manifest), ("secret", "s")]);
        tree.pipe("env/x.wasm");
        assert_eq!(
            located(&tree),
            "cannot read F/env/x.wasm: not a regular file"
        );
        for target in ["../secret", "/dev/zero"] {
            std::fs::remove_file(tree.path().join("env/x.wasm")).unwrap();
            symlink(target, tree.path().join("env/x.wasm")).unwrap();
            let refused = located(&tree);
            assert!(refused.contains("leads out"), "{refused}");
        }
    }
}
