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
        let time =
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
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
