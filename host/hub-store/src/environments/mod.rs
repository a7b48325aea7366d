//! Environments: names, settings, visibility.

mod changes;
mod create;
mod names;
mod queries;
mod record;
mod settings;

pub use changes::{
    DetailsChange, change_details, change_settings, change_subdirectory, link, unlink,
};
pub use create::{NewEnvironment, create};
pub use names::{check_name, check_relative_path};
pub(crate) use queries::escape_like;
pub use queries::{
    ListQuery, by_id, by_id_to_change, find, find_to_change, generations, linked_to, list,
    of_platform, repositories,
};
pub use record::{EnvironmentLink, EnvironmentRecord};
pub use settings::{ComputeSize, ScalingChange, ScalingSettings};
