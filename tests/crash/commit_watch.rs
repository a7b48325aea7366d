//! Notices the writes of a host to its journal, to kill the host between a commit and
//! the response that waits for it.

use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// A watch on the write-ahead log of one host.
pub(crate) struct CommitWatch(OwnedFd);

impl CommitWatch {
    /// Watches the journal in this directory; none if it has no write-ahead log yet.
    pub(crate) fn new(state: &Path) -> Option<CommitWatch> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        let log = state.join("journal.db-wal");
        inotify::add_watch(&watch, log, WatchFlags::MODIFY).ok()?;
        Some(CommitWatch(watch))
    }

    /// Waits for the next write, for this long at most; returns whether there was
    /// one. Spins, since the time between a commit and its response is shorter than
    /// a sleep.
    pub(crate) fn wait(&self, most: Duration) -> bool {
        let begin = Instant::now();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        while begin.elapsed() < most {
            if inotify::Reader::new(&self.0, &mut buffer).next().is_ok() {
                return true;
            }
            spin_loop();
        }
        false
    }
}
