//! Resources that a process holds, read from `/proc`: what an attack leaves
//! behind shows here.

use std::fs;

/// Bytes of memory that may stay behind: allocators keep some.
pub(crate) const MEMORY_SLACK: u64 = 48 << 20;

/// Descriptors that may stay behind: the journal keeps up to four database
/// connections for later reads, with three descriptors each, and one of them
/// exists from the start.
const IDLE_DESCRIPTORS: usize = 9;

/// Threads that may stay behind for some seconds: the pool for blocking work
/// keeps idle threads.
const IDLE_THREADS: usize = 16;

/// The resources of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessStats {
    /// Open descriptors.
    pub(crate) descriptors: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// Bytes of resident memory.
    pub(crate) memory: u64,
}

impl ProcessStats {
    /// Reads the resources of a process.
    pub(crate) fn of(pid: u32) -> Self {
        let count = |directory: &str| {
            fs::read_dir(format!("/proc/{pid}/{directory}"))
                .expect("the server is running")
                .count()
        };
        let pages =
            fs::read_to_string(format!("/proc/{pid}/statm")).expect("the server is running");
        let resident: u64 = pages
            .split_whitespace()
            .nth(1)
            .and_then(|pages| pages.parse().ok())
            .expect("a number of pages");
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            memory: resident * rustix::param::page_size() as u64,
        }
    }

    /// Returns whether nothing stayed behind, except idle threads and
    /// connections that are kept for reuse.
    pub(crate) fn is_within(&self, start: &Self, slack: u64) -> bool {
        self.descriptors <= start.descriptors + IDLE_DESCRIPTORS
            && self.threads <= start.threads + IDLE_THREADS
            && self.memory <= start.memory + slack
    }

    /// Returns whether the idle threads have ended as well.
    pub(crate) fn is_fully_back_at(&self, start: &Self, slack: u64) -> bool {
        self.is_within(start, slack) && self.threads <= start.threads
    }

    /// Returns the minimum of each resource.
    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            descriptors: self.descriptors.min(other.descriptors),
            threads: self.threads.min(other.threads),
            memory: self.memory.min(other.memory),
        }
    }
}

impl std::fmt::Display for ProcessStats {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} descriptors, {} threads, {} MiB",
            self.descriptors,
            self.threads,
            self.memory >> 20
        )
    }
}
