//! Disk space that several sessions share.

use std::fmt::Debug;

/// Disk space for the temporary files of a session, shared with the others of its
/// owner.
pub trait DiskBudget: Debug + Send + Sync {
    /// Charges bytes. Returns whether they fit; if not, none is charged.
    fn take(&self, bytes: u64) -> bool;

    /// Returns bytes that were charged.
    fn give_back(&self, bytes: u64);
}
