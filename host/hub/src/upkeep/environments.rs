//! Removing deleted environments whose time is over.

use orwd_hub_store::environments::{next_to_remove, remove as remove_rows};
use orwd_hub_store::{Database, HubStoreError};

use super::measure::remove;
use crate::layout::Layout;

/// Removes the deleted environments whose time is over, and returns how many. Their
/// contents and versions are then unneeded, and removed as such.
pub(super) fn remove_deleted(layout: &Layout, database: &Database) -> Result<usize, String> {
    let text = |error: HubStoreError| error.to_string();
    let mut removed = 0;
    while let Some(found) = database.run_blocking(next_to_remove).map_err(text)? {
        // The rows last: a killed process leaves what is found again.
        for path in [layout.repository(&found.id), layout.data_of(&found.id)] {
            remove(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let (name, id) = (found.full_name(), found.id.clone());
        database
            .run_blocking(move |transaction| remove_rows(transaction, &found))
            .map_err(text)?;
        tracing::info!(environment = name, id, "deleted environment removed");
        removed += 1;
    }
    Ok(removed)
}
