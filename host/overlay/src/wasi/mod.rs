//! The overlay as `wasi:filesystem` 0.2.

mod descriptor;
mod streams;
pub(crate) mod view;
