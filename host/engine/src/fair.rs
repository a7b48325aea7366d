//! Turns on the CPU, first come first served.
//!
//! Left to a work-stealing scheduler, a guest that never pauses keeps its
//! thread for a second at a time while others share what is left. So a guest
//! takes a permit before each stay and gives it back after, be it that its
//! time slice is over or that it waits for something; permits are queued for
//! in order, and there are as many as threads.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use orwd_sandbox::Meter;

/// Drives a guest, a stay at a time.
pub(super) struct Fair<F> {
    turns: PollSemaphore,
    meter: Meter,
    guest: Pin<Box<F>>,
}

impl<F> Fair<F> {
    pub(super) fn new(turns: Arc<Semaphore>, meter: Meter, guest: F) -> Fair<F> {
        Fair {
            turns: PollSemaphore::new(turns),
            meter,
            guest: Box::pin(guest),
        }
    }
}

impl<F: Future> Future for Fair<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // The semaphore is never closed; were it, the guest would run unqueued.
        let turn = ready!(self.turns.poll_acquire(context));
        self.meter.enter();
        let result = self.guest.as_mut().poll(context);
        self.meter.leave();
        drop(turn);
        result
    }
}
