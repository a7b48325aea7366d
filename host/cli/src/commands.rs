//! Commands that serve environments and that help to write them.

mod build;
mod inspect;
mod keys;
mod new;
mod serve;

pub(crate) use build::Build;
pub(crate) use inspect::Inspect;
pub(crate) use keys::Keys;
pub(crate) use new::New;
pub(crate) use serve::Serve;
