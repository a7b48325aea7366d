//! A guest's standard output and standard error.

mod patterns;
pub(crate) mod rate;
mod redact;
pub(crate) mod stdio;
