//! What the host's process holds, by `/proc`: what an attack leaves behind
//! shows here.

use std::fmt;
use std::fs;

/// Bytes of memory that may usually stay behind: allocators keep some.
pub const SLACK: u64 = 32 << 20;

/// Threads that may stay behind for a while: those for slow work are kept for
/// some seconds after it.
const RESTING: usize = 16;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Bytes of resident memory.
    pub memory: u64,
}

impl Vitals {
    /// Those of a process.
    pub fn of(pid: u32) -> Self {
        let count = |folder: &str| {
            fs::read_dir(format!("/proc/{pid}/{folder}"))
                .expect("the server is alive")
                .count()
        };
        let pages = fs::read_to_string(format!("/proc/{pid}/statm")).expect("the server is alive");
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

    /// Whether nothing stayed behind, but for threads at rest.
    pub fn is_back_at(&self, start: &Self, slack: u64) -> bool {
        self.descriptors <= start.descriptors
            && self.threads <= start.threads + RESTING
            && self.memory <= start.memory + slack
    }

    /// Whether not even those did.
    pub fn is_at_rest(&self, start: &Self, slack: u64) -> bool {
        self.is_back_at(start, slack) && self.threads <= start.threads
    }

    /// The least of each.
    pub fn least(self, other: Self) -> Self {
        Self {
            descriptors: self.descriptors.min(other.descriptors),
            threads: self.threads.min(other.threads),
            memory: self.memory.min(other.memory),
        }
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} descriptors, {} threads, {} MiB",
            self.descriptors,
            self.threads,
            self.memory >> 20
        )
    }
}
