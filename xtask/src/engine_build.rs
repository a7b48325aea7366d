//! One build of the engine and the host for everything in this repository.
//!
//! Cargo compiles a crate once for each set of features, and which features a
//! crate gets depends on what is built together with it. So the crates that the
//! host depends on must get the same features in a build of the host and of the
//! whole workspace with its tests, and those that the engine depends on also in
//! a build of the fuzz targets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::workspace::{Finding, Result, Workspace, output};

/// The package of the binary.
const HOST: &str = "orwd";

/// What else is built on its own, as arguments of cargo, with the kinds of
/// dependencies that such a build has, and the package that must not be compiled
/// again for it.
const BUILDS: [(&[&str], &str, &str); 2] = [
    (&["--workspace"], "normal,dev", HOST),
    (
        &["--package", "orwd-fuzz", "--features", "targets"],
        "normal",
        // The crate that takes most of a build.
        "wasmtime",
    ),
];

/// The sets of features that each crate is compiled with.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares the features of dependencies in all builds.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let host = ["--package", HOST];
    let expected = features(workspace, &host, "normal")?;
    let mut findings = Vec::new();
    for (selection, edges, package) in BUILDS {
        let found = features(workspace, selection, edges)?;
        let names = dependencies(workspace, package)?;
        for (name, one, two) in differences(&names, &expected, &found) {
            let problem = format!(
                "{package} is compiled twice: {name} has the features {one:?} in a build of \
                 `{}` and {two:?} in one of `{}`",
                host.join(" "),
                selection.join(" "),
            );
            findings.push(Finding::new(Path::new("Cargo.toml"), 0, problem));
        }
    }
    Ok(findings)
}

/// Returns the crates that differ, with their sets of features.
fn differences<'a>(
    names: &'a BTreeSet<String>,
    expected: &'a Features,
    found: &'a Features,
) -> Vec<(&'a str, &'a BTreeSet<String>, &'a BTreeSet<String>)> {
    names
        .iter()
        .filter_map(|name| {
            let (one, two) = (expected.get(name)?, found.get(name)?);
            (one != two).then_some((name.as_str(), one, two))
        })
        .collect()
}

/// Returns the crates, with versions, that a package depends on.
fn dependencies(workspace: &Workspace, package: &str) -> Result<BTreeSet<String>> {
    let lines = tree(workspace, &["--package", package], "normal", "{p}")?;
    Ok(lines.lines().filter_map(crate_of).collect())
}

/// Returns the features of all crates in a build of this selection.
fn features(workspace: &Workspace, selection: &[&str], edges: &str) -> Result<Features> {
    let mut features = Features::new();
    for line in tree(workspace, selection, edges, "{p}|{f}")?.lines() {
        let line = line.trim_end_matches(" (*)");
        if let Some((package, set)) = line.split_once('|')
            && let Some(name) = crate_of(package)
        {
            features.entry(name).or_default().insert(set.to_owned());
        }
    }
    Ok(features)
}

/// Returns the name and version at the start of a line.
fn crate_of(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

fn tree(workspace: &Workspace, selection: &[&str], edges: &str, format: &str) -> Result<String> {
    let edges = format!("{edges},no-proc-macro");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    output(
        Command::new(cargo)
            // What runs during a build is compiled apart from the program.
            .args(["tree", "--locked", "--edges", &edges])
            .args(["--prefix", "none", "--format", format])
            .args(selection)
            .current_dir(&workspace.root),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_and_the_host_are_compiled_once() {
        let workspace = Workspace::open().unwrap();
        assert_eq!(check(&workspace).unwrap(), []);
    }

    #[test]
    fn another_set_of_features_is_a_difference() {
        let set = |features: &[(&str, &str)]| -> Features {
            let entry =
                |&(name, set): &(&str, &str)| (name.to_owned(), BTreeSet::from([set.to_owned()]));
            features.iter().map(entry).collect()
        };
        let names = BTreeSet::from(["core v1".to_owned(), "log v1".to_owned()]);
        let expected = set(&[("core v1", "std"), ("log v1", "std"), ("other v1", "std")]);
        let found = set(&[("core v1", "std"), ("log v1", ""), ("other v1", "")]);
        let different: Vec<&str> = differences(&names, &expected, &found)
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        assert_eq!(different, ["log v1"]);
    }
}
