//! Disk space: quotas of owners, and records that forks share.

mod disk_quota;
mod shared_pasts;
