//! A row of the table of environments.

use super::settings::{ComputeSize, ScalingSettings};
use crate::accounts::Caller;
use crate::error::HubStoreError;
use crate::sql::value::SqlRow;

/// The columns that [`EnvironmentRecord::of`] reads, of the table `e`, of the
/// linked repository `r` and of the repository elsewhere `m`.
pub(super) const COLUMNS: &str = "e.id, e.owner, e.name, e.description, e.is_private, \
    e.cpu_count, e.mem_gb, e.min_scale, e.max_scale, e.max_concurrency, e.arxiv_url, \
    e.external_github_url, e.external_hf_url, e.repository, r.owner, r.name, e.subdirectory, \
    e.deployed_commit, e.served, e.generation, e.created_at, e.updated_at, m.url";

/// The tables of [`COLUMNS`].
pub(super) const TABLES: &str = "environments e LEFT JOIN environments r ON r.id = e.repository \
    LEFT JOIN remotes m ON m.environment = e.id";

/// An environment.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentRecord {
    /// The id, which stays when the name changes.
    pub id: String,
    /// The namespace.
    pub owner: String,
    /// The name.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Whether only members of the namespace see it.
    pub is_private: bool,
    /// The scaling settings.
    pub settings: ScalingSettings,
    /// A page about it.
    pub arxiv_url: Option<String>,
    /// A page about it.
    pub external_github_url: Option<String>,
    /// A page about it.
    pub external_hf_url: Option<String>,
    /// What it is deployed from.
    pub link: Option<EnvironmentLink>,
    /// The deployment that new sessions use.
    pub served: Option<String>,
    /// How often its files have changed.
    pub generation: i64,
    /// When it was created.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}

/// The repository that an environment is deployed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentLink {
    /// The environment to whose repository the commits belong. With a repository
    /// elsewhere it is the environment itself: its repository has a copy.
    pub repository: String,
    /// The name of that environment, with its owner.
    pub repository_name: String,
    /// The folder of the repository; the root if absent.
    pub subdirectory: Option<String>,
    /// The commit that was deployed last.
    pub deployed_commit: Option<String>,
    /// The address of the repository, if it is elsewhere.
    pub remote: Option<String>,
}

impl EnvironmentRecord {
    pub(super) fn of(row: &SqlRow) -> Result<EnvironmentRecord, HubStoreError> {
        let link = match row.optional_text(13)? {
            None => None,
            Some(repository) => Some(EnvironmentLink {
                repository,
                repository_name: format!("{}/{}", row.text(14)?, row.text(15)?),
                subdirectory: row.optional_text(16)?,
                deployed_commit: row.optional_text(17)?,
                remote: row.optional_text(22)?,
            }),
        };
        Ok(EnvironmentRecord {
            id: row.text(0)?,
            owner: row.text(1)?,
            name: row.text(2)?,
            description: row.text(3)?,
            is_private: row.flag(4)?,
            settings: ScalingSettings {
                size: ComputeSize {
                    cpu_count: row.real(5)?,
                    mem_gb: row.real(6)?,
                },
                min_scale: row.integer(7)?,
                max_scale: row.integer(8)?,
                max_concurrency: row.integer(9)?,
            },
            arxiv_url: row.optional_text(10)?,
            external_github_url: row.optional_text(11)?,
            external_hf_url: row.optional_text(12)?,
            link,
            served: row.optional_text(18)?,
            generation: row.integer(19)?,
            created_at: row.text(20)?,
            updated_at: row.text(21)?,
        })
    }

    /// Returns the name with the owner.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Returns whether a caller sees it; without a caller, whether everyone does.
    pub fn is_visible_to(&self, caller: Option<&Caller>) -> bool {
        !self.is_private || caller.is_some_and(|caller| caller.may_read(&self.owner))
    }
}
