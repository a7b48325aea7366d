//! The states of a deployment, and the version that an environment serves.

use super::record::{DeploymentRecord, DeploymentStatus};
use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::usage;

/// Characters of a build log. What follows is dropped.
const MAX_LOG: i64 = 1 << 20;

/// Bytes of the reason of a failure, which listings show.
const MAX_REASON: usize = 16 << 10;

/// A version that can be served.
#[derive(Clone, Debug)]
pub struct DeployedVersion {
    /// The digest of the components.
    pub digest: String,
    /// The names of the environments that it holds; the first is the default.
    pub variants: Vec<String>,
    /// The secrets that they declare.
    pub secrets: Vec<String>,
    /// Bytes of its files.
    pub bytes: i64,
}

/// Bytes by which a deployment is charged beside its files and its build log.
const ROW: i64 = 16 << 10;

/// Sets the status of a deployment.
pub fn set_status(
    transaction: &mut dyn Transaction,
    id: &str,
    status: DeploymentStatus,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE deployments SET status = ?2, updated_at = ?3 WHERE id = ?1",
        params![id, status.as_str(), now()],
    )?;
    Ok(())
}

/// Appends text to the build log of a deployment.
pub fn append_log(
    transaction: &mut dyn Transaction,
    id: &str,
    text: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE deployments SET log = log || ?2 WHERE id = ?1 AND LENGTH(log) + LENGTH(?2) < ?3",
        params![id, text, MAX_LOG],
    )?;
    Ok(())
}

/// Ends a deployment: with a version, which the environment then serves, or with
/// the reason for its failure, which changes nothing else.
pub fn finish(
    transaction: &mut dyn Transaction,
    deployment: &DeploymentRecord,
    result: &Result<DeployedVersion, String>,
) -> Result<(), HubStoreError> {
    end(transaction, deployment, result)?;
    let bytes = result.as_ref().map_or(0, |version| version.bytes);
    transaction.execute(
        "UPDATE deployments SET bytes = ?2 + ?3 + LENGTH(log) WHERE id = ?1",
        params![&deployment.id, bytes, ROW],
    )?;
    usage::count_versions(transaction, Some(&deployment.environment))
}

fn end(
    transaction: &mut dyn Transaction,
    deployment: &DeploymentRecord,
    result: &Result<DeployedVersion, String>,
) -> Result<(), HubStoreError> {
    match result {
        Ok(version) => {
            transaction.execute(
                "UPDATE deployments SET status = 'deployed', digest = ?2, variants = ?3, \
                 secrets = ?4, updated_at = ?5 WHERE id = ?1",
                params![
                    &deployment.id,
                    &version.digest,
                    json(&version.variants)?,
                    json(&version.secrets)?,
                    now()
                ],
            )?;
            serve(transaction, &deployment.environment, &deployment.id)?;
            append_log(transaction, &deployment.id, "deployed\n")
        }
        Err(reason) => {
            transaction.execute(
                "UPDATE deployments SET status = 'failed', error = ?2, updated_at = ?3 \
                 WHERE id = ?1",
                params![&deployment.id, beginning(reason), now()],
            )?;
            append_log(transaction, &deployment.id, &format!("error: {reason}\n"))
        }
    }
}

/// Returns the beginning of a reason; the build log has the whole.
fn beginning(reason: &str) -> &str {
    let end = reason.floor_char_boundary(MAX_REASON);
    reason.get(..end).unwrap_or_default()
}

/// Makes an environment serve a deployment.
pub fn serve(
    transaction: &mut dyn Transaction,
    environment: &str,
    deployment: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE environments SET served = ?2, updated_at = ?3 WHERE id = ?1",
        params![environment, deployment, now()],
    )?;
    Ok(())
}

/// Queues the deployments again that a stopped process left unfinished.
pub fn requeue_interrupted(transaction: &mut dyn Transaction) -> Result<u64, HubStoreError> {
    transaction.execute(
        "UPDATE deployments SET status = 'queued', updated_at = ?1, \
         log = log || 'the platform was restarted; the deployment begins again\n' \
         WHERE status IN ('building', 'deploying')",
        params![now()],
    )
}

fn json(names: &[String]) -> Result<String, HubStoreError> {
    serde_json::to_string(names).map_err(|error| HubStoreError::Failed(error.to_string()))
}
