//! What a connection's socket and its requests know of each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::framing::FramingError;

/// What the kernel does with the bytes that a connection writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WriteHold {
    /// It sends them at once.
    #[default]
    None,
    /// It keeps them for the next bytes, to send both in one packet.
    Held,
    /// It sends what it has kept.
    Push,
}

/// Counts the requests of one connection that have begun and ended.
#[derive(Debug, Default)]
pub(crate) struct ConnectionActivity {
    begun: AtomicU64,
    ended: AtomicU64,
    /// The request with ambiguous framing, which is the last one.
    framing_error: OnceLock<(u64, FramingError)>,
    /// A [`WriteHold`].
    hold: AtomicU8,
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

    /// Sets what is done with the bytes that are written from now on.
    pub(crate) fn set_hold(&self, hold: WriteHold) {
        self.hold.store(hold as u8, Ordering::Relaxed);
    }

    /// Returns whether the bytes that are written now are kept for the next.
    pub(crate) fn holds_writes(&self) -> bool {
        self.hold.load(Ordering::Relaxed) == WriteHold::Held as u8
    }

    /// Returns whether what was kept is to be sent now; once.
    pub(crate) fn take_push(&self) -> bool {
        let push = WriteHold::Push as u8;
        self.hold.load(Ordering::Relaxed) == push
            && self.hold.swap(WriteHold::None as u8, Ordering::Relaxed) == push
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
