//! Requests that a guest has started, and whose results it has not seen.
//!
//! Which of several requests gets its result first depends on the network. The
//! record has the results in the order in which the guest saw them, without
//! numbers, so of requests that are equal the first one gets the first result.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use orwd_model::{HttpRequest, HttpResult};

/// A request on its way.
pub(crate) type Sending = Pin<Box<dyn Future<Output = HttpResult> + Send>>;

/// The started requests of one session.
#[derive(Debug, Default)]
pub(crate) struct StartedRequests {
    open: Vec<StartedRequest>,
    /// Those of earlier entries, which have no result.
    ended: VecDeque<u32>,
}

#[derive(Debug)]
struct StartedRequest {
    number: u32,
    request: HttpRequest,
    progress: Progress,
}

enum Progress {
    Queued {
        /// An earlier attempt at the entry may have sent it.
        in_doubt: bool,
    },
    Sent(Sending),
}

impl StartedRequests {
    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.open.len().saturating_add(self.ended.len())
    }

    /// Returns whether none can get a result.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Queues a request.
    pub(crate) fn push(&mut self, number: u32, request: HttpRequest) {
        self.open.push(StartedRequest {
            number,
            request,
            progress: Progress::Queued { in_doubt: false },
        });
    }

    /// Notes that an earlier attempt may have sent those that are queued.
    pub(crate) fn doubt_queued(&mut self) {
        for started in &mut self.open {
            if let Progress::Queued { in_doubt } = &mut started.progress {
                *in_doubt = true;
            }
        }
    }

    /// Sends queued requests in order, until this many are on their way.
    pub(crate) fn send_queued(
        &mut self,
        most: usize,
        send: impl Fn(u32, &HttpRequest, bool) -> Sending,
    ) {
        let is_sent = |started: &&StartedRequest| matches!(started.progress, Progress::Sent(_));
        let sent = self.open.iter().filter(is_sent).count();
        let mut places = most.saturating_sub(sent);
        for started in &mut self.open {
            if let Progress::Queued { in_doubt } = started.progress
                && places > 0
            {
                places -= 1;
                let sending = send(started.number, &started.request, in_doubt);
                started.progress = Progress::Sent(sending);
            }
        }
    }

    /// Waits until one that is on its way has a result, and returns its place.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(usize, HttpResult)> {
        for (place, started) in self.open.iter_mut().enumerate() {
            if let Progress::Sent(sending) = &mut started.progress
                && let Poll::Ready(result) = sending.as_mut().poll(context)
            {
                return Poll::Ready((place, result));
            }
        }
        Poll::Pending
    }

    /// Returns the place of a request that is equal to this one.
    pub(crate) fn find(&self, request: &HttpRequest) -> Option<usize> {
        let mut open = self.open.iter();
        open.position(|started| started.request == *request)
    }

    /// Removes the request in this place, which has a result. Returns the number of
    /// the one that gets it, which is the first of those that are equal.
    pub(crate) fn finish(&mut self, place: usize) -> Option<(u32, HttpRequest)> {
        if place >= self.open.len() {
            return None;
        }
        let mut done = self.open.swap_remove(place);
        let equal = self.open.iter_mut();
        let first = equal
            .filter(|other| other.number < done.number && other.request == done.request)
            .min_by_key(|other| other.number);
        if let Some(first) = first {
            std::mem::swap(&mut first.number, &mut done.number);
        }
        Some((done.number, done.request))
    }

    /// Ends a request whose result nobody waits for.
    pub(crate) fn cancel(&mut self, number: u32) {
        self.open.retain(|started| started.number != number);
        self.ended.retain(|ended| *ended != number);
    }

    /// Ends all requests, since the entry that started them has ended.
    pub(crate) fn end_entry(&mut self) {
        let mut numbers: Vec<u32> = self.open.drain(..).map(|started| started.number).collect();
        numbers.sort_unstable();
        self.ended.extend(numbers);
    }

    /// Returns one that an earlier entry started.
    pub(crate) fn take_ended(&mut self) -> Option<u32> {
        self.ended.pop_front()
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Progress::Queued { .. } => "Queued",
            Progress::Sent(_) => "Sent",
        })
    }
}
