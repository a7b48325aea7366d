//! Repositories elsewhere, from which environments are deployed.
//!
//! Each has a time at which it is checked next. Who takes it for a check moves that
//! time by the interval of polling, so that a killed process loses none.

use std::time::Duration;

use uuid::Uuid;

use crate::accounts::Caller;
use crate::audit;
use crate::clock::{now, time_after};
use crate::environments::queries::{find_to_change, get};
use crate::environments::record::EnvironmentRecord;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::sql::value::{SqlRow, SqlValue};

/// The longest time between two checks of a repository that cannot be read.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// Characters of a problem that are kept.
const MAX_PROBLEM: usize = 300;

const COLUMNS: &str = "m.environment, e.owner, m.url, m.webhook, m.branch, m.commit_sha, \
    m.checked_at, m.problem";

const TABLES: &str = "remotes m JOIN environments e ON e.id = m.environment";

/// A repository elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRecord {
    /// The environment that is deployed from it.
    pub environment: String,
    /// The namespace of that environment.
    pub owner: String,
    /// The address.
    pub url: String,
    /// What the secret of its webhook is derived from.
    pub webhook: String,
    /// The default branch, when it was read last.
    pub branch: Option<String>,
    /// The head of that branch.
    pub commit: Option<String>,
    /// When it was read last.
    pub checked_at: Option<String>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

impl RemoteRecord {
    fn of(row: &SqlRow) -> Result<RemoteRecord, HubStoreError> {
        Ok(RemoteRecord {
            environment: row.text(0)?,
            owner: row.text(1)?,
            url: row.text(2)?,
            webhook: row.text(3)?,
            branch: row.optional_text(4)?,
            commit: row.optional_text(5)?,
            checked_at: row.optional_text(6)?,
            problem: row.optional_text(7)?,
        })
    }
}

/// What a check of a repository found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The default branch.
    pub branch: String,
    /// The head of that branch.
    pub commit: String,
}

/// Links an environment to a repository elsewhere, which is then checked. Its
/// webhook has a new secret.
pub fn link_remote(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    environment: &EnvironmentRecord,
    url: &str,
    subdirectory: Option<&str>,
) -> Result<RemoteRecord, HubStoreError> {
    let id = &environment.id;
    forget(transaction, id)?;
    transaction.execute(
        "UPDATE environments SET repository = ?1, subdirectory = ?2, deployed_commit = NULL, \
         updated_at = ?3 WHERE id = ?1",
        params![id, subdirectory, now()],
    )?;
    transaction.execute(
        "INSERT INTO remotes (environment, url, webhook, check_at, failures) \
         VALUES (?1, ?2, ?3, ?4, 0)",
        params![id, url, Uuid::new_v4().to_string(), now()],
    )?;
    let (owner, name) = (&environment.owner, environment.full_name());
    let action = format!("linked to {url}");
    audit::record(transaction, owner, &caller.name, &action, &name)?;
    existing(transaction, id)
}

/// Forgets the repository elsewhere of an environment.
pub(super) fn forget(transaction: &mut dyn Transaction, id: &str) -> Result<(), HubStoreError> {
    transaction.execute("DELETE FROM remotes WHERE environment = ?1", params![id])?;
    Ok(())
}

/// Returns the repository elsewhere of an environment, for work of the platform
/// itself. That of a deleted environment is missing.
pub fn remote_of(
    transaction: &mut dyn Transaction,
    environment: &str,
) -> Result<Option<RemoteRecord>, HubStoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM {TABLES} WHERE m.environment = ?1 AND e.deleted_at IS NULL");
    let row = transaction.first(&sql, params![environment])?;
    row.as_ref().map(RemoteRecord::of).transpose()
}

fn existing(transaction: &mut dyn Transaction, id: &str) -> Result<RemoteRecord, HubStoreError> {
    remote_of(transaction, id)?.ok_or_else(|| {
        HubStoreError::Missing(
            "the environment is not deployed from a repository elsewhere; link it with \
             `orwd link OWNER/NAME https://…`"
                .to_owned(),
        )
    })
}

/// Returns the repository elsewhere of an environment that the caller may change.
pub fn remote_to_change(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
    caller: &Caller,
) -> Result<RemoteRecord, HubStoreError> {
    let environment = find_to_change(transaction, owner, name, caller)?;
    existing(transaction, &environment.id)
}

/// Gives the webhook of an environment a new secret. The former one ends at once.
pub fn renew_webhook(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
    caller: &Caller,
) -> Result<RemoteRecord, HubStoreError> {
    let environment = find_to_change(transaction, owner, name, caller)?;
    existing(transaction, &environment.id)?;
    transaction.execute(
        "UPDATE remotes SET webhook = ?2 WHERE environment = ?1",
        params![&environment.id, Uuid::new_v4().to_string()],
    )?;
    let (owner, name) = (&environment.owner, environment.full_name());
    audit::record(
        transaction,
        owner,
        &caller.name,
        "webhook secret renewed",
        &name,
    )?;
    existing(transaction, &environment.id)
}

/// Lets a repository be checked at once.
pub fn check_remote(
    transaction: &mut dyn Transaction,
    environment: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE remotes SET check_at = ?2 WHERE environment = ?1",
        params![environment, now()],
    )?;
    Ok(())
}

/// Lets all repositories be checked at once, as after a start: what was pushed
/// meanwhile is unknown.
pub fn check_all_remotes(transaction: &mut dyn Transaction) -> Result<(), HubStoreError> {
    transaction.execute("UPDATE remotes SET check_at = ?1", params![now()])?;
    Ok(())
}

/// Takes the repository that has waited longest for its check. It is due again after
/// `interval`. Those of the environments and owners in `busy` are left.
pub fn take_due(
    transaction: &mut dyn Transaction,
    interval: Duration,
    busy: &[(String, String)],
    per_owner: usize,
) -> Result<Option<RemoteRecord>, HubStoreError> {
    let mut parameters: Vec<SqlValue> = vec![now().into()];
    let mut condition = String::new();
    for (environment, owner) in busy {
        parameters.push(environment.into());
        condition.push_str(&format!(" AND m.environment <> ?{}", parameters.len()));
        if busy.iter().filter(|(_, other)| other == owner).count() >= per_owner {
            parameters.push(owner.into());
            condition.push_str(&format!(" AND e.owner <> ?{}", parameters.len()));
        }
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE m.check_at <= ?1 AND e.deleted_at IS NULL{condition} \
         ORDER BY m.check_at LIMIT 1"
    );
    let Some(row) = transaction.first(&sql, &parameters)? else {
        return Ok(None);
    };
    let due = RemoteRecord::of(&row)?;
    transaction.execute(
        "UPDATE remotes SET check_at = ?2 WHERE environment = ?1",
        params![&due.environment, time_after(interval)],
    )?;
    Ok(Some(due))
}

/// Notes what a check has found, and returns the environment if it is still deployed
/// from there. One that failed is checked again after twice the time, an hour at
/// most; a webhook that came meanwhile counts at once.
pub fn checked_remote(
    transaction: &mut dyn Transaction,
    remote: &RemoteRecord,
    interval: Duration,
    result: &Result<Checked, String>,
) -> Result<Option<EnvironmentRecord>, HubStoreError> {
    let id = &remote.environment;
    let is_current = remote_of(transaction, id)?.is_some_and(|now| now.url == remote.url);
    if !is_current {
        return Ok(None);
    }
    let at = now();
    match result {
        Ok(found) => transaction.execute(
            "UPDATE remotes SET branch = ?2, commit_sha = ?3, checked_at = ?4, failures = 0, \
             problem = NULL WHERE environment = ?1",
            params![id, &found.branch, &found.commit, at],
        )?,
        Err(problem) => {
            let problem: String = problem.chars().take(MAX_PROBLEM).collect();
            let row = transaction.first(
                "SELECT failures FROM remotes WHERE environment = ?1",
                params![id],
            )?;
            let failures = row.map_or(Ok(0), |row| row.integer(0))?.clamp(0, 12) + 1;
            let factor = 1_u32.checked_shl(u32::try_from(failures).unwrap_or_default());
            let pause = interval.saturating_mul(factor.unwrap_or(u32::MAX));
            let again = time_after(pause.min(MAX_PAUSE).max(interval));
            transaction.execute(
                "UPDATE remotes SET checked_at = ?2, failures = ?3, problem = ?4, \
                 check_at = CASE WHEN check_at > ?2 THEN ?5 ELSE check_at END \
                 WHERE environment = ?1",
                params![id, at, failures, problem, again],
            )?
        }
    };
    get(transaction, id).map(Some)
}
