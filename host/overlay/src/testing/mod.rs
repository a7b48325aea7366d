//! Test support, and the fuzz target of the overlay. Not part of the product.

#![cfg_attr(not(test), allow(dead_code))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub(crate) mod fixture;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub(crate) mod model;
