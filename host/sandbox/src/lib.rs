//! What a guest can see and use up.
//!
//! A guest starts with nothing: no files, no network, no arguments, no
//! environment variables, no standard input; its clock and its randomness are
//! made of what it is born with. This room builds the little that
//! it is given, and holds the counters that bound what it takes. It knows
//! wasmtime's store and linker, and nothing of sessions or HTTP.

mod chance;
mod clock;
mod data;
mod grants;
mod memory;
mod meter;
mod poll;
mod scrub;
mod state;
mod stdio;

pub use data::{DataDir, DataDirError};
pub use grants::{Grant, grant_of};
pub use meter::Meter;
pub use state::{GuestState, Label, Outfit, Results};

pub use orwd_model::{DataMode, OnConflict, PublishRules};

pub use chance::TooMuchChance;
pub use clock::Overslept;
pub use grants::link;
pub use memory::{Refused as RefusedMemory, Starved};
pub use orwd_overlay::Refused as RefusedFiles;
