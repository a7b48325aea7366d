//! The data directory, and the digest of its contents.

mod digest;
mod digest_cache;
pub(crate) mod dir;
mod known_files;
pub(crate) mod private;
pub(crate) mod rules;
pub(crate) mod size;
pub(crate) mod survey;
