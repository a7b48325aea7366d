//! A copy-on-write file system for the files of a session, with quotas.
//!
//! The [lower layer](LowerLayer) is the environment's data directory, shared by
//! all its sessions and never written. The upper layer belongs to one
//! session: it holds what the session wrote, removed and renamed, is charged to
//! the byte, and is dropped with the session. A guest never names a path of the
//! host: it names paths of the overlay, and nothing outside of it exists. Files
//! that should outlast the session are [published](Overlay::publish) when it ends.
//!
//! Every failure is a WASI error code. There are two traps: a guest whose
//! resource table is full, and a resource that the host lacks, such as disk
//! space or a descriptor. Other trouble of the host is `io`, with the reason in
//! the log.

mod error;
mod handle;
mod listing;
mod lower;
mod overlay;
mod publish;
mod storage;
#[cfg(any(test, feature = "fuzzing"))]
mod testing;
#[cfg(test)]
mod tests;
mod time;
mod upper;
mod warnings;
mod wasi;

pub use lower::{LowerLayer, PUBLISH_PREFIX};
pub use overlay::Overlay;
pub use publish::PublishReport;
pub use storage::quota::{FileLimits, QuotaRefusal};
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use testing::fuzzing;
pub use time::{TimeSource, datetime};
pub use wasi::view::{FilesystemView, HasFilesystem};
