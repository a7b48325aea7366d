//! The component that the host loads.

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#[doc(hidden)]
#[rustfmt::skip]
pub mod bindings;
mod exports;
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#[doc(hidden)]
#[rustfmt::skip]
#[path = "network.rs"]
pub mod network_bindings;

pub use exports::Component;
