//! Tasks of an environment: queries about them, and lists of them.

pub(crate) mod list;
pub(crate) mod queries;
