//! Sessions, and the viewer of one session's transcript.

mod data;
mod list;
mod plot;
mod step;
mod viewer;

pub use data::{
    ShownBlock, ShownCandidate, ShownDetail, ShownError, ShownMessage, ShownOutput, ShownScore,
    ShownSession, ShownSteps, Step,
};
pub use list::{SessionRow, SessionsPage, VersionChoice, sessions};
pub use viewer::{EpisodePage, Fork, episode};
