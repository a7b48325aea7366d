//! The event stream of one run (wire contract section 10).
//!
//! The run's id goes out first, and only when it is through the connection's
//! buffer is the run started: a client that was cut off before it could read
//! the id calls again, and the tool must not have run by then. From there on
//! the client may leave; the run goes on.
//!
//! Where the host itself failed, the stream is broken off without a last
//! event. Clients ask again then; an `error` event they would take for the
//! environment's word.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use super::render;
use super::sse::{Pieces, event};
use orwd_model::{Fault, RunOutcome, Weigh};
use orwd_session::{Reader, Run};

/// The time between two signs of life; clients give up after 30 s.
const BEAT: Duration = Duration::from_secs(10);

/// The weight in bytes from which on an outcome is written once for all who
/// read it.
const LONG: usize = 64 * 1024;

/// The stream of one reader.
pub(super) struct RunStream {
    run: Run,
    reader: Reader,
    beat: Duration,
    state: State,
}

enum State {
    /// The id has not been handed out.
    New,
    /// The id is in the connection's buffer.
    Announced,
    /// The buffer has been written out.
    Flushed,
    /// The run is going on.
    Waiting(Waiting),
    /// The result is going out.
    Sending(Pieces),
    /// All is out.
    Done,
}

struct Waiting {
    outcome: Pin<Box<dyn Future<Output = Arc<RunOutcome>> + Send>>,
    beat: Pin<Box<Sleep>>,
}

/// Why a stream ends without its last event.
#[derive(Debug)]
pub(super) struct BrokenOff(Fault);

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the run failed: {}", self.0)
    }
}

impl std::error::Error for BrokenOff {}

impl RunStream {
    pub(super) fn new(run: Run) -> RunStream {
        RunStream {
            reader: run.reader(),
            run,
            beat: BEAT,
            state: State::New,
        }
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        loop {
            match &mut self.state {
                State::New => {
                    // Known before the client knows it: it may come back at once.
                    self.run.announce();
                    self.state = State::Announced;
                    let announced = event("task_id", &self.run.id().to_string());
                    return Poll::Ready(Some(Ok(announced.into())));
                }
                // A connection writes its buffer out when its body has nothing
                // more to give, so for one poll there is nothing more.
                State::Announced => {
                    self.state = State::Flushed;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                State::Flushed => {
                    self.run.start();
                    let run = self.run.clone();
                    self.state = State::Waiting(Waiting {
                        outcome: Box::pin(async move { run.outcome().await }),
                        beat: Box::pin(tokio::time::sleep(self.beat)),
                    });
                }
                State::Waiting(waiting) => match waiting.outcome.as_mut().poll(cx) {
                    Poll::Ready(outcome) => match &*outcome {
                        RunOutcome::Output(output) => {
                            self.send(&outcome, |out| render::output(out, output));
                        }
                        RunOutcome::Scores(scores) => {
                            self.send(&outcome, |out| render::scores(out, scores));
                        }
                        RunOutcome::Refused(refusal) => {
                            self.send(&outcome, |out| render::refusal(out, refusal));
                        }
                        RunOutcome::Failed(message) => {
                            return self.last(Ok(event("error", message).into()));
                        }
                        RunOutcome::Faulted(fault) if fault.code.is_ours() => {
                            return self.last(Err(BrokenOff(fault.clone())));
                        }
                        RunOutcome::Faulted(fault) => {
                            return self.last(Ok(event("error", &fault.for_owner("")).into()));
                        }
                    },
                    Poll::Pending => {
                        if waiting.beat.as_mut().poll(cx).is_pending() {
                            return Poll::Pending;
                        }
                        let next = waiting.beat.deadline() + self.beat;
                        waiting.beat.as_mut().reset(next.max(Instant::now()));
                        let comment = format!(": ping - {}\r\n\r\n", utc(SystemTime::now()));
                        return Poll::Ready(Some(Ok(comment.into())));
                    }
                },
                State::Sending(pieces) => match pieces.next() {
                    Some(bytes) => {
                        // A client that has the last piece may be gone before
                        // it is seen that there is no other, and it has it all.
                        if pieces.is_through() {
                            self.reader.delivered();
                            self.state = State::Done;
                        }
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None => self.state = State::Done,
                },
                State::Done => return Poll::Ready(None),
            }
        }
    }

    fn send(&mut self, outcome: &RunOutcome, write: impl FnOnce(&mut String)) {
        self.state = State::Sending(if outcome.weight() < LONG {
            Pieces::new(write)
        } else {
            Pieces::shared(self.run.text(|| Pieces::text(write)))
        });
    }

    fn last(&mut self, item: Result<Bytes, BrokenOff>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        self.state = State::Done;
        if item.is_ok() {
            self.reader.delivered();
        }
        Poll::Ready(Some(item))
    }
}

impl Drop for RunStream {
    fn drop(&mut self) {
        // The client may have read the id, and will ask for the result.
        if matches!(self.state, State::Announced | State::Flushed) {
            self.run.start();
        }
    }
}

/// A moment as `2026-01-31 23:59:59.000123+00:00`.
fn utc(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:06}+00:00",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_micros(),
    )
}

/// The date of a day counted from 1970-01-01. Years are taken to begin in
/// March, which puts the leap day at their end.
fn date(day: u64) -> (u64, u64, u64) {
    const DAYS_BEFORE_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let day = day + DAYS_BEFORE_1970;
    let era = day / DAYS_IN_400_YEARS;
    let of_era = day % DAYS_IN_400_YEARS;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, of_month)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use orwd_model::{FaultCode, Refusal, RefusalReason, TaskId, TrapKind};
    use orwd_session::{Go, Promise};

    #[test]
    fn moments_are_written_in_utc() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01 00:00:00.000000+00:00"),
            (951_782_399, 1, "2000-02-28 23:59:59.000001+00:00"),
            (951_782_400, 0, "2000-02-29 00:00:00.000000+00:00"),
            (1_709_251_200, 0, "2024-03-01 00:00:00.000000+00:00"),
            (1_798_761_599, 999_999, "2026-12-31 23:59:59.999999+00:00"),
            (4_107_542_400, 0, "2100-03-01 00:00:00.000000+00:00"),
        ] {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
            assert_eq!(utc(moment), expected);
        }
    }

    /// A run that hands what it was announced with to the test.
    fn run() -> (Run, Announced) {
        let (sender, announced) = std::sync::mpsc::channel();
        let run = Run::new(TaskId::random(), move |_, promise, go| {
            sender.send((promise, go)).unwrap();
        });
        (run, Announced(announced))
    }

    struct Announced(std::sync::mpsc::Receiver<(Promise, Go)>);

    impl Announced {
        fn promise(&self) -> Promise {
            self.0.recv().unwrap().0
        }

        fn started(&self) -> bool {
            let announced = self.0.try_recv();
            announced.is_ok_and(|(_, mut go)| go.try_recv().is_ok())
        }
    }

    /// An outcome with a text of this length.
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
    fn the_run_starts_when_the_id_is_out() {
        let (run, announced) = run();
        let mut stream = RunStream::new(run.clone());
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
    async fn a_client_that_leaves_with_the_id_has_its_run() {
        for (polls, expected) in [(0, false), (1, true), (2, true), (3, true)] {
            let (run, announced) = run();
            let mut stream = RunStream::new(run);
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                let _ = stream.poll_next(&mut cx);
            }
            drop(stream);
            assert_eq!(announced.started(), expected, "{polls} polls");
        }
    }

    #[tokio::test]
    async fn who_was_given_the_last_piece_has_it_all() {
        for text in [10, LONG * 3] {
            let (run, announced) = run();
            run.start();
            announced.promise().keep(long(text));
            let mut stream = RunStream::new(run.clone());
            let mut pieces = 0;
            while !run.is_delivered() {
                let item = std::future::poll_fn(|cx| stream.poll_next(cx)).await;
                let bytes = item.expect("a piece before it is delivered").unwrap();
                pieces += 1;
                let ends = bytes.windows(10).any(|part| part == b"event: end");
                assert_eq!(run.is_delivered(), ends, "{text}: piece {pieces}");
            }
            drop(stream);
            assert!(pieces > 1 && run.doubted().is_none());
        }
    }

    #[tokio::test]
    async fn every_outcome_has_its_last_event() {
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
                    words: Some("a\nb".to_owned()),
                    ..Fault::trap(TrapKind::Unreachable, "it trapped")
                }),
                Ok(
                    "event: error\r\ndata: env_trap: unreachable: it trapped; its last words: 'a\\nb'\r\n\r\n",
                ),
            ),
            (
                RunOutcome::Faulted(Fault::new(FaultCode::Overloaded, "no room")),
                Err("the run failed: overloaded: no room"),
            ),
        ] {
            let (run, announced) = run();
            run.start();
            announced.promise().keep(outcome);
            let mut stream = RunStream::new(run);
            let items = rest(&mut stream).await;
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(items.len(), 2);
            assert_eq!(items[1], expected);
        }
    }

    #[tokio::test]
    async fn all_readers_of_a_long_result_send_out_one_text() {
        let (run, announced) = run();
        run.start();
        announced.promise().keep(long(LONG * 3));
        let mut streams: Vec<RunStream> = (0..3).map(|_| RunStream::new(run.clone())).collect();
        for stream in &mut streams {
            // The id, and the first of the result.
            for _ in 0..2 {
                std::future::poll_fn(|cx| stream.poll_next(cx)).await;
            }
        }
        let held = run.text(|| panic!("nobody holds it"));
        assert_eq!(std::sync::Arc::strong_count(&held), 1 + streams.len());
        drop(held);
        let mut texts = Vec::new();
        for mut stream in streams {
            texts.push(rest(&mut stream).await);
        }
        assert!(texts.iter().all(|text| *text == texts[0]) && texts[0].len() > 1);
        assert_eq!(*run.text(|| "gone".to_owned()), "gone");
    }

    #[tokio::test]
    async fn a_long_run_shows_signs_of_life() {
        let (run, announced) = run();
        let started = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1100)).await;
            let promise = announced.promise();
            promise.keep(RunOutcome::Failed("late".to_owned()));
        });
        let mut stream = RunStream::new(run);
        stream.beat = Duration::from_millis(400);
        let mut beats = Vec::new();
        while let Some(item) = std::future::poll_fn(|cx| stream.poll_next(cx)).await {
            if item.unwrap().starts_with(b": ping - 2") {
                beats.push(started.elapsed().as_millis() / 400);
            }
        }
        assert_eq!(beats, [1, 2]);
        assert_eq!(BEAT, Duration::from_secs(10));
    }
}
