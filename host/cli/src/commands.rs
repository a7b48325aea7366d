//! Commands that serve environments and that help to write them.

mod build;
mod check;
mod completions;
mod hub;
mod inspect;
mod keys;
mod new;
pub(crate) mod serve;

pub(crate) use build::Build;
pub(crate) use check::Check;
pub(crate) use completions::Completions;
pub(crate) use hub::{Control, Hub};
pub(crate) use inspect::Inspect;
pub(crate) use keys::Keys;
pub(crate) use new::New;
pub(crate) use serve::Serve;
