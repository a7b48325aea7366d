//! What is served: environments, where they come from and how they are made.

pub mod build;
pub mod manifest;
pub mod source;

#[cfg(test)]
pub(crate) mod testing;

pub use source::Source;
