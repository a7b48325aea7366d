//! Opens the data directory of each environment.
//!
//! An author chooses a directory below the environment's folder. The operator
//! may choose any other by `--data`.

use std::io;

use orwd_config::DataMapping;
use orwd_sandbox::{DataDir, DataDirError, DataRules};

use super::error::DataFlagError;
use super::find::{Candidate, Kind};

/// Checks that each `--data` is for one of the environments. If some were not
/// found, an unknown name is not reported, since it may be one of theirs.
pub(super) fn check_flags(
    flags: &[DataMapping],
    found: &[Candidate],
    all_found: bool,
) -> Result<(), DataFlagError> {
    for (number, flag) in flags.iter().enumerate() {
        let mut earlier = flags.iter().take(number);
        match &flag.name {
            None if found.len() > 1 => return Err(DataFlagError::Several(found.len())),
            Some(name) if all_found && !found.iter().any(|found| found.manifest.name == *name) => {
                return Err(DataFlagError::Unknown(name.to_string()));
            }
            name => {
                let same = |other: &DataMapping| match (&other.name, name) {
                    (Some(other), Some(name)) => other == name,
                    _ => true,
                };
                if earlier.any(same) {
                    let only = found.first().map(|found| found.manifest.name.to_string());
                    let name = name.as_ref().map(ToString::to_string).or(only);
                    return Err(DataFlagError::Twice(name.unwrap_or_default()));
                }
            }
        }
    }
    Ok(())
}

/// Opens the data directory of an environment, if it has one.
pub(super) fn open(
    candidate: &Candidate,
    flags: &[DataMapping],
    rules: &DataRules,
) -> Result<Option<DataDir>, DataDirError> {
    let is_for = |flag: &&DataMapping| match &flag.name {
        Some(name) => *name == candidate.manifest.name,
        None => true,
    };
    if let Some(flag) = flags.iter().find(is_for) {
        return DataDir::open(&flag.path, rules).map(Some);
    }
    let (Kind::Folder(folder) | Kind::Built(folder, _), Some(data)) =
        (&candidate.kind, &candidate.manifest.data)
    else {
        return Ok(None);
    };
    let path = folder.path().join(data);
    let dir = folder
        .open_dir(data)
        .map_err(|reason: io::Error| DataDirError::new(&path, reason))?;
    DataDir::from_dir(dir, &path, rules).map(Some)
}
