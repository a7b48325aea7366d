//! What a connection's socket and its requests know of each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::framing::FramingError;

/// Counts the requests of one connection that have begun and ended.
#[derive(Debug, Default)]
pub(crate) struct ConnectionActivity {
    begun: AtomicU64,
    ended: AtomicU64,
    /// The request with ambiguous framing, which is the last one.
    framing_error: OnceLock<(u64, FramingError)>,
}

impl ConnectionActivity {
    /// Notes that the head of a request has been read.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the response to a request was sent, or never will be.
    pub(crate) fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Records the framing error of a request, by its number. There is at most
    /// one.
    pub(crate) fn set_framing_error(&self, number: u64, error: FramingError) {
        let _ = self.framing_error.set((number, error));
    }

    /// Returns the framing error of the request that began last.
    pub(crate) fn framing_error(&self) -> Option<FramingError> {
        let (number, error) = self.framing_error.get()?;
        (*number == self.begun.load(Ordering::Relaxed)).then_some(*error)
    }

    /// Returns the number of requests so far if none is in progress.
    pub(crate) fn idle(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        (begun == self.ended.load(Ordering::Relaxed)).then_some(begun)
    }
}
