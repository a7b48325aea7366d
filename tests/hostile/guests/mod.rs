//! The guests that attack.

mod malformed_results;
mod wasi_imports;
mod wat_guest;

pub(crate) use malformed_results::{ResultImage, ResultKind, malformed_results};
pub(crate) use wasi_imports::{with_clock, with_random, with_stdout};
pub(crate) use wat_guest::{WatGuest, wat_guest, write_component};
