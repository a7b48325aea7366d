//! Disk space: quotas of owners, and a reserve.

mod limits;
mod quota;

pub(crate) use limits::STORED_LIMITS;
pub use limits::{DiskLimits, DiskRefusal};
pub use quota::{DiskPermit, DiskQuota};
