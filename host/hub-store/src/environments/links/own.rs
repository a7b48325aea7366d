//! Links to repositories of the platform.

use super::elsewhere;
use crate::clock::now;
use crate::environments::queries::get;
use crate::environments::record::EnvironmentRecord;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Links an environment to the repository of an environment. Its head is then
/// deployed, also if it was before.
pub fn link(
    transaction: &mut dyn Transaction,
    id: &str,
    repository: &str,
    subdirectory: Option<&str>,
) -> Result<EnvironmentRecord, HubStoreError> {
    elsewhere::forget(transaction, id)?;
    transaction.execute(
        "UPDATE environments SET repository = ?2, subdirectory = ?3, deployed_commit = NULL, \
         updated_at = ?4 WHERE id = ?1",
        params![id, repository, subdirectory, now()],
    )?;
    get(transaction, id)
}

/// Removes the link of an environment. Its served version stays.
pub fn unlink(transaction: &mut dyn Transaction, id: &str) -> Result<(), HubStoreError> {
    elsewhere::forget(transaction, id)?;
    transaction.execute(
        "UPDATE environments SET repository = NULL, subdirectory = NULL, deployed_commit = NULL, \
         updated_at = ?2 WHERE id = ?1",
        params![id, now()],
    )?;
    Ok(())
}

/// Sets the folder of the repository that an environment is deployed from.
pub fn change_subdirectory(
    transaction: &mut dyn Transaction,
    id: &str,
    subdirectory: Option<&str>,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE environments SET subdirectory = ?2, updated_at = ?3 WHERE id = ?1",
        params![id, subdirectory, now()],
    )?;
    Ok(())
}
