//! Names that environments had. A former name leads to its environment until
//! another one takes it.

use super::record::EnvironmentRecord;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Keeps the name of an environment that gets another one.
pub(super) fn keep(
    transaction: &mut dyn Transaction,
    environment: &EnvironmentRecord,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO former_names (owner, name_key, name, environment) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (owner, name_key) DO UPDATE SET name = excluded.name, \
         environment = excluded.environment",
        params![
            &environment.owner,
            environment.name.to_lowercase(),
            &environment.name,
            &environment.id
        ],
    )?;
    Ok(())
}

/// Forgets a name that an environment takes.
pub(super) fn forget(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "DELETE FROM former_names WHERE owner = ?1 AND name_key = ?2",
        params![owner, name.to_lowercase()],
    )?;
    Ok(())
}

/// Returns the id of the environment that had this name.
pub(super) fn find(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
) -> Result<Option<String>, HubStoreError> {
    let row = transaction.first(
        "SELECT environment FROM former_names WHERE owner = ?1 AND name_key = ?2 AND name = ?3",
        params![owner, name.to_lowercase(), name],
    )?;
    row.map(|row| row.text(0)).transpose()
}
