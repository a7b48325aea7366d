//! The walls around `orwd serve` and the other commands that run guests: what they
//! need from then on, and what the log says about the rest.

use std::path::Path;

use super::Failure;
use super::scratch::Scratch;
use orwd_catalog::Prepared;
use orwd_config::WallWish;
use orwd_hardening::{Access, Needs, Work};
use orwd_model::DataMode;

/// The places that a server uses after it has begun to serve. The cache is not
/// among them: everything is compiled by then. The directory of state is,
/// where the journal makes and removes files of its own.
pub(super) fn needs<'e>(
    environments: impl Iterator<Item = &'e Prepared>,
    keys: Option<&Path>,
    state: Option<&Path>,
    scratch: &Scratch,
) -> Needs {
    let mut needs = Needs::of(Work::Serve).and(scratch.path(), Access::Scratch);
    if let Some(above) = scratch.path().parent() {
        needs = needs.and(above, Access::RemoveFolders);
    }
    if let Some(state) = state {
        needs = needs.and(state, Access::Write);
    }
    for blueprint in environments.map(Prepared::blueprint) {
        if let Some(data) = &blueprint.data {
            let access = match blueprint.mode {
                DataMode::Shared(_) => Access::Write,
                DataMode::ReadOnly | DataMode::Session => Access::Read,
            };
            needs = needs.and(data.path(), access);
        }
    }
    // The file of keys may be replaced by another of its name, and may be a
    // link to one that is: it is found again only by its directory.
    for place in keys.into_iter().flat_map(directories) {
        needs = needs.and(place, Access::ReadFiles);
    }
    needs
}

/// Where a file is, by its name and in truth.
fn directories(file: &Path) -> Vec<std::path::PathBuf> {
    let named = std::path::absolute(file).ok();
    let real = file.canonicalize().ok();
    let mut found: Vec<_> = [named, real]
        .into_iter()
        .flatten()
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect();
    found.dedup();
    found
}

/// Puts the walls up and tells the log which of them stand.
pub(super) fn raise(wish: WallWish, needs: &Needs) -> Result<(), Failure> {
    if wish == WallWish::Off {
        tracing::warn!(
            "there are no walls around this process: whoever gets out of a guest is its user"
        );
        return Ok(());
    }
    for (path, access) in needs.places() {
        tracing::debug!(path = %path.display(), ?access, "within the walls");
    }
    let walls = orwd_hardening::raise(needs).map_err(|error| Failure::new(error.to_string()))?;
    tracing::info!("walls around this process: {walls}");
    for missing in walls.missing() {
        tracing::warn!("a wall is missing here: {missing}");
    }
    if wish == WallWish::Required && !walls.missing().is_empty() {
        return Err(Failure::new(
            "some walls are missing here, and --walls required asks for all of them",
        ));
    }
    Ok(())
}
