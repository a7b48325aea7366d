//! Opens what outlives the server: the journal and the components that its
//! sessions need.

use super::Failure;
use crate::catalog::Shelf;
use crate::config::{Keeping, KeepingLevel};
use crate::engine::Cache;
use crate::journal::{Durability, Journal, JournalConfig, SealKey};
use crate::session::Keep;

/// The key itself, for those who would not have it in a file.
const SEAL_KEY: &str = "ORWD_SEAL_KEY";

/// Opens the journal and the shelf; a journal that keeps nothing, where
/// nothing is to be kept.
pub(super) fn open(keeping: &Keeping, cache: Cache) -> Result<(Journal, Option<Keep>), Failure> {
    let Some(dir) = &keeping.state else {
        return Ok((Journal::off(), None));
    };
    let seal = seal_key(keeping)?;
    let sealing = seal.is_some();
    let durability = match keeping.level {
        KeepingLevel::Process => Durability::Process,
        KeepingLevel::Power => Durability::Power,
        KeepingLevel::None => Durability::None,
    };
    let journal = Journal::open(JournalConfig {
        dir: dir.clone(),
        durability,
        seal,
    })?;
    let shelf = Shelf::open(dir.join("components")).map_err(|error| {
        Failure::new(format!(
            "components cannot be kept in {}: {error}",
            dir.display()
        ))
    })?;
    tracing::info!(state = %dir.display(), %durability, sealing, "sessions are kept");
    let cache = Some(cache);
    Ok((journal, Some(Keep { shelf, cache })))
}

fn seal_key(keeping: &Keeping) -> Result<Option<SealKey>, Failure> {
    Ok(match (&keeping.seal_key, std::env::var(SEAL_KEY)) {
        (Some(path), _) => Some(SealKey::read(path)?),
        (None, Ok(text)) => Some(SealKey::parse(&text)?),
        (None, Err(_)) => None,
    })
}
