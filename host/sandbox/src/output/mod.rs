//! A guest's standard output and standard error.

pub(crate) mod rate;
pub(crate) mod stdio;
