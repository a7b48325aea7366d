//! Environments: the trait that authors implement, their tasks, and episodes.

mod catalog;
mod definition;
mod episode;

pub(crate) use catalog::Catalog;
pub use catalog::TaskError;
#[allow(deprecated, reason = "the earlier name is exported for its users")]
pub use definition::Opening;
pub use definition::{Capabilities, Environment, EnvironmentInfo, SessionParams, Split, SplitKind};
pub(crate) use episode::Episode;
