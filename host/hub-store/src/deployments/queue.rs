//! The queue of deployments.

use uuid::Uuid;

use super::queries::get;
use super::record::{COLUMNS, DeploymentRecord, DeploymentSource};
use crate::clock::now;
use crate::environments::EnvironmentRecord;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// A deployment to queue.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    /// Where its sources are.
    pub source: DeploymentSource,
    /// The branch; `upload` without a repository.
    pub branch: String,
    /// The commit; the digest of an upload.
    pub commit: String,
    /// The folder of the repository.
    pub subdirectory: Option<String>,
    /// The namespace that caused it.
    pub created_by: String,
}

/// Queues a deployment. Those of the environment that still wait are cancelled.
pub fn enqueue(
    transaction: &mut dyn Transaction,
    environment: &str,
    new: &NewDeployment,
) -> Result<DeploymentRecord, HubStoreError> {
    let (id, at) = (Uuid::new_v4().to_string(), now());
    transaction.execute(
        "UPDATE deployments SET status = 'cancelled', updated_at = ?2, \
         log = log || 'cancelled: a newer deployment was queued\n' \
         WHERE environment = ?1 AND status = 'queued'",
        params![environment, &at],
    )?;
    transaction.execute(
        "INSERT INTO deployments (id, number, environment, status, source, branch, commit_sha, \
         subdirectory, created_by, variants, secrets, log, created_at, updated_at) \
         VALUES (?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM deployments), ?2, 'queued', ?3, \
         ?4, ?5, ?6, ?7, '[]', '[]', '', ?8, ?8)",
        params![
            &id,
            environment,
            new.source.to_text(),
            &new.branch,
            &new.commit,
            new.subdirectory.as_ref(),
            &new.created_by,
            at
        ],
    )?;
    get(transaction, &id)
}

/// Queues a deployment of the head of the linked repository, unless that commit
/// was deployed last.
pub fn enqueue_head(
    transaction: &mut dyn Transaction,
    environment: &EnvironmentRecord,
    branch: &str,
    commit: &str,
    created_by: &str,
) -> Result<Option<DeploymentRecord>, HubStoreError> {
    let Some(link) = &environment.link else {
        return Ok(None);
    };
    if link.deployed_commit.as_deref() == Some(commit) {
        return Ok(None);
    }
    transaction.execute(
        "UPDATE environments SET deployed_commit = ?2 WHERE id = ?1",
        params![&environment.id, commit],
    )?;
    let new = NewDeployment {
        source: DeploymentSource::Repository(link.repository.clone()),
        branch: branch.to_owned(),
        commit: commit.to_owned(),
        subdirectory: link.subdirectory.clone(),
        created_by: created_by.to_owned(),
    };
    enqueue(transaction, &environment.id, &new).map(Some)
}

/// Takes the next deployment from the queue: of the owner whose last turn is
/// the longest ago. An environment has one builder at a time.
pub fn take_next(
    transaction: &mut dyn Transaction,
) -> Result<Option<DeploymentRecord>, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployments d JOIN environments e ON e.id = d.environment \
         WHERE d.status = 'queued' AND NOT EXISTS (SELECT 1 FROM deployments b \
         WHERE b.environment = d.environment AND b.status IN ('building', 'deploying')) \
         ORDER BY (SELECT COALESCE(MAX(t.number), 0) FROM deployments t \
         JOIN environments o ON o.id = t.environment \
         WHERE o.owner = e.owner AND t.status NOT IN ('queued', 'cancelled')), d.number LIMIT 1"
    );
    let Some(row) = transaction.first(&sql, &[])? else {
        return Ok(None);
    };
    let next = DeploymentRecord::of(&row)?;
    transaction.execute(
        "UPDATE deployments SET status = 'building', updated_at = ?2 WHERE id = ?1",
        params![&next.id, now()],
    )?;
    get(transaction, &next.id).map(Some)
}
