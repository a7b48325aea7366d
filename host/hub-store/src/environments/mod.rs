//! Environments: names, settings, visibility.

mod changes;
mod create;
mod deletion;
mod former_names;
mod links;
mod names;
mod queries;
mod record;
mod settings;
#[cfg(test)]
mod tests;

pub use changes::{DetailsChange, change_details, change_settings};
pub use create::{NewEnvironment, create};
pub use deletion::{
    DeletedEnvironment, delete, give_up, list_deleted, next_to_remove, remove, restore,
};
pub use links::elsewhere::{
    Checked, RemoteRecord, check_all_remotes, check_remote, checked_remote, link_remote, remote_of,
    remote_to_change, renew_webhook, take_due,
};
pub use links::own::{change_subdirectory, link, unlink};
pub use names::{check_name, check_relative_path};
pub use queries::{
    ListQuery, by_id, by_id_to_change, find, find_to_change, generations, linked_to, list,
    of_platform, renamed, repositories,
};
pub use record::{EnvironmentLink, EnvironmentRecord};
pub use settings::{ComputeSize, ScalingChange, ScalingSettings};
