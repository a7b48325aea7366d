//! A row of the table of deployments.

use crate::error::HubStoreError;
use crate::sql::value::SqlRow;

/// The columns that [`DeploymentRecord::of`] reads, of the table `d`.
pub(super) const COLUMNS: &str = "d.id, d.environment, d.status, d.source, d.branch, \
    d.commit_sha, d.subdirectory, d.created_by, d.digest, d.variants, d.secrets, d.error, \
    d.created_at, d.updated_at";

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentStatus {
    /// It waits for a builder.
    Queued,
    /// Its sources are checked out, and built or admitted.
    Building,
    /// It is being started.
    Deploying,
    /// It is or was served.
    Deployed,
    /// It could not be built or started.
    Failed,
    /// A newer one came before its turn.
    Cancelled,
}

impl DeploymentStatus {
    const ALL: [DeploymentStatus; 6] = [
        DeploymentStatus::Queued,
        DeploymentStatus::Building,
        DeploymentStatus::Deploying,
        DeploymentStatus::Deployed,
        DeploymentStatus::Failed,
        DeploymentStatus::Cancelled,
    ];

    /// Returns the word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            DeploymentStatus::Queued => "queued",
            DeploymentStatus::Building => "building",
            DeploymentStatus::Deploying => "deploying",
            DeploymentStatus::Deployed => "deployed",
            DeploymentStatus::Failed => "failed",
            DeploymentStatus::Cancelled => "cancelled",
        }
    }

    fn of(text: &str) -> Result<DeploymentStatus, HubStoreError> {
        let mut all = DeploymentStatus::ALL.into_iter();
        all.find(|status| status.as_str() == text).ok_or_else(|| {
            HubStoreError::Failed(format!("unknown status {text:?} of a deployment"))
        })
    }
}

/// Where the sources of a deployment are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentSource {
    /// In the repository of the environment with this id.
    Repository(String),
    /// In an upload with this file name. Its digest is in the place of a commit.
    Upload(String),
}

impl DeploymentSource {
    /// Returns the text in the table.
    pub(super) fn to_text(&self) -> String {
        match self {
            DeploymentSource::Repository(environment) => format!("repository:{environment}"),
            DeploymentSource::Upload(name) => format!("upload:{name}"),
        }
    }

    fn of(text: &str) -> Result<DeploymentSource, HubStoreError> {
        match text.split_once(':') {
            Some(("repository", id)) => Ok(DeploymentSource::Repository(id.to_owned())),
            Some(("upload", name)) => Ok(DeploymentSource::Upload(name.to_owned())),
            _ => Err(HubStoreError::Failed(format!(
                "unknown source {text:?} of a deployment"
            ))),
        }
    }
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentRecord {
    /// The id.
    pub id: String,
    /// The id of the environment.
    pub environment: String,
    /// How far it is.
    pub status: DeploymentStatus,
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
    /// The digest of the components, once they are admitted.
    pub digest: Option<String>,
    /// The names of the environments that it holds; the first is the default.
    pub variants: Vec<String>,
    /// The secrets that they declare.
    pub secrets: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: String,
    /// When its status changed last.
    pub updated_at: String,
}

impl DeploymentRecord {
    pub(super) fn of(row: &SqlRow) -> Result<DeploymentRecord, HubStoreError> {
        Ok(DeploymentRecord {
            id: row.text(0)?,
            environment: row.text(1)?,
            status: DeploymentStatus::of(&row.text(2)?)?,
            source: DeploymentSource::of(&row.text(3)?)?,
            branch: row.text(4)?,
            commit: row.text(5)?,
            subdirectory: row.optional_text(6)?,
            created_by: row.text(7)?,
            digest: row.optional_text(8)?,
            variants: names(&row.text(9)?)?,
            secrets: names(&row.text(10)?)?,
            error: row.optional_text(11)?,
            created_at: row.text(12)?,
            updated_at: row.text(13)?,
        })
    }
}

fn names(json: &str) -> Result<Vec<String>, HubStoreError> {
    serde_json::from_str(json).map_err(|error| HubStoreError::Failed(error.to_string()))
}
