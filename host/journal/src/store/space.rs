//! The space of the file system that holds a journal.

use std::fs::File;
use std::io;
use std::path::Path;

/// The space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes of the file system; `u64::MAX` if it has no size.
    pub total: u64,
    /// Bytes that this process may still write.
    pub available: u64,
}

impl DiskSpace {
    /// The space of a store that is not on a disk.
    pub const UNLIMITED: DiskSpace = DiskSpace {
        total: u64::MAX,
        available: u64::MAX,
    };
}

/// Measures the space of one file system. Its directory is opened before
/// hardening.
#[derive(Debug)]
pub(crate) struct SpaceProbe(File);

impl SpaceProbe {
    /// Opens a directory of the file system.
    pub(crate) fn open(dir: &Path) -> io::Result<SpaceProbe> {
        File::open(dir).map(SpaceProbe)
    }

    /// Measures the space.
    pub(crate) fn measure(&self) -> io::Result<DiskSpace> {
        let found = rustix::fs::fstatvfs(&self.0)?;
        if found.f_blocks == 0 {
            return Ok(DiskSpace::UNLIMITED);
        }
        Ok(DiskSpace {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            available: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}
