//! Commands that serve environments and that help to write them.

mod build;
mod completions;
mod inspect;
mod keys;
mod new;
pub(crate) mod serve;

pub(crate) use build::Build;
pub(crate) use completions::Completions;
pub(crate) use inspect::Inspect;
pub(crate) use keys::Keys;
pub(crate) use new::New;
pub(crate) use serve::Serve;
