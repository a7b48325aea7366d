//! Configuration in two stages: as written, and as it runs.
//!
//! The types named `…Flags` hold what was written on the command line and in
//! environment variables. Their `resolve` returns what the rest of the host
//! uses, typed and checked. An invalid value fails in between, with the name of
//! the flag and the permitted values.

mod limit_flags;
mod limit_overrides;
mod listen;
mod operation;
mod paths;
mod persistence;
mod server_limits;

pub use limit_flags::LimitFlags;
pub use limit_overrides::{CappedLimit, LimitOverrides};
pub use listen::{Listen, ListenFlags, NotAnAddress};
pub use operation::{HardeningFlags, HardeningMode, LogFlags, LogFormat};
pub use paths::{
    BuildFlags, BuildMode, DataMapping, EnvironmentFlags, NetworkFlags, NetworkMapping,
    NoCacheDirectory, Paths, created_folders,
};
pub use persistence::{HibernateAfter, NoStateDirectory, PersistenceConfig, PersistenceFlags};
pub use server_limits::ServerLimits;
