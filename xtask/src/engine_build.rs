//! One build of the engine for everything in this repository.
//!
//! The engine is most of a build. Cargo compiles a crate once for each set of
//! features, and which features a crate gets depends on what is built together
//! with it. So the crates that the engine depends on must get the same features
//! in a build of the host, of the whole workspace and of the fuzz targets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::workspace::{Finding, Result, Workspace, output};

/// The crate that takes most of a build.
const ENGINE: &str = "wasmtime";

/// What is built on its own, as arguments of cargo.
const BUILDS: [&[&str]; 3] = [
    &["--package", "orwd"],
    &["--workspace"],
    &["--package", "orwd-fuzz", "--features", "targets"],
];

/// The sets of features that each crate is compiled with.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares the features of the engine's dependencies in all builds.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut builds = Vec::new();
    for selection in BUILDS {
        builds.push((selection.join(" "), features(workspace, selection)?));
    }
    let names = dependencies(workspace)?;
    let Some(((first, expected), others)) = builds.split_first() else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    for (other, found) in others {
        for (name, one, two) in differences(&names, expected, found) {
            let problem = format!(
                "{ENGINE} is compiled twice: {name} has the features {one:?} in a build of \
                 `{first}` and {two:?} in one of `{other}`"
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

/// Returns the crates, with versions, that the engine depends on.
fn dependencies(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let lines = tree(workspace, &["--package", ENGINE], "{p}")?;
    Ok(lines.lines().filter_map(crate_of).collect())
}

/// Returns the features of all crates in a build of this selection.
fn features(workspace: &Workspace, selection: &[&str]) -> Result<Features> {
    let mut features = Features::new();
    for line in tree(workspace, selection, "{p}|{f}")?.lines() {
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

fn tree(workspace: &Workspace, selection: &[&str], format: &str) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    output(
        Command::new(cargo)
            // What runs during a build is compiled apart from the program.
            .args(["tree", "--locked", "--edges", "normal,no-proc-macro"])
            .args(["--prefix", "none", "--format", format])
            .args(selection)
            .current_dir(&workspace.root),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_compiled_once() {
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
