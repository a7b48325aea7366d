//! The requests of one session.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use orwd_model::{
    HttpError, HttpErrorCode, HttpExchange, HttpPort, HttpRequest, HttpResult, Secrets,
    SessionLimits,
};
use tokio::sync::oneshot;

use crate::http::mode::{ExchangeToRecord, HttpFault, HttpMode, NetworkAccess};
use crate::http::started::{Sending, StartedRequests};
use crate::time::clock::SessionClock;

/// The header by which a server recognises a request that is sent again.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Requests that a guest has started and that have no result yet.
pub(crate) const MAX_STARTED: usize = 64;

/// How many of them are on their way at once. Each may hold a whole response.
const MAX_SENT: usize = 16;

/// The requests of one session.
#[derive(Debug)]
pub(crate) struct HttpState {
    access: NetworkAccess,
    owner: Arc<str>,
    /// Those that the guest does not get.
    secrets: Arc<Secrets>,
    /// The guest got its secrets.
    exposed: bool,
    /// Identifies the session in idempotency keys.
    session: Arc<str>,
    clock: SessionClock,
    mode: HttpMode,
    started: StartedRequests,
    pub(crate) requests: u32,
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
            secrets: Arc::default(),
            exposed: false,
            session,
            clock,
            mode: HttpMode::Closed,
            started: StartedRequests::default(),
            requests: 0,
            max_requests: limits.http_requests,
            entry_bytes: 0,
            max_entry_bytes: limits.http_call,
        }
    }

    /// Keeps secrets that the guest does not get.
    pub(crate) fn hide_secrets(&mut self, secrets: Secrets) {
        self.secrets = Arc::new(secrets);
    }

    /// Notes that the guest got its secrets.
    pub(crate) fn expose_secrets(&mut self) {
        self.exposed = true;
    }

    /// Sets where the results of the next entry come from.
    pub(crate) fn set_mode(&mut self, mode: HttpMode) {
        self.mode = mode;
        self.entry_bytes = 0;
        self.started.end_entry();
    }

    /// Makes a request, and waits for its result.
    pub(crate) async fn send(&mut self, request: HttpRequest) -> Result<HttpResult, HttpFault> {
        if let Err(error) = self.admit(&request) {
            return Ok(Err(error));
        }
        let recorded = match &mut self.mode {
            HttpMode::Closed => return Err(HttpFault::Diverged),
            HttpMode::Replay(made) => Some(take(made, &request)?.ok_or(HttpFault::Diverged)?),
            HttpMode::Live(live) => take(&mut live.made, &request)?,
        };
        let result = match recorded {
            Some(result) => result,
            None => {
                let in_doubt = self.take_doubt();
                let sending = self.sending(self.requests, &request, in_doubt);
                let waiting = self.clock.begin_request();
                let result = sending.await;
                drop(waiting);
                self.record(request, result).await?
            }
        };
        self.charge(&result);
        Ok(result)
    }

    /// Starts a request and returns its number. It is sent when the guest waits.
    pub(crate) fn start(&mut self, request: HttpRequest) -> Result<u32, HttpError> {
        if self.started.len() >= MAX_STARTED {
            return Err(limit(format!(
                "at most {MAX_STARTED} requests are started at once; wait for a result first"
            )));
        }
        self.admit(&request)?;
        self.started.push(self.requests, request);
        Ok(self.requests)
    }

    /// Waits for the next result of a request that was started; none if there is no
    /// such request.
    pub(crate) async fn wait(&mut self) -> Result<Option<(u32, HttpResult)>, HttpFault> {
        if let Some(number) = self.started.take_ended() {
            let message = "the call that started the request ended before there was a result";
            let error = HttpError::new(HttpErrorCode::Failed, message);
            return Ok(Some((number, Err(error))));
        }
        if self.started.is_empty() {
            return Ok(None);
        }
        let recorded = match &mut self.mode {
            HttpMode::Closed => return Err(HttpFault::Diverged),
            HttpMode::Replay(made) => Some(made.pop_front().ok_or(HttpFault::Diverged)?),
            HttpMode::Live(live) => live.made.pop_front(),
        };
        let (number, result) = match recorded {
            Some(HttpExchange { request, result }) => {
                let place = self.started.find(&request).ok_or(HttpFault::Diverged)?;
                let (number, _) = self.started.finish(place).ok_or(HttpFault::Diverged)?;
                (number, result)
            }
            None => self.wait_live().await?,
        };
        self.charge(&result);
        Ok(Some((number, result)))
    }

    /// Ends a request that was started.
    pub(crate) fn cancel(&mut self, number: u32) {
        self.started.cancel(number);
    }

    /// Counts a request. The same in a replay, so these refusals are not recorded.
    fn admit(&mut self, request: &HttpRequest) -> Result<(), HttpError> {
        if matches!(self.mode, HttpMode::Closed) {
            return Err(HttpError::new(
                HttpErrorCode::Refused,
                "requests can be made in setup and later, not while a session is opened or tasks are read",
            ));
        }
        self.requests = self.requests.saturating_add(1);
        self.entry_bytes = self.entry_bytes.saturating_add(request.size());
        if self.requests > self.max_requests {
            return Err(limit(format!(
                "a session makes at most {} requests (--http-requests)",
                self.max_requests
            )));
        }
        match self.entry_bytes > self.max_entry_bytes {
            true => Err(self.too_many_bytes()),
            false => Ok(()),
        }
    }

    fn charge(&mut self, result: &HttpResult) {
        let size = match result {
            Ok(response) => response.size(),
            Err(error) => error.message.len(),
        };
        self.entry_bytes = self.entry_bytes.saturating_add(size);
    }

    /// Sends what was started, and records the first result.
    async fn wait_live(&mut self) -> Result<(u32, HttpResult), HttpFault> {
        self.take_doubt();
        let mut started = std::mem::take(&mut self.started);
        started.send_queued(MAX_SENT, |number, request, in_doubt| {
            self.sending(number, request, in_doubt)
        });
        self.started = started;
        let waiting = self.clock.begin_request();
        let (place, mut result) = poll_fn(|context| self.started.poll(context)).await;
        drop(waiting);
        let (number, request) = self.started.finish(place).ok_or(HttpFault::Diverged)?;
        // Others came first and filled the entry.
        if self.entry_bytes > self.max_entry_bytes && result.is_ok() {
            result = Err(self.too_many_bytes());
        }
        Ok((number, self.record(request, result).await?))
    }

    /// Returns whether the next request to be sent may have been sent before. Then
    /// those that are queued may have been, too.
    fn take_doubt(&mut self) -> bool {
        let HttpMode::Live(live) = &mut self.mode else {
            return false;
        };
        let in_doubt = std::mem::take(&mut live.in_doubt);
        if in_doubt {
            self.started.doubt_queued();
        }
        in_doubt
    }

    /// Returns a request on its way, or its refusal.
    fn sending(&self, number: u32, request: &HttpRequest, in_doubt: bool) -> Sending {
        let in_doubt = in_doubt && !request.is_idempotent();
        let (port, retry_safe) = match self.permitted(in_doubt) {
            Ok(permitted) => permitted,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let mut request = request.clone();
        if retry_safe && !request.is_idempotent() && !request.has_header(IDEMPOTENCY_KEY) {
            let key = self.idempotency_key(number, &request);
            request.headers.push((IDEMPOTENCY_KEY.to_owned(), key));
        }
        let (owner, secrets) = (self.owner.clone(), self.secrets.clone());
        Box::pin(async move { port.send(&owner, request, &secrets).await })
    }

    /// Returns what sends requests, and whether one may be sent twice.
    fn permitted(&self, in_doubt: bool) -> Result<(Arc<dyn HttpPort>, bool), HttpError> {
        match &self.access {
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
            } => Ok((port.clone(), *retry_safe)),
        }
    }

    /// Returns the key of a request. It is the same when the request is made again,
    /// and another one in a fork.
    fn idempotency_key(&self, number: u32, request: &HttpRequest) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(&number.to_le_bytes());
        for part in [&*self.session, &request.method, &request.url] {
            hash.update(&part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(&request.body);
        let hex = hash.finalize().to_hex();
        hex.chars().take(32).collect()
    }

    /// Records a request with its result, and returns the result once that is done.
    /// It is exclusive, since started requests are not shared between threads.
    async fn record(
        &mut self,
        request: HttpRequest,
        result: HttpResult,
    ) -> Result<HttpResult, HttpFault> {
        // The host's failure is no result of the guest's request. Nothing is
        // recorded, and the session continues when the client tries again.
        if let Err(error) = &result
            && error.code == HttpErrorCode::Unavailable
        {
            return Err(HttpFault::Unavailable);
        }
        let HttpMode::Live(live) = &self.mode else {
            return Err(HttpFault::Diverged);
        };
        let recorder = live.recorder.clone();
        let exchange = HttpExchange {
            request,
            result: result.clone(),
        };
        let (recorded, when_recorded) = oneshot::channel();
        let to_record = ExchangeToRecord { exchange, recorded };
        let queued = recorder.send(to_record).await;
        queued.map_err(|_| HttpFault::NotRecorded)?;
        when_recorded.await.map_err(|_| HttpFault::NotRecorded)?;
        Ok(result)
    }

    fn too_many_bytes(&self) -> HttpError {
        limit(format!(
            "the requests of one call and their responses have at most {} bytes (--http-call-limit)",
            self.max_entry_bytes
        ))
    }
}

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

fn limit(message: String) -> HttpError {
    HttpError::new(HttpErrorCode::Limit, message)
}
