//! Finding and listing deployments.

use super::record::{COLUMNS, DeploymentRecord};
use crate::accounts::Caller;
use crate::environments::EnvironmentRecord;
use crate::error::HubStoreError;
use crate::sql::backend::{RowBound, Transaction};
use crate::sql::params;

/// Characters of an id that name a deployment. The table of the command line
/// shows no more.
const MIN_PREFIX: usize = 8;

/// Returns a deployment, for work of the platform itself.
pub fn get(transaction: &mut dyn Transaction, id: &str) -> Result<DeploymentRecord, HubStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deployments d WHERE d.id = ?1");
    let row = transaction.first(&sql, params![id])?;
    row.map_or_else(
        || {
            Err(HubStoreError::Missing(format!(
                "there is no deployment {id}"
            )))
        },
        |row| DeploymentRecord::of(&row),
    )
}

/// Returns the deployments of an environment, newest first.
pub fn of_environment(
    transaction: &mut dyn Transaction,
    environment: &str,
) -> Result<Vec<DeploymentRecord>, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployments d WHERE d.environment = ?1 ORDER BY d.number DESC \
         LIMIT 1000"
    );
    let rows = transaction.query_within(&sql, params![environment], RowBound::PAGE)?;
    rows.iter().map(DeploymentRecord::of).collect()
}

/// Returns the deployment whose id begins with this text, among those that the
/// caller may change.
pub fn by_prefix(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    prefix: &str,
) -> Result<DeploymentRecord, HubStoreError> {
    let missing = || {
        Err(HubStoreError::Missing(format!(
            "there is no deployment {prefix}; give its id, or the first eight characters or more"
        )))
    };
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if prefix.len() < MIN_PREFIX || !prefix.bytes().all(plain) {
        return missing();
    }
    let mut found = Vec::new();
    for owner in caller.changeable() {
        let sql = format!(
            "SELECT {COLUMNS} FROM deployments d JOIN environments e ON e.id = d.environment \
             WHERE e.owner = ?1 AND d.id LIKE ?2 LIMIT 2"
        );
        found.extend(transaction.query(&sql, params![owner, format!("{prefix}%")])?);
    }
    match found.as_slice() {
        [one] => DeploymentRecord::of(one),
        [] => missing(),
        _ => Err(HubStoreError::Conflict(format!(
            "several deployments begin with {prefix}; give more of the id"
        ))),
    }
}

/// Returns the build log of a deployment.
pub fn log_text(transaction: &mut dyn Transaction, id: &str) -> Result<String, HubStoreError> {
    let row = transaction.first("SELECT log FROM deployments WHERE id = ?1", params![id])?;
    row.map_or(Ok(String::new()), |row| row.text(0))
}

/// Returns the build log of a deployment after a number of characters.
pub fn log_after(
    transaction: &mut dyn Transaction,
    id: &str,
    characters: i64,
) -> Result<String, HubStoreError> {
    let row = transaction.first(
        "SELECT SUBSTR(log, ?2) FROM deployments WHERE id = ?1",
        params![id, characters.saturating_add(1)],
    )?;
    row.map_or(Ok(String::new()), |row| row.text(0))
}

/// Returns the newest deployment of an environment, if there is one.
pub fn newest_of(
    transaction: &mut dyn Transaction,
    environment: &str,
) -> Result<Option<DeploymentRecord>, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployments d WHERE d.environment = ?1 ORDER BY d.number DESC LIMIT 1"
    );
    let row = transaction.first(&sql, params![environment])?;
    row.map(|row| DeploymentRecord::of(&row)).transpose()
}

/// Returns a page of the deployments of an environment, newest first.
pub fn page_of_environment(
    transaction: &mut dyn Transaction,
    environment: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<DeploymentRecord>, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployments d WHERE d.environment = ?1 ORDER BY d.number DESC \
         LIMIT ?2 OFFSET ?3"
    );
    let rows = transaction.query(&sql, params![environment, limit, offset])?;
    rows.iter().map(DeploymentRecord::of).collect()
}

/// Returns the deployment of an environment that a version names: the beginning
/// of a commit, a deployment's id or a component's digest; without a version,
/// the served one.
pub fn version_of(
    transaction: &mut dyn Transaction,
    environment: &EnvironmentRecord,
    version: Option<&str>,
) -> Result<DeploymentRecord, HubStoreError> {
    let Some(version) = version else {
        let served = environment.served.as_deref();
        let served = served.ok_or_else(|| {
            HubStoreError::Missing(format!(
                "{} has no deployed version",
                environment.full_name()
            ))
        })?;
        return get(transaction, served);
    };
    let missing = || HubStoreError::Missing(format!("there is no version {version}"));
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-' || byte == b':';
    if version.len() < MIN_PREFIX || !version.bytes().all(plain) {
        return Err(missing());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM deployments d WHERE d.environment = ?1 AND d.status = 'deployed' \
         AND (d.id LIKE ?2 OR d.commit_sha LIKE ?2 OR d.digest LIKE ?2) \
         ORDER BY d.number DESC LIMIT 1"
    );
    let row = transaction.first(&sql, params![&environment.id, format!("{version}%")])?;
    row.map_or_else(|| Err(missing()), |row| DeploymentRecord::of(&row))
}
