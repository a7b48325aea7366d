//! Deployments: the versions of environments, and how they came about.

mod progress;
mod queries;
mod queue;
mod record;
mod retention;
mod runtime_log;

pub use progress::{DeployedVersion, append_log, finish, requeue_interrupted, serve, set_status};
pub use queries::{
    by_prefix, get, log_after, log_text, newest_of, of_environment, page_of_environment, version_of,
};
pub use queue::{NewDeployment, enqueue, enqueue_head, take_next};
pub use record::{DeploymentRecord, DeploymentSource, DeploymentStatus};
pub use retention::{owners_of_versions, remove_old};
pub use runtime_log::{RuntimeEntry, Severity, add_entry, latest_entries};
