//! The event stream of one run (`docs/src/reference/wire-contract.md#section-10`).
//!
//! The stream sends the run's id first. The run starts only once the id has left
//! the connection's buffer: a client that was cut off before it could read the id
//! calls again, and the tool must not have run by then. After that the client may
//! leave; the run continues.
//!
//! The kernel holds the id for [`ID_HOLD`] at most, so that the id and the result
//! of a short call are one packet. What the kernel holds is sent even if this
//! process is killed, so the client can always ask for the result.
//!
//! If the host itself failed, the stream is aborted without a last event. Clients
//! then retry; an `error` event would count as an answer of the environment.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use orwd_limiter::{ByteBudget, BytePermit};
use orwd_model::{Fault, RunOutcome};
use orwd_session::{HeldOutcome, IdOrder, OutcomeReader, Run};
use time::OffsetDateTime;
use tokio::time::{Instant, Sleep};

use super::json::json_length;
use super::sse::{ResultEvents, event, event_length, result_events};
use super::wire::{CallResult, ScoringResult, Wire};
use crate::connection::access_log::RunEnd;
use crate::connection::activity::WriteHold;
use crate::limit::client::Client;
use crate::limit::transfer_memory::{ChargedBytes, held_bytes};

/// The time between two pings; clients give up after 30 s of silence.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long the id waits in the kernel for the result. A call that takes longer
/// costs a second packet.
const ID_HOLD: Duration = Duration::from_millis(10);

/// How long a result waits for memory. The client's other responses hold it, and
/// one that is not read is cut off after `--write-timeout`. Until this one is
/// encoded, the result takes memory too, and so must not wait without end. Its
/// client fetches it again.
const MAX_BLOCKED: Duration = Duration::from_secs(60);

/// The stream of one reader of a run.
pub(crate) struct RunStream {
    run: Run,
    reader: OutcomeReader,
    memory: Arc<ByteBudget<Client>>,
    client: Client,
    ping_interval: Duration,
    hold: WriteHold,
    max_blocked: Duration,
    state: StreamState,
    /// The outcome of the run for the log, once it has ended.
    run_end: Option<RunEnd>,
}

enum StreamState {
    /// The id has not been sent.
    Created,
    /// The id is in the connection's buffer.
    Announced,
    /// The buffer has been written to the socket.
    Flushed,
    /// The run is in progress.
    Waiting(OutcomeWait),
    /// The run is over, and its result waits for memory.
    Blocked(MemoryWait),
    /// The result is being sent.
    Sending(ResultEvents),
    /// Everything has been sent.
    Done,
}

struct OutcomeWait {
    outcome: Pin<Box<dyn Future<Output = Arc<HeldOutcome>> + Send>>,
    pings: Pings,
}

struct MemoryWait {
    outcome: Arc<HeldOutcome>,
    /// The length of the result's JSON, which takes long to find out.
    length: usize,
    memory: Pin<Box<dyn Future<Output = BytePermit<Client>> + Send>>,
    timeout: Pin<Box<Sleep>>,
    pings: Pings,
}

/// Comments at intervals, since clients give up on a silent stream. If the id is
/// held, the first interval ends with the hold.
struct Pings {
    interval: Duration,
    next: Pin<Box<Sleep>>,
}

impl Pings {
    fn new(interval: Duration, hold: WriteHold) -> Pings {
        let first = match hold {
            WriteHold::Held => ID_HOLD,
            WriteHold::None | WriteHold::Push => interval,
        };
        Pings {
            interval,
            next: Box::pin(tokio::time::sleep(first)),
        }
    }

    /// Polls for the next comment. Ends the hold after its time.
    fn poll_next(&mut self, cx: &mut Context<'_>, hold: &mut WriteHold) -> Poll<Bytes> {
        if self.next.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let next = self.next.deadline() + self.interval;
        self.next.as_mut().reset(next.max(Instant::now()));
        if *hold == WriteHold::Held {
            *hold = WriteHold::Push;
            return self.poll_next(cx, hold);
        }
        let comment = format!(": ping - {}\r\n\r\n", utc(SystemTime::now()));
        Poll::Ready(comment.into())
    }
}

/// Why a stream ends without its last event.
#[derive(Debug)]
pub(crate) enum StreamAborted {
    /// A fault of the host.
    Failed(Fault),
    /// The client's other responses take its memory.
    Blocked,
}

impl fmt::Display for StreamAborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamAborted::Failed(fault) => write!(f, "the run failed: {fault}"),
            StreamAborted::Blocked => f.write_str(
                "the result waited too long for memory, which other responses to this client \
                 hold (--response-memory)",
            ),
        }
    }
}

impl std::error::Error for StreamAborted {}

impl RunStream {
    /// Creates the stream of a run. Its result is charged to `memory`.
    pub(crate) fn new(run: Run, memory: &Arc<ByteBudget<Client>>, client: Client) -> RunStream {
        RunStream {
            reader: run.reader(),
            run,
            memory: memory.clone(),
            client,
            ping_interval: PING_INTERVAL,
            hold: WriteHold::None,
            max_blocked: MAX_BLOCKED,
            state: StreamState::Created,
            run_end: None,
        }
    }

    /// Returns the outcome of the run for the log; none before it has ended.
    pub(crate) fn run_end(&self) -> Option<RunEnd> {
        self.run_end
    }

    /// Returns what the connection does with the bytes that it writes now.
    pub(crate) fn hold(&mut self) -> WriteHold {
        match self.hold {
            WriteHold::Push => std::mem::take(&mut self.hold),
            hold => hold,
        }
    }

    /// Polls for the next bytes; `None` at the end.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        loop {
            match &mut self.state {
                StreamState::Created => {
                    // Announced before the client knows the id: it may return at
                    // once.
                    self.run.announce();
                    self.state = StreamState::Announced;
                    if self.run.id_order() == IdOrder::Any {
                        self.start();
                    }
                    let announced = event("task_id", &self.run.id().to_string());
                    return Poll::Ready(Some(Ok(announced.into())));
                }
                // Nothing is left to run, and so nothing can be lost.
                StreamState::Announced if let Some(outcome) = self.run.try_outcome() => {
                    self.run.start();
                    if let Some(last) = self.send_outcome(outcome) {
                        return last;
                    }
                }
                // A connection flushes its buffer when its body is pending, so
                // the body is pending for one poll.
                StreamState::Announced => {
                    self.state = StreamState::Flushed;
                    if self.run.id_order() == IdOrder::Held {
                        self.hold = WriteHold::Held;
                    }
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                StreamState::Flushed => self.start(),
                StreamState::Waiting(wait) => match wait.outcome.as_mut().poll(cx) {
                    Poll::Ready(outcome) => {
                        if let Some(last) = self.send_outcome(outcome) {
                            return last;
                        }
                    }
                    Poll::Pending => {
                        let ping = wait.pings.poll_next(cx, &mut self.hold);
                        return ping.map(|ping| Some(Ok(ping)));
                    }
                },
                StreamState::Blocked(wait) => match wait.memory.as_mut().poll(cx) {
                    Poll::Ready(memory) => {
                        let (outcome, length) = (wait.outcome.clone(), wait.length);
                        let encode = || Ok::<_, Infallible>(encode(&outcome, length, memory));
                        let Ok(events) = self.run.shared_text(encode);
                        self.send_events(events);
                    }
                    Poll::Pending if wait.timeout.as_mut().poll(cx).is_ready() => {
                        return self.end(Err(StreamAborted::Blocked));
                    }
                    Poll::Pending => {
                        let ping = wait.pings.poll_next(cx, &mut self.hold);
                        return ping.map(|ping| Some(Ok(ping)));
                    }
                },
                StreamState::Sending(events) => match events.next_batch() {
                    Some(bytes) => {
                        // A client that has the last piece may leave before the
                        // end of the stream is polled, and it has everything.
                        if events.is_finished() {
                            self.reader.mark_delivered();
                            self.state = StreamState::Done;
                        }
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None => self.state = StreamState::Done,
                },
                StreamState::Done => return Poll::Ready(None),
            }
        }
    }

    /// Starts the run, and waits for its outcome.
    fn start(&mut self) {
        if self.run.id_order() == IdOrder::Any {
            self.hold = WriteHold::Held;
        }
        self.run.start();
        let run = self.run.clone();
        self.state = StreamState::Waiting(OutcomeWait {
            outcome: Box::pin(async move { run.outcome().await }),
            pings: Pings::new(self.ping_interval, self.hold),
        });
    }

    /// Sends an outcome. Returns the last item of the stream if that is all of it.
    fn send_outcome(
        &mut self,
        outcome: Arc<HeldOutcome>,
    ) -> Option<Poll<Option<Result<Bytes, StreamAborted>>>> {
        self.run_end = Some(RunEnd::of(&outcome));
        match &**outcome {
            RunOutcome::Output(_)
            | RunOutcome::Scores(_)
            | RunOutcome::Refused(_)
            | RunOutcome::Failed(_) => {
                self.send(outcome);
                None
            }
            RunOutcome::Faulted(fault) if fault.code.is_host_fault() => {
                Some(self.end(Err(StreamAborted::Failed(fault.clone()))))
            }
            RunOutcome::Faulted(fault) => {
                Some(self.end(Ok(event("error", &fault.owner_message("")).into())))
            }
        }
    }

    /// Sends a result, or waits until there is memory for it.
    fn send(&mut self, outcome: Arc<HeldOutcome>) {
        // Its bytes take the id along.
        let held = std::mem::take(&mut self.hold) != WriteHold::None;
        let mut needed = None;
        let encoded = self.run.shared_text(|| {
            let length = encoded_length(&outcome);
            needed = Some(length);
            if self.memory.is_awaited_by(&self.client) {
                return Err(());
            }
            let memory = self.memory.try_take(&self.client, held_length(length));
            Ok(encode(&outcome, length, memory.map_err(drop)?))
        });
        let length = match encoded {
            Ok(events) => return self.send_events(events),
            Err(()) => needed.unwrap_or_default(),
        };
        if held {
            self.hold = WriteHold::Push;
        }
        self.state = StreamState::Blocked(MemoryWait {
            memory: Box::pin(self.memory.take(&self.client, held_length(length))),
            outcome,
            length,
            timeout: Box::pin(tokio::time::sleep(self.max_blocked)),
            pings: Pings::new(self.ping_interval, WriteHold::None),
        });
    }

    fn send_events(&mut self, events: Arc<ChargedBytes>) {
        self.state = StreamState::Sending(ResultEvents::new(held_bytes(events)));
    }

    fn end(
        &mut self,
        last: Result<Bytes, StreamAborted>,
    ) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        self.state = StreamState::Done;
        self.hold = WriteHold::None;
        if last.is_ok() {
            self.reader.mark_delivered();
        }
        Poll::Ready(Some(last))
    }
}

impl Drop for RunStream {
    fn drop(&mut self) {
        // The client may have read the id, and will request the result.
        if matches!(self.state, StreamState::Announced | StreamState::Flushed) {
            self.run.start();
        }
    }
}

/// Returns the length of a result before it is split into events.
fn encoded_length(outcome: &RunOutcome) -> usize {
    match outcome {
        RunOutcome::Output(output) => json_length(&CallResult::new(output)),
        RunOutcome::Scores(scores) => json_length(&ScoringResult::new(scores)),
        RunOutcome::Refused(refusal) => json_length(&Wire(refusal)),
        RunOutcome::Failed(message) => event_length("error", message),
        // These are events of their own.
        RunOutcome::Faulted(_) => 0,
    }
}

/// Returns the memory that encoding takes, while there are two copies.
fn held_length(length: usize) -> usize {
    length.saturating_mul(2)
}

/// Encodes a result, whose [`held_length`] is charged.
fn encode(outcome: &RunOutcome, length: usize, mut memory: BytePermit<Client>) -> ChargedBytes {
    let events = match outcome {
        RunOutcome::Output(output) => result_events(&CallResult::new(output), length),
        RunOutcome::Scores(scores) => result_events(&ScoringResult::new(scores), length),
        RunOutcome::Refused(refusal) => result_events(&Wire(refusal), length),
        RunOutcome::Failed(message) => event("error", message),
        RunOutcome::Faulted(_) => String::new(),
    };
    memory.shrink_to(events.capacity());
    ChargedBytes::new(events.into(), memory)
}

/// Formats a time like `2026-01-31 23:59:59.000123+00:00`.
fn utc(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time.max(SystemTime::UNIX_EPOCH));
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00:00",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond(),
    )
}

#[cfg(test)]
mod tests;
