//! Configuration in two stages: as it was written, and as it runs.
//!
//! [`written`] holds what stood on the command line, in environment variables
//! and, for limits, in a manifest; [`resolved`] holds what follows from it,
//! typed and checked, and is all that the rest of the host sees. What makes no
//! sense fails between the two, with the name of the flag and what it allows.

pub mod limits;
pub mod resolved;
pub mod units;
pub mod written;

pub use limits::{Capped, Limit, Narrowing};
pub use resolved::{ConfigError, Keeping, Listen, Places, ServerLimits};
pub use written::{
    AdmissionFlags, EnvironmentFlags, KeepingFlags, KeepingLevel, LogFlags, LogFormat, ServerFlags,
    SessionFlags, WallFlags, WallWish,
};
