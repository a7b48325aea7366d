//! Environments: where they come from, how they are made, and what they are
//! once they are loaded and sessions can be opened on them.

pub mod build;
mod environment;
pub mod manifest;
mod questions;
pub mod source;

#[cfg(test)]
pub(crate) mod testing;

pub use environment::{Blueprint, Environment, LoadError, Prepared};
pub use source::Source;
