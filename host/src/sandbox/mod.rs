//! What a guest can see and use up.
//!
//! A guest starts with nothing: no files, no network, no arguments, no
//! environment variables, no standard input. This room builds the little that
//! it is given, and holds the counters that bound what it takes. It knows
//! wasmtime's store and linker, and nothing of sessions or HTTP.

mod data;
mod grants;
mod memory;
mod meter;
mod state;
mod stdio;
mod tree;

pub use data::{DataDir, DataDirError, Existing, Mode, Publish};
pub use grants::{Grant, grant_of};
pub use meter::Meter;
pub use state::{GuestState, Label, Outfit};
pub use tree::Allowance;
#[cfg(feature = "fuzzing")]
pub(crate) use tree::fuzzing;

pub(crate) use grants::link;
