//! HTTP requests of a guest.
//!
//! Each request and its result are recorded before the guest sees the result, so
//! that a replay is served from the record and asks nobody. What is not recorded
//! cannot be replayed, so a replay that makes another request than the recorded
//! one ends there.

use std::collections::VecDeque;
use std::sync::Arc;

use orwd_bindings::network::orwd::network::http as wit;
use orwd_model::{
    HttpError, HttpErrorCode, HttpExchange, HttpPort, HttpRequest, HttpResult, Secrets,
    SessionLimits,
};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::HasData;

use crate::time::clock::SessionClock;

/// What an environment may reach.
#[derive(Clone, Debug, Default)]
pub enum NetworkAccess {
    /// Its manifest asks for nothing.
    #[default]
    NotRequested,
    /// Its manifest asks for something, and the operator allows nothing of it.
    NotAllowed,
    /// What both grant.
    Granted {
        /// Sends requests.
        port: Arc<dyn HttpPort>,
        /// Both the manifest and the operator permit that guests with secrets in
        /// their memory make requests.
        secrets_in_guest: bool,
        /// Requests may be sent twice, with an idempotency key of ours.
        retry_safe: bool,
    },
}

/// A result that is to be recorded.
#[derive(Debug)]
pub struct ExchangeToRecord {
    /// The request and its result.
    pub exchange: HttpExchange,
    /// Told when it is recorded. Until then the guest waits.
    pub recorded: oneshot::Sender<()>,
}

/// Where the results of the requests of an entry come from.
#[derive(Debug, Default)]
pub enum HttpMode {
    /// There are none yet: the session is not recorded before it is open.
    #[default]
    Closed,
    /// From the record alone.
    Replay(VecDeque<HttpExchange>),
    /// From the network.
    Live(LiveHttp),
}

/// How requests are made that are not in the record.
#[derive(Debug)]
pub struct LiveHttp {
    /// What is recorded of an earlier attempt at the entry.
    pub made: VecDeque<HttpExchange>,
    /// There was an earlier attempt, so the first request that is not recorded may
    /// have been sent.
    pub in_doubt: bool,
    /// Gets what is to be recorded.
    pub recorder: mpsc::Sender<ExchangeToRecord>,
}

/// The guest cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum HttpFault {
    /// A replay made a request that was not made before.
    #[error("the request is not the recorded one")]
    Diverged,
    /// The result could not be recorded.
    #[error("the result of a request could not be recorded")]
    NotRecorded,
    /// The host cannot send requests.
    #[error("the host cannot send requests at the moment")]
    Unavailable,
}

/// The requests of one session.
#[derive(Debug)]
pub(crate) struct HttpState {
    access: NetworkAccess,
    owner: Arc<str>,
    /// Those that the guest does not get.
    secrets: Secrets,
    /// The guest got its secrets.
    exposed: bool,
    /// Identifies the session in idempotency keys.
    session: Arc<str>,
    clock: SessionClock,
    mode: HttpMode,
    requests: u32,
    max_requests: u32,
    /// Bytes of the requests and results of this entry, which a replay holds at
    /// once.
    entry_bytes: usize,
    max_entry_bytes: usize,
}

impl HttpState {
    pub(crate) fn new(
        access: NetworkAccess,
        owner: Arc<str>,
        session: Arc<str>,
        clock: SessionClock,
        limits: &SessionLimits,
    ) -> HttpState {
        HttpState {
            access,
            owner,
            secrets: Secrets::default(),
            exposed: false,
            session,
            clock,
            mode: HttpMode::Closed,
            requests: 0,
            max_requests: limits.http_requests,
            entry_bytes: 0,
            max_entry_bytes: limits.http_call,
        }
    }

    /// Keeps secrets that the guest does not get.
    pub(crate) fn hide_secrets(&mut self, secrets: Secrets) {
        self.secrets = secrets;
    }

    /// Notes that the guest got its secrets.
    pub(crate) fn expose_secrets(&mut self) {
        self.exposed = true;
    }

    /// Sets where the results of the next entry come from.
    pub(crate) fn set_mode(&mut self, mode: HttpMode) {
        self.mode = mode;
        self.entry_bytes = 0;
    }

    /// Returns the key of the current request. It is the same when the request is
    /// made again, and another one in a fork.
    fn idempotency_key(&self, request: &HttpRequest) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.requests.to_le_bytes());
        for part in [&*self.session, &request.method, &request.url] {
            hash.update(&part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(&request.body);
        let hex = hash.finalize().to_hex();
        hex.chars().take(32).collect()
    }

    /// Makes a request.
    async fn send(&mut self, request: HttpRequest) -> Result<HttpResult, HttpFault> {
        // The same in a replay, so these refusals are not recorded.
        if matches!(self.mode, HttpMode::Closed) {
            return Ok(refused(
                "requests can be made in setup and later, not while a session is opened or tasks are read",
            ));
        }
        self.requests = self.requests.saturating_add(1);
        self.entry_bytes = self.entry_bytes.saturating_add(request.size());
        if self.requests > self.max_requests {
            return Ok(limit(format!(
                "a session makes at most {} requests (--http-requests)",
                self.max_requests
            )));
        }
        if self.entry_bytes > self.max_entry_bytes {
            return Ok(limit(format!(
                "the requests of one call and their responses have at most {} bytes \
                 (--http-call-limit)",
                self.max_entry_bytes
            )));
        }
        let result = match &mut self.mode {
            HttpMode::Closed => return Err(HttpFault::Diverged),
            HttpMode::Replay(made) => take(made, &request)?.ok_or(HttpFault::Diverged)?,
            HttpMode::Live(live) => match take(&mut live.made, &request)? {
                Some(result) => result,
                None => self.send_live(request).await?,
            },
        };
        let size = match &result {
            Ok(response) => response.size(),
            Err(error) => error.message.len(),
        };
        self.entry_bytes = self.entry_bytes.saturating_add(size);
        Ok(result)
    }

    async fn send_live(&mut self, request: HttpRequest) -> Result<HttpResult, HttpFault> {
        let HttpMode::Live(live) = &mut self.mode else {
            return Err(HttpFault::Diverged);
        };
        let in_doubt = std::mem::take(&mut live.in_doubt) && !request.is_idempotent();
        let recorder = live.recorder.clone();
        let key = self.idempotency_key(&request);
        let result = match &self.access {
            NetworkAccess::NotRequested => Err(HttpError::new(
                HttpErrorCode::NotGranted,
                "the manifest asks for no network; add [network] allow = [\"https://…\"] to orwd.toml",
            )),
            NetworkAccess::NotAllowed => Err(HttpError::new(
                HttpErrorCode::NotGranted,
                "the operator allows none of what the manifest asks for; start the server with \
                 --allow-network ENVIRONMENT=RULE or ENVIRONMENT=manifest",
            )),
            NetworkAccess::Granted {
                secrets_in_guest: false,
                ..
            } if self.exposed => Err(HttpError::new(
                HttpErrorCode::NotGranted,
                "the session has the values of its secrets, so it may send nothing; the manifest \
                 and the operator can permit it with secrets-in-guest",
            )),
            NetworkAccess::Granted {
                retry_safe: false, ..
            } if in_doubt => Err(HttpError::new(
                HttpErrorCode::InDoubt,
                "the host stopped while this request may have been sent, so it is not sent again",
            )),
            NetworkAccess::Granted {
                port, retry_safe, ..
            } => {
                let mut sent = request.clone();
                if *retry_safe && !sent.is_idempotent() && !sent.has_header(IDEMPOTENCY_KEY) {
                    sent.headers.push((IDEMPOTENCY_KEY.to_owned(), key));
                }
                let waiting = self.clock.begin_request();
                let result = port.send(&self.owner, sent, &self.secrets).await;
                drop(waiting);
                // The host's failure is no result of the guest's request. Nothing is
                // recorded, and the session continues when the client tries again.
                if let Err(error) = &result
                    && error.code == HttpErrorCode::Unavailable
                {
                    return Err(HttpFault::Unavailable);
                }
                result
            }
        };
        let exchange = HttpExchange { request, result };
        let result = exchange.result.clone();
        let (recorded, when_recorded) = oneshot::channel();
        let to_record = ExchangeToRecord { exchange, recorded };
        recorder
            .send(to_record)
            .await
            .map_err(|_| HttpFault::NotRecorded)?;
        when_recorded.await.map_err(|_| HttpFault::NotRecorded)?;
        Ok(result)
    }
}

/// The header by which a server recognises a request that is sent again.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Takes the next recorded result, which must be that of this request.
fn take(
    made: &mut VecDeque<HttpExchange>,
    request: &HttpRequest,
) -> Result<Option<HttpResult>, HttpFault> {
    match made.pop_front() {
        None => Ok(None),
        Some(exchange) if exchange.request == *request => Ok(Some(exchange.result)),
        Some(_) => Err(HttpFault::Diverged),
    }
}

fn refused(message: &str) -> HttpResult {
    Err(HttpError::new(HttpErrorCode::Refused, message))
}

fn limit(message: String) -> HttpResult {
    Err(HttpError::new(HttpErrorCode::Limit, message))
}

/// Gives the interface access to the state.
pub(crate) struct HasHttp;

impl HasData for HasHttp {
    type Data<'a> = &'a mut HttpState;
}

impl wit::Host for HttpState {
    async fn send(
        &mut self,
        request: wit::Request,
    ) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        let headers = request.headers.into_iter();
        let request = HttpRequest {
            method: request.method,
            url: request.url,
            headers: headers.map(|header| (header.name, header.value)).collect(),
            body: request.body,
        };
        let result = HttpState::send(self, request).await?;
        Ok(match result {
            Ok(response) => Ok(wit::Response {
                status: response.status,
                headers: response
                    .headers
                    .into_iter()
                    .map(|(name, value)| wit::Header { name, value })
                    .collect(),
                body: response.body,
            }),
            Err(error) => Err(wit::Error {
                code: code(error.code),
                message: error.message,
            }),
        })
    }
}

fn code(code: HttpErrorCode) -> wit::ErrorCode {
    match code {
        HttpErrorCode::NotGranted => wit::ErrorCode::NotGranted,
        HttpErrorCode::Refused => wit::ErrorCode::Refused,
        HttpErrorCode::Limit => wit::ErrorCode::Limit,
        HttpErrorCode::Timeout => wit::ErrorCode::Timeout,
        HttpErrorCode::Failed => wit::ErrorCode::Failed,
        HttpErrorCode::InDoubt => wit::ErrorCode::InDoubt,
        HttpErrorCode::Unavailable => wit::ErrorCode::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Mutex;

    use orwd_model::{DeterminismConfig, HttpResponse, LimitSet, SleepMode};

    use super::*;

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
}
