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
mod tests {
    use std::task::Waker;

    use super::*;
    use orwd_model::{FaultCode, Refusal, RefusalReason, RunId, TrapKind};
    use orwd_session::{OutcomeSender, StartSignal};

    #[test]
    fn formats_times_in_utc() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01 00:00:00.000000+00:00"),
            (951_782_399, 1, "2000-02-28 23:59:59.000001+00:00"),
            (951_782_400, 0, "2000-02-29 00:00:00.000000+00:00"),
            (1_709_251_200, 0, "2024-03-01 00:00:00.000000+00:00"),
            (1_798_761_599, 999_999, "2026-12-31 23:59:59.999999+00:00"),
            (4_107_542_400, 0, "2100-03-01 00:00:00.000000+00:00"),
        ] {
            let time = SystemTime::UNIX_EPOCH
                + Duration::from_secs(seconds)
                + Duration::from_micros(micros);
            assert_eq!(utc(time), expected);
        }
    }

    const LONG: usize = 64 * 1024;

    fn alice() -> Client {
        Client::Key("alice".into())
    }

    /// Returns a stream with enough memory.
    fn stream_of(run: Run) -> RunStream {
        RunStream::new(run, &ByteBudget::new(1 << 30, 1 << 30), alice())
    }

    /// Returns a run that gives the test what it was announced with.
    fn run() -> (Run, Announced) {
        let (sender, announced) = std::sync::mpsc::channel();
        let run = Run::new(RunId::random(), move |_, outcome, start| {
            sender.send((outcome, start)).unwrap();
        });
        (run, Announced(announced))
    }

    struct Announced(std::sync::mpsc::Receiver<(OutcomeSender, StartSignal)>);

    impl Announced {
        fn outcome_sender(&self) -> OutcomeSender {
            self.0.recv().unwrap().0
        }

        fn started(&self) -> bool {
            let announced = self.0.try_recv();
            announced.is_ok_and(|(_, mut start)| start.try_recv().is_ok())
        }
    }

    /// Returns an outcome with a text of this length.
    fn long(length: usize) -> RunOutcome {
        let block = orwd_model::Block::Text {
            text: "x".repeat(length),
            detail: None,
        };
        RunOutcome::Output(orwd_model::ToolOutput {
            blocks: vec![block],
            metadata: None,
            reward: None,
            finished: false,
        })
    }

    async fn rest(stream: &mut RunStream) -> Vec<Result<String, String>> {
        let mut items = Vec::new();
        while let Some(item) = std::future::poll_fn(|cx| stream.poll_next(cx)).await {
            items.push(match item {
                Ok(bytes) => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
                Err(error) => Err(error.to_string()),
            });
        }
        items
    }

    #[test]
    fn a_run_starts_only_after_its_id_is_sent() {
        let (run, announced) = run();
        let mut stream = stream_of(run.clone());
        let mut cx = Context::from_waker(Waker::noop());
        let expected = format!("event: task_id\r\ndata: {}\r\n\r\n", run.id());
        let Poll::Ready(Some(Ok(first))) = stream.poll_next(&mut cx) else {
            panic!("no first event");
        };
        assert_eq!(first, expected);
        assert!(stream.poll_next(&mut cx).is_pending());
        assert!(!announced.started());
    }

    #[tokio::test]
    async fn an_id_is_held_until_its_result_comes_or_a_moment_has_passed() {
        for comes in [true, false] {
            let (run, announced) = run();
            let mut stream = stream_of(run);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(stream.poll_next(&mut cx).is_ready());
            assert!(stream.poll_next(&mut cx).is_pending());
            // The connection writes the id now, and the run starts after that.
            assert_eq!(stream.hold(), WriteHold::Held);
            assert!(stream.poll_next(&mut cx).is_pending());
            assert_eq!(stream.hold(), WriteHold::Held);
            if comes {
                announced.outcome_sender().send(long(10));
                assert!(stream.poll_next(&mut cx).is_ready());
            } else {
                tokio::time::sleep(ID_HOLD * 2).await;
                assert!(stream.poll_next(&mut cx).is_pending());
                assert_eq!(stream.hold(), WriteHold::Push);
                assert!(stream.poll_next(&mut cx).is_pending());
            }
            assert_eq!(stream.hold(), WriteHold::None);
        }
    }

    #[tokio::test]
    async fn a_known_outcome_is_written_with_its_id() {
        let (run, announced) = run();
        run.start();
        announced.outcome_sender().send(long(10));
        let mut stream = stream_of(run);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(stream.poll_next(&mut cx).is_ready());
            assert_eq!(stream.hold(), WriteHold::None);
        }
        assert!(matches!(stream.poll_next(&mut cx), Poll::Ready(None)));
    }

    #[tokio::test]
    async fn a_client_that_leaves_with_the_id_starts_its_run() {
        for (polls, expected) in [(0, false), (1, true), (2, true), (3, true)] {
            let (run, announced) = run();
            let mut stream = stream_of(run);
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                let _ = stream.poll_next(&mut cx);
            }
            drop(stream);
            assert_eq!(announced.started(), expected, "{polls} polls");
        }
    }

    #[tokio::test]
    async fn a_client_with_the_last_piece_has_the_whole_result() {
        for text in [10, LONG * 3] {
            let (run, announced) = run();
            run.start();
            announced.outcome_sender().send(long(text));
            let mut stream = stream_of(run.clone());
            let mut pieces = 0;
            while !run.is_delivered() {
                let item = std::future::poll_fn(|cx| stream.poll_next(cx)).await;
                let bytes = item.expect("a piece before it is delivered").unwrap();
                pieces += 1;
                let ends = bytes.windows(10).any(|part| part == b"event: end");
                assert_eq!(run.is_delivered(), ends, "{text}: piece {pieces}");
            }
            drop(stream);
            assert!(pieces > 1 && run.abandoned_at().is_none());
        }
    }

    #[tokio::test]
    async fn each_outcome_has_its_last_event() {
        let refusal = Refusal {
            reason: RefusalReason::NotFound,
            message: "no".to_owned(),
        };
        for (outcome, expected) in [
            (
                RunOutcome::Refused(refusal),
                Ok(
                    "event: end\r\ndata: {\"ok\":false,\"error\":\"no\",\"reason\":\"not_found\"}\r\n\r\n",
                ),
            ),
            (
                RunOutcome::Scores(vec![]),
                Ok("event: end\r\ndata: {\"scores\":[]}\r\n\r\n"),
            ),
            (
                RunOutcome::Failed("boom\n: é".to_owned()),
                Ok("event: error\r\ndata: boom\r\ndata: : é\r\n\r\n"),
            ),
            (
                RunOutcome::Faulted(Fault::new(FaultCode::LimitCpu, "too much")),
                Ok("event: error\r\ndata: limit_cpu: too much\r\n\r\n"),
            ),
            (
                RunOutcome::Faulted(Fault {
                    stderr_tail: Some("a\nb".to_owned()),
                    ..Fault::trap(TrapKind::Unreachable, "it trapped")
                }),
                Ok(
                    "event: error\r\ndata: env_trap: unreachable: it trapped; its last words: 'a\\nb'\r\n\r\n",
                ),
            ),
            (
                RunOutcome::Faulted(Fault::new(FaultCode::Overloaded, "no memory")),
                Err("the run failed: overloaded: no memory"),
            ),
        ] {
            let (run, announced) = run();
            run.start();
            announced.outcome_sender().send(outcome);
            let mut stream = stream_of(run);
            let items = rest(&mut stream).await;
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(items.len(), 2);
            assert_eq!(items[1], expected);
        }
    }

    #[tokio::test]
    async fn readers_of_a_result_share_its_bytes() {
        let (run, announced) = run();
        run.start();
        announced.outcome_sender().send(long(LONG * 3));
        let memory = ByteBudget::new(1 << 30, 1 << 30);
        let mut streams: Vec<RunStream> = (0..3)
            .map(|_| RunStream::new(run.clone(), &memory, alice()))
            .collect();
        let mut first = Vec::new();
        for stream in &mut streams {
            // The id, and the first of the result.
            let id = std::future::poll_fn(|cx| stream.poll_next(cx)).await;
            assert!(id.is_some());
            let bytes = std::future::poll_fn(|cx| stream.poll_next(cx)).await;
            first.push(bytes.unwrap().unwrap());
        }
        assert!(
            first
                .iter()
                .all(|bytes| bytes.as_ptr() == first[0].as_ptr())
        );
        let charged = memory.used();
        assert!((LONG * 3..LONG * 4).contains(&charged), "{charged}");
        let mut texts = Vec::new();
        for stream in &mut streams {
            texts.push(rest(stream).await);
        }
        assert!(texts.iter().all(|text| *text == texts[0]) && texts[0].len() > 1);
        drop(streams);
        assert_eq!(memory.used(), charged, "hyper has the first part");
        drop(first);
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test]
    async fn a_result_waits_for_memory_and_sends_pings() {
        let (run, announced) = run();
        run.start();
        announced.outcome_sender().send(long(LONG));
        let memory = ByteBudget::new(LONG * 4, LONG * 4);
        let taken = memory.try_take(&alice(), LONG * 3).unwrap();
        let mut stream = RunStream::new(run, &memory, alice());
        stream.ping_interval = Duration::from_millis(100);
        let mut next = async || std::future::poll_fn(|cx| stream.poll_next(cx)).await;
        assert!(
            next()
                .await
                .unwrap()
                .unwrap()
                .starts_with(b"event: task_id")
        );
        for _ in 0..2 {
            let ping = next().await.unwrap().unwrap();
            assert!(ping.starts_with(b": ping - "), "{ping:?}");
        }
        drop(taken);
        let result = next().await.unwrap().unwrap();
        assert!(result.starts_with(b"event: chunk"), "{result:?}");
    }

    #[tokio::test]
    async fn a_result_that_stays_without_memory_ends_its_stream() {
        let (run, announced) = run();
        run.start();
        announced.outcome_sender().send(long(LONG));
        let memory = ByteBudget::new(LONG * 8, LONG * 4);
        let _taken = memory.try_take(&alice(), LONG * 3).unwrap();
        let mut stream = RunStream::new(run.clone(), &memory, alice());
        stream.max_blocked = Duration::from_millis(20);
        let items = rest(&mut stream).await;
        let error = items.last().unwrap().as_ref().unwrap_err();
        assert!(error.contains("--response-memory"), "{error}");
        assert!(!run.is_delivered());
        drop(stream);
        assert!(!memory.is_awaited_by(&alice()));
        // Another client is not concerned.
        let bob = Client::Key("bob".into());
        let mut stream = RunStream::new(run, &memory, bob);
        let items = rest(&mut stream).await;
        assert!(items.iter().all(Result::is_ok) && items.len() > 1);
    }

    #[tokio::test]
    async fn a_blocked_result_is_not_polled_until_there_is_memory() {
        let (run, announced) = run();
        run.start();
        announced.outcome_sender().send(long(LONG));
        let memory = ByteBudget::new(LONG * 4, LONG * 4);
        let taken = memory.try_take(&alice(), LONG * 3).unwrap();
        let mut stream = RunStream::new(run, &memory, alice());
        let polls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = polls.clone();
        let sent = tokio::spawn(async move {
            loop {
                let item = std::future::poll_fn(|cx| {
                    counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    stream.poll_next(cx)
                });
                if item.await.unwrap().unwrap().starts_with(b"event: chunk") {
                    return;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = polls.load(std::sync::atomic::Ordering::Relaxed);
        assert!(before <= 5, "{before}");
        drop(taken);
        sent.await.unwrap();
    }

    #[tokio::test]
    async fn a_long_run_sends_pings() {
        let (run, announced) = run();
        let started = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1100)).await;
            let outcome_sender = announced.outcome_sender();
            outcome_sender.send(RunOutcome::Failed("late".to_owned()));
        });
        let mut stream = stream_of(run);
        stream.ping_interval = Duration::from_millis(400);
        let mut pings = Vec::new();
        while let Some(item) = std::future::poll_fn(|cx| stream.poll_next(cx)).await {
            if item.unwrap().starts_with(b": ping - 2") {
                pings.push(started.elapsed().as_millis() / 400);
            }
        }
        assert_eq!(pings, [1, 2]);
        assert_eq!(PING_INTERVAL, Duration::from_secs(10));
    }
}
