//! How much data a directory may have, when it is opened and while it is served.

use std::path::{Path, PathBuf};

use cap_std::fs::{Metadata, MetadataExt};

use super::rules::{DataRefusal, DataRules};

/// Below this size a tree may be mostly holes.
const MAX_HOLES: u64 = 4 << 30;

/// A tree is mostly holes if the disk holds less than one part in this many.
const HOLE_FACTOR: u64 = 64;

/// Bytes of a block that the system counts in.
const BLOCK: u64 = 512;

/// The most that a directory may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeLimits {
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// Files, directories and links.
    pub(crate) entries: u64,
}

impl From<&DataRules> for SizeLimits {
    fn from(rules: &DataRules) -> SizeLimits {
        SizeLimits {
            bytes: rules.max_bytes,
            entries: rules.max_entries,
        }
    }
}

/// What a walk through a directory has counted.
#[derive(Debug)]
pub(crate) struct DataSize {
    limits: SizeLimits,
    entries: u64,
    /// Bytes of all files, and what the disk holds of them.
    bytes: u64,
    held: u64,
    largest: (u64, PathBuf),
    /// The file with the largest hole: the size of the hole, and of the file.
    sparsest: (u64, u64, PathBuf),
}

impl DataSize {
    pub(crate) fn new(limits: SizeLimits) -> DataSize {
        DataSize {
            limits,
            entries: 0,
            bytes: 0,
            held: 0,
            largest: (0, PathBuf::new()),
            sparsest: (0, 0, PathBuf::new()),
        }
    }

    /// Counts an entry of any kind.
    pub(crate) fn count_entry(&mut self) -> Result<(), DataRefusal> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(DataRefusal::TooManyEntries(self.limits.entries));
        }
        Ok(())
    }

    /// Counts the bytes of a file.
    pub(crate) fn count_file(
        &mut self,
        path: &Path,
        metadata: &Metadata,
    ) -> Result<(), DataRefusal> {
        let size = metadata.len();
        let held = metadata.blocks().saturating_mul(BLOCK);
        self.bytes = self.bytes.saturating_add(size);
        self.held = self.held.saturating_add(held);
        if size > self.largest.0 {
            self.largest = (size, path.to_owned());
        }
        let hole = size.saturating_sub(held);
        if hole > self.sparsest.0 {
            self.sparsest = (hole, size, path.to_owned());
        }
        if self.bytes > self.limits.bytes {
            self.check_holes()?;
            let (size, largest) = std::mem::take(&mut self.largest);
            return Err(DataRefusal::TooLarge {
                limit: self.limits.bytes,
                largest,
                size,
            });
        }
        Ok(())
    }

    /// Refuses a tree that is mostly holes. Comes after the last file.
    pub(crate) fn check_holes(&mut self) -> Result<(), DataRefusal> {
        if self.bytes <= MAX_HOLES || self.bytes / HOLE_FACTOR <= self.held {
            return Ok(());
        }
        let (hole, size, file) = std::mem::take(&mut self.sparsest);
        let held = size.saturating_sub(hole);
        Err(DataRefusal::Sparse { file, size, held })
    }
}
