//! Directories of versions, generations of files and sessions that nothing needs.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use orwd_hub_store::sessions::SessionVersion;

use super::measure::{Measured, measure, names};
use crate::layout::{Layout, instance_name};

/// What is needed.
#[derive(Default)]
pub(super) struct Needed {
    /// The environments of the deployments that are kept.
    pub(super) versions: HashMap<String, String>,
    /// The current generation of the files of each environment.
    pub(super) generations: HashMap<String, i64>,
    /// The versions that sessions run on, or host processes serve.
    pub(super) sessions: HashSet<SessionVersion>,
    /// The names of the host processes that run.
    pub(super) running: HashSet<String>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// What is not needed.
    pub(super) unneeded: Vec<PathBuf>,
    /// The bytes of the sessions of each environment.
    pub(super) sessions: HashMap<String, i64>,
    /// The environments with generations other than the current one.
    pub(super) with_generations: HashSet<String>,
}

impl Needed {
    /// Returns whether a session or a host process has a generation of files.
    fn has_generation(&self, environment: &str, generation: i64) -> bool {
        let is_of = |deployment: &str| {
            self.versions.get(deployment).map(String::as_str) == Some(environment)
        };
        self.generations.get(environment) == Some(&generation)
            || self
                .sessions
                .iter()
                .any(|version| version.generation == generation && is_of(&version.deployment))
    }

    fn has_instance(&self, name: &str) -> bool {
        self.running.contains(name)
            || self
                .sessions
                .iter()
                .any(|version| instance_name(version) == name)
    }
}

/// Looks at the directories. Those of ended sessions are needed until nothing in
/// them has changed for `retention`.
pub(super) fn look(layout: &Layout, needed: &Needed, retention: Duration) -> io::Result<Found> {
    let mut found = Found::default();
    for name in names(&layout.versions())? {
        let id = name.strip_suffix(".json").unwrap_or(&name);
        if !needed.versions.contains_key(id) {
            found.unneeded.push(layout.versions().join(name));
        }
    }
    for environment in names(&layout.all_data())? {
        for name in names(&layout.data_of(&environment))? {
            let generation = name.parse().unwrap_or_default();
            if needed.generations.get(&environment) != Some(&generation) {
                found.with_generations.insert(environment.clone());
            }
            if !needed.has_generation(&environment, generation) {
                found.unneeded.push(layout.data_of(&environment).join(name));
            }
        }
    }
    for name in names(&layout.instances())? {
        let path = layout.instances().join(&name);
        let measured = measure(&path)?;
        // The name is that of the deployment, a hyphen and the generation.
        let deployment = name.rsplit_once('-').map_or("", |(id, _)| id);
        if let Some(environment) = needed.versions.get(deployment) {
            *found.sessions.entry(environment.clone()).or_default() += measured.bytes;
        }
        let is_known = needed.versions.contains_key(deployment);
        if !needed.has_instance(&name) && (!is_known || is_unchanged(measured, retention)) {
            found.unneeded.push(path);
        }
    }
    Ok(found)
}

fn is_unchanged(measured: Measured, time: Duration) -> bool {
    measured.changed.is_none_or(|at| {
        let age = SystemTime::now().duration_since(at).unwrap_or_default();
        age >= time
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_session_or_an_environment_has_is_needed() {
        let folder = tempfile::TempDir::new().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let version = |generation: i64| SessionVersion {
            deployment: "d-1".to_owned(),
            generation,
        };
        for generation in 1..=4 {
            fs::create_dir_all(layout.data("e", generation)).unwrap();
            fs::create_dir_all(layout.instance(&version(generation))).unwrap();
        }
        for name in ["d-1", "d-2"] {
            fs::create_dir_all(layout.version(name)).unwrap();
            fs::write(layout.version(name).with_extension("json"), "[]").unwrap();
        }
        let needed = Needed {
            versions: [("d-1".to_owned(), "e".to_owned())].into(),
            generations: [("e".to_owned(), 4)].into(),
            sessions: [version(2)].into(),
            running: [instance_name(&version(3))].into(),
        };
        let paths = |retention| {
            let mut paths = look(&layout, &needed, retention).unwrap().unneeded;
            paths.sort();
            paths
        };
        let mut expected = vec![
            layout.data("e", 1),
            layout.data("e", 3),
            layout.version("d-2"),
            layout.version("d-2").with_extension("json"),
        ];
        expected.sort();
        assert_eq!(paths(Duration::from_secs(60)), expected);
        // The journals of ended sessions stay for a time.
        expected.extend([layout.instance(&version(1)), layout.instance(&version(4))]);
        expected.sort();
        assert_eq!(paths(Duration::ZERO), expected);
        let found = look(&layout, &needed, Duration::ZERO).unwrap();
        assert!(found.with_generations.contains("e") && found.sessions.contains_key("e"));
    }
}
