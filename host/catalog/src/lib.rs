//! Environments: where they come from, how they are made, and what they are
//! once they are loaded and sessions can be opened on them.

pub mod build;
mod environment;
pub mod manifest;
mod questions;
mod shelf;
pub mod source;

#[cfg(test)]
pub(crate) mod testing;

pub use environment::{Birth, Blueprint, Environment, LoadError, Prepared};
pub use shelf::Shelf;
pub use source::Source;
