//! A guest's standard output and standard error.

mod patterns;
mod redact;
pub(crate) mod stdio;
