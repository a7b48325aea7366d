//! Requests of a guest, live and from the record.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use orwd_model::{
    DeterminismConfig, HttpError, HttpErrorCode, HttpExchange, HttpPort, HttpRequest, HttpResponse,
    HttpResult, LimitSet, Secrets, SessionLimits, SleepMode,
};
use tokio::sync::{mpsc, oneshot};

use crate::http::mode::{ExchangeToRecord, HttpFault, HttpMode, LiveHttp, NetworkAccess};
use crate::http::state::{HttpState, IDEMPOTENCY_KEY, MAX_STARTED};
use crate::time::clock::SessionClock;

const MAX_REQUESTS: u32 = 100;
const MAX_BYTES: usize = 100_000;

/// Answers every request with its number.
#[derive(Debug, Default)]
struct Counting(Mutex<u16>);

impl HttpPort for Counting {
    fn send<'p>(
        &'p self,
        _owner: &'p str,
        _request: HttpRequest,
        _secrets: &'p Secrets,
    ) -> Pin<Box<dyn Future<Output = HttpResult> + Send + 'p>> {
        let mut asked = self.0.lock().unwrap();
        *asked += 1;
        let status = *asked;
        Box::pin(async move {
            Ok(HttpResponse {
                status,
                headers: Vec::new(),
                body: Vec::new(),
            })
        })
    }
}

fn granted(port: Arc<Counting>) -> NetworkAccess {
    NetworkAccess::Granted {
        port,
        secrets_in_guest: false,
        retry_safe: false,
    }
}

fn state(access: NetworkAccess) -> HttpState {
    let clock = SessionClock::new(DeterminismConfig::CATALOG, SleepMode::RealTime);
    let mut limits = SessionLimits::EMPTY;
    (limits.http_requests, limits.http_call) = (MAX_REQUESTS, MAX_BYTES);
    HttpState::new(access, "alice".into(), "s".into(), clock, &limits)
}

fn request(method: &str) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        url: "https://a.com/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

/// Enters with these recorded requests, and returns what is recorded anew.
fn go_live(
    state: &mut HttpState,
    made: Vec<HttpExchange>,
    in_doubt: bool,
) -> mpsc::Receiver<ExchangeToRecord> {
    let (recorder, records) = mpsc::channel(1);
    state.set_mode(HttpMode::Live(LiveHttp {
        made: made.into(),
        in_doubt,
        recorder,
    }));
    records
}

/// Makes a request whose result is recorded.
async fn send(
    state: &mut HttpState,
    records: &mut mpsc::Receiver<ExchangeToRecord>,
    method: &str,
) -> (HttpResult, HttpExchange) {
    let record = async {
        let to_record = records.recv().await.unwrap();
        to_record.recorded.send(()).unwrap();
        to_record.exchange
    };
    let (result, exchange) = tokio::join!(state.send(request(method)), record);
    (result.unwrap(), exchange)
}

#[tokio::test]
async fn without_a_grant_the_refusal_names_it() {
    for (access, part) in [
        (NetworkAccess::NotRequested, "orwd.toml"),
        (NetworkAccess::NotAllowed, "--allow-network"),
    ] {
        let mut state = state(access);
        let mut records = go_live(&mut state, Vec::new(), false);
        let (result, exchange) = send(&mut state, &mut records, "GET").await;
        let error = result.clone().unwrap_err();
        assert_eq!(error.code, HttpErrorCode::NotGranted);
        assert!(error.message.contains(part), "{error}");
        assert_eq!(exchange.result, result);
    }
}

#[tokio::test]
async fn a_guest_sees_no_result_that_is_not_recorded() {
    let mut state = state(granted(Arc::default()));
    let records = go_live(&mut state, Vec::new(), false);
    drop(records);
    let fault = state.send(request("GET")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::NotRecorded), "{fault}");
    let mut records = go_live(&mut state, Vec::new(), false);
    let (fault, ()) = tokio::join!(state.send(request("GET")), async {
        drop(records.recv().await.unwrap().recorded);
    });
    assert!(matches!(fault, Err(HttpFault::NotRecorded)));
}

#[tokio::test]
async fn a_replay_is_served_from_the_record_and_asks_nobody() {
    let port = Arc::new(Counting::default());
    let mut live = state(granted(port.clone()));
    let mut records = go_live(&mut live, Vec::new(), false);
    let (first, one) = send(&mut live, &mut records, "GET").await;
    let (second, two) = send(&mut live, &mut records, "POST").await;
    for access in [granted(port.clone()), NetworkAccess::NotRequested] {
        let mut replay = state(access);
        replay.set_mode(HttpMode::Replay([one.clone(), two.clone()].into()));
        assert_eq!(replay.send(request("GET")).await.unwrap(), first);
        assert_eq!(replay.send(request("POST")).await.unwrap(), second);
        // Neither a further request nor another one.
        assert!(replay.send(request("GET")).await.is_err());
        replay.set_mode(HttpMode::Replay([two.clone()].into()));
        assert!(replay.send(request("GET")).await.is_err());
    }
    assert_eq!(*port.0.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_request_in_doubt_is_repeated_only_if_that_is_harmless() {
    let port = Arc::new(Counting::default());
    let mut state = state(granted(port.clone()));
    let mut records = go_live(&mut state, Vec::new(), true);
    let (result, _) = send(&mut state, &mut records, "POST").await;
    assert_eq!(result.unwrap_err().code, HttpErrorCode::InDoubt);
    // Only the first one can be in doubt.
    assert!(send(&mut state, &mut records, "POST").await.0.is_ok());
    let mut records = go_live(&mut state, Vec::new(), true);
    assert!(send(&mut state, &mut records, "GET").await.0.is_ok());
    assert_eq!(*port.0.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_guest_with_the_values_of_secrets_sends_nothing_unless_both_permit_it() {
    for permitted in [false, true] {
        let port = Arc::new(Counting::default());
        let mut state = state(NetworkAccess::Granted {
            port: port.clone(),
            secrets_in_guest: permitted,
            retry_safe: false,
        });
        state.expose_secrets();
        let mut records = go_live(&mut state, Vec::new(), false);
        let (result, _) = send(&mut state, &mut records, "GET").await;
        assert_eq!(result.is_ok(), permitted, "{result:?}");
        assert_eq!(*port.0.lock().unwrap(), u16::from(permitted));
    }
}

/// Cannot send anything.
#[derive(Debug)]
struct Gone;

impl HttpPort for Gone {
    fn send<'p>(
        &'p self,
        _owner: &'p str,
        _request: HttpRequest,
        _secrets: &'p Secrets,
    ) -> Pin<Box<dyn Future<Output = HttpResult> + Send + 'p>> {
        Box::pin(async { Err(HttpError::new(HttpErrorCode::Unavailable, "no broker")) })
    }
}

#[tokio::test]
async fn a_host_that_cannot_send_ends_the_entry_and_records_nothing() {
    let mut state = state(NetworkAccess::Granted {
        port: Arc::new(Gone),
        secrets_in_guest: false,
        retry_safe: false,
    });
    let mut records = go_live(&mut state, Vec::new(), false);
    let fault = state.send(request("GET")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::Unavailable), "{fault}");
    assert!(records.try_recv().is_err());
}

/// Keeps the idempotency keys that it gets.
#[derive(Debug, Default)]
struct Keys(Mutex<Vec<Option<String>>>);

impl HttpPort for Keys {
    fn send<'p>(
        &'p self,
        _owner: &'p str,
        request: HttpRequest,
        _secrets: &'p Secrets,
    ) -> Pin<Box<dyn Future<Output = HttpResult> + Send + 'p>> {
        let mut headers = request.headers.into_iter();
        let key = headers.find(|(name, _)| name == IDEMPOTENCY_KEY);
        self.0.lock().unwrap().push(key.map(|(_, key)| key));
        Box::pin(async { Err(HttpError::new(HttpErrorCode::Failed, "no")) })
    }
}

#[tokio::test]
async fn a_request_that_may_be_repeated_has_the_same_key_each_time() {
    let port = Arc::new(Keys::default());
    for in_doubt in [false, true] {
        let mut state = state(NetworkAccess::Granted {
            port: port.clone(),
            secrets_in_guest: false,
            retry_safe: true,
        });
        let mut records = go_live(&mut state, Vec::new(), in_doubt);
        let (_, recorded) = send(&mut state, &mut records, "POST").await;
        assert_eq!(
            recorded.request,
            request("POST"),
            "the record is the guest's"
        );
        send(&mut state, &mut records, "POST").await.0.unwrap_err();
        send(&mut state, &mut records, "GET").await.0.unwrap_err();
    }
    let keys = port.0.lock().unwrap();
    let [first, second, none, again, ..] = &keys[..] else {
        panic!("{keys:?}");
    };
    assert!(first.is_some() && first == again, "{keys:?}");
    assert!(second.is_some() && first != second, "{keys:?}");
    assert_eq!(*none, None, "a GET needs no key");
}

#[tokio::test]
async fn before_the_session_is_open_nothing_is_sent() {
    let port = Arc::new(Counting::default());
    let mut state = state(granted(port.clone()));
    let error = state.send(request("GET")).await.unwrap().unwrap_err();
    assert_eq!(error.code, HttpErrorCode::Refused);
    assert_eq!(*port.0.lock().unwrap(), 0);
}

#[tokio::test]
async fn what_an_entry_holds_is_bounded() {
    let mut state = state(NetworkAccess::NotRequested);
    let _records = go_live(&mut state, Vec::new(), false);
    let mut large = request("POST");
    large.body = vec![0; MAX_BYTES + 1];
    let error = state.send(large).await.unwrap().unwrap_err();
    assert_eq!(error.code, HttpErrorCode::Limit);
    state.requests = MAX_REQUESTS;
    let _records = go_live(&mut state, Vec::new(), false);
    let error = state.send(request("GET")).await.unwrap().unwrap_err();
    assert_eq!(error.code, HttpErrorCode::Limit);
}

/// Answers a request when its URL is named, and with the URL.
#[derive(Debug, Default)]
struct OnDemand(Mutex<Vec<(String, oneshot::Sender<()>)>>);

impl OnDemand {
    fn asked(&self) -> Vec<String> {
        let waiting = self.0.lock().unwrap();
        waiting.iter().map(|(url, _)| url.clone()).collect()
    }

    /// Answers the last request with this URL.
    fn answer(&self, url: &str) {
        let mut waiting = self.0.lock().unwrap();
        let place = waiting.iter().rposition(|(known, _)| known == url).unwrap();
        waiting.remove(place).1.send(()).unwrap();
    }
}

impl HttpPort for OnDemand {
    fn send<'p>(
        &'p self,
        _owner: &'p str,
        request: HttpRequest,
        _secrets: &'p Secrets,
    ) -> Pin<Box<dyn Future<Output = HttpResult> + Send + 'p>> {
        let (sender, answered) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap();
        waiting.push((request.url.clone(), sender));
        Box::pin(async move {
            let answered = answered.await;
            answered.map_err(|_| HttpError::new(HttpErrorCode::Failed, "gone"))?;
            let body = request.url.into_bytes();
            Ok(HttpResponse {
                status: 200,
                headers: Vec::new(),
                body,
            })
        })
    }
}

fn on_demand(port: &Arc<OnDemand>) -> NetworkAccess {
    NetworkAccess::Granted {
        port: port.clone(),
        secrets_in_guest: false,
        retry_safe: false,
    }
}

fn post(url: &str) -> HttpRequest {
    HttpRequest {
        url: url.to_owned(),
        ..request("POST")
    }
}

/// Waits for a result, which is recorded.
async fn wait(
    state: &mut HttpState,
    records: &mut mpsc::Receiver<ExchangeToRecord>,
) -> (u32, HttpResult, HttpExchange) {
    let record = async {
        let to_record = records.recv().await.unwrap();
        to_record.recorded.send(()).unwrap();
        to_record.exchange
    };
    let (finished, exchange) = tokio::join!(state.wait(), record);
    let (number, result) = finished.unwrap().unwrap();
    (number, result, exchange)
}

#[tokio::test]
async fn started_requests_are_sent_at_once_and_a_replay_has_their_order() {
    let port = Arc::new(OnDemand::default());
    let mut live = state(on_demand(&port));
    let mut records = go_live(&mut live, Vec::new(), false);
    let urls = ["http://a/", "http://b/", "http://b/"];
    let start = |state: &mut HttpState| urls.map(|url| state.start(post(url)).unwrap());
    assert_eq!(start(&mut live), [1, 2, 3]);
    assert!(port.asked().is_empty(), "it was not waited for");
    let mut seen = Vec::new();
    let mut made = Vec::new();
    for next in ["http://b/", "http://a/", "http://b/"] {
        let answer = async {
            while port.asked().len() + seen.len() < urls.len() {
                tokio::task::yield_now().await;
            }
            port.answer(next);
        };
        let ((number, result, exchange), ()) = tokio::join!(wait(&mut live, &mut records), answer);
        assert_eq!(result.as_ref().unwrap().body, next.as_bytes());
        seen.push((number, result));
        made.push(exchange);
    }
    // Of two that are equal the first one gets the first result.
    let numbers: Vec<u32> = seen.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 1, 3]);
    assert!(live.wait().await.unwrap().is_none(), "none is left");

    let mut replay = state(NetworkAccess::NotRequested);
    replay.set_mode(HttpMode::Replay(made.into()));
    start(&mut replay);
    for expected in seen {
        assert_eq!(replay.wait().await.unwrap().unwrap(), expected);
    }
}

#[tokio::test]
async fn all_that_may_have_been_sent_at_once_is_in_doubt() {
    let port = Arc::new(OnDemand::default());
    let recorded = HttpExchange {
        request: post("http://b/"),
        result: Err(HttpError::new(HttpErrorCode::Failed, "recorded")),
    };
    let mut state = state(on_demand(&port));
    let mut records = go_live(&mut state, vec![recorded.clone()], true);
    for url in ["http://a/", "http://b/", "http://c/"] {
        state.start(post(url)).unwrap();
    }
    let (number, result) = state.wait().await.unwrap().unwrap();
    assert_eq!((number, &result), (2, &recorded.result));
    let mut doubted = Vec::new();
    for _ in 0..2 {
        let (number, result, _) = wait(&mut state, &mut records).await;
        assert_eq!(result.unwrap_err().code, HttpErrorCode::InDoubt);
        doubted.push(number);
    }
    doubted.sort_unstable();
    assert_eq!(doubted, [1, 3]);
    // What is started now was not sent before.
    state.start(post("http://d/")).unwrap();
    let answer = async {
        while port.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        port.answer("http://d/");
    };
    let ((number, result, _), ()) = tokio::join!(wait(&mut state, &mut records), answer);
    assert!(number == 4 && result.is_ok());
}

#[tokio::test]
async fn a_request_whose_call_has_ended_fails_and_one_that_is_cancelled_has_no_result() {
    let port = Arc::new(OnDemand::default());
    let mut state = state(on_demand(&port));
    let _records = go_live(&mut state, Vec::new(), false);
    let numbers = ["http://a/", "http://b/", "http://c/"].map(|url| state.start(post(url)));
    state.cancel(numbers[1].clone().unwrap());
    let _records = go_live(&mut state, Vec::new(), false);
    state.cancel(numbers[2].clone().unwrap());
    let (number, result) = state.wait().await.unwrap().unwrap();
    assert_eq!(number, 1);
    assert!(result.unwrap_err().message.contains("ended"));
    assert!(state.wait().await.unwrap().is_none());
    assert!(port.asked().is_empty());
    // What the host holds for them is bounded.
    for _ in 0..MAX_STARTED {
        state.start(request("GET")).unwrap();
    }
    let refused = state.start(request("GET")).unwrap_err();
    assert_eq!(refused.code, HttpErrorCode::Limit);
}
