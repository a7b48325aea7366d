//! The sources of a deployment, and the environments among them.

use std::fs;
use std::path::Path;

use orwd_hub_store::deployments::{DeploymentRecord, DeploymentSource};

use crate::git::checkout::checkout;
use crate::http::state::HubState;

/// The manifest of an environment's folder.
const MANIFEST: &str = "orwd.toml";

/// Environments of one version.
const MAX_ENVIRONMENTS: usize = 64;

/// Writes the sources of a deployment into an empty directory. Returns the paths
/// of its environments, relative to that directory. `left` is how many bytes the
/// owner may still keep. Blocks.
pub(super) fn fetch(
    state: &HubState,
    deployment: &DeploymentRecord,
    into: &Path,
    left: u64,
) -> Result<Vec<String>, String> {
    match &deployment.source {
        DeploymentSource::Repository(repository) => {
            checkout(&state.layout, repository, &deployment.commit, into, left)?;
            environments(into, deployment.subdirectory.as_deref())
        }
        DeploymentSource::Upload(name) => {
            let content = state.blobs.path(&deployment.commit);
            fs::copy(content, into.join(name))
                .map_err(|error| format!("the upload cannot be read: {error}"))?;
            Ok(vec![name.clone()])
        }
    }
}

/// Finds the environments in a folder: the folder itself, or the folders in it.
fn environments(root: &Path, subdirectory: Option<&str>) -> Result<Vec<String>, String> {
    let base = subdirectory.unwrap_or("");
    let place = match subdirectory {
        Some(name) => format!("the folder {name:?} of the repository"),
        None => "the root of the repository".to_owned(),
    };
    let folder = root.join(base);
    if !folder.is_dir() {
        return Err(format!("there is no such folder: {place}"));
    }
    if folder.join(MANIFEST).is_file() {
        return Ok(vec![base.to_owned()]);
    }
    let entries = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if entry.path().join(MANIFEST).is_file() {
            let path = Path::new(base).join(name);
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found.sort();
    match found.len() {
        0 => Err(format!(
            "there is no {MANIFEST} in {place}, nor in a folder directly below it; add one with \
             the name of the environment, and its component as [build] component"
        )),
        1..=MAX_ENVIRONMENTS => Ok(found),
        count => Err(format!(
            "{place} has {count} environments; at most {MAX_ENVIRONMENTS} are allowed"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_one_environment_or_a_folder_of_them() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = dir.path();
        let write = |name: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "name = \"x\"").unwrap();
        };
        let error = environments(root, None).unwrap_err();
        assert!(error.contains("no orwd.toml in the root"), "{error}");
        write("sub/b/orwd.toml");
        write("sub/a/orwd.toml");
        write("sub/c/other.toml");
        assert!(environments(root, None).is_err());
        assert_eq!(environments(root, Some("sub")).unwrap(), ["sub/a", "sub/b"]);
        assert_eq!(environments(root, Some("sub/a")).unwrap(), ["sub/a"]);
        assert!(
            environments(root, Some("none"))
                .unwrap_err()
                .contains("\"none\"")
        );
        write("orwd.toml");
        assert_eq!(environments(root, None).unwrap(), [""]);
    }
}
