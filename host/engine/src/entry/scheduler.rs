//! A fair CPU scheduler for guests: first come, first served.
//!
//! With a work-stealing scheduler alone, a guest that never yields keeps its
//! thread for a second at a time while others share the rest. So a guest
//! acquires a permit before each time slice and returns it afterwards, when the
//! slice is over or when the guest waits for something. The permits are queued
//! in order, and there is one per thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use orwd_sandbox::CpuMeter;

/// A guest's future, polled only while it holds a CPU permit.
pub(crate) struct ScheduledGuest<F> {
    cpu_permits: PollSemaphore,
    meter: CpuMeter,
    guest: Pin<Box<F>>,
}

impl<F> ScheduledGuest<F> {
    pub(crate) fn new(cpu_permits: Arc<Semaphore>, meter: CpuMeter, guest: F) -> ScheduledGuest<F> {
        ScheduledGuest {
            cpu_permits: PollSemaphore::new(cpu_permits),
            meter,
            guest: Box::pin(guest),
        }
    }
}

impl<F: Future> Future for ScheduledGuest<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // The semaphore is never closed; if it were, the guest would run
        // without queueing.
        let permit = ready!(self.cpu_permits.poll_acquire(context));
        self.meter.start();
        let result = self.guest.as_mut().poll(context);
        self.meter.stop();
        drop(permit);
        result
    }
}
