//! What the fuzz targets of `tests/fuzz` reach of the inside of this crate.
//!
//! There only with the feature `fuzzing`, which no build of the product has.
//! Nothing here is more than a way in: what is fuzzed is what runs.

pub use crate::engine::fuzzing::{lift_messages, lift_output, lift_scores, lift_tools, scan, wit};
pub use crate::ors::fuzzing::{
    Request, Said, Watch, event, message_text, output_events, read_request, score_events,
    text_events,
};
pub use crate::sandbox::fuzzing::tree;
