//! Which version of an environment a session runs on.

use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// The version of a session: a deployment, and the generation of the files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionVersion {
    /// The id of the deployment.
    pub deployment: String,
    /// The generation of the environment's files.
    pub generation: i64,
}

/// Binds a session to a version. A session that has one keeps it.
pub fn bind(
    transaction: &mut dyn Transaction,
    principal: &str,
    session: &str,
    version: &SessionVersion,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO sessions (principal, id, deployment, generation, created_at, used_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (principal, id) DO NOTHING",
        params![
            principal,
            session,
            &version.deployment,
            version.generation,
            now()
        ],
    )?;
    Ok(())
}

/// Returns the version of a session, and when its use was noted last.
pub fn find(
    transaction: &mut dyn Transaction,
    principal: &str,
    session: &str,
) -> Result<Option<(SessionVersion, String)>, HubStoreError> {
    let row = transaction.first(
        "SELECT deployment, generation, used_at FROM sessions WHERE principal = ?1 AND id = ?2",
        params![principal, session],
    )?;
    row.map(|row| {
        let version = SessionVersion {
            deployment: row.text(0)?,
            generation: row.integer(1)?,
        };
        Ok((version, row.text(2)?))
    })
    .transpose()
}

/// Returns the newest generations of the files with which a principal plays a
/// deployment.
pub fn generations_of(
    transaction: &mut dyn Transaction,
    principal: &str,
    deployment: &str,
    limit: i64,
) -> Result<Vec<i64>, HubStoreError> {
    let rows = transaction.query(
        "SELECT DISTINCT generation FROM sessions WHERE principal = ?1 AND deployment = ?2 \
         ORDER BY generation DESC LIMIT ?3",
        params![principal, deployment, limit],
    )?;
    rows.iter().map(|row| row.integer(0)).collect()
}

/// Forgets a session that was deleted.
pub fn forget(
    transaction: &mut dyn Transaction,
    principal: &str,
    session: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "DELETE FROM sessions WHERE principal = ?1 AND id = ?2",
        params![principal, session],
    )?;
    Ok(())
}

/// Notes that a session is used.
pub fn touch(
    transaction: &mut dyn Transaction,
    principal: &str,
    session: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE sessions SET used_at = ?3 WHERE principal = ?1 AND id = ?2",
        params![principal, session, now()],
    )?;
    Ok(())
}

/// Returns the versions that sessions run on.
pub fn versions_of_sessions(
    transaction: &mut dyn Transaction,
) -> Result<Vec<SessionVersion>, HubStoreError> {
    let rows = transaction.query("SELECT DISTINCT deployment, generation FROM sessions", &[])?;
    rows.iter()
        .map(|row| {
            Ok(SessionVersion {
                deployment: row.text(0)?,
                generation: row.integer(1)?,
            })
        })
        .collect()
}

/// Forgets the sessions that were used last before this time.
pub fn forget_older(transaction: &mut dyn Transaction, before: &str) -> Result<u64, HubStoreError> {
    transaction.execute("DELETE FROM sessions WHERE used_at < ?1", params![before])
}
