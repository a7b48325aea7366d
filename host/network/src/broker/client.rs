//! The serving process's side: starts the broker, and passes requests to it.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_limiter::KeyedRateLimiter;
use orwd_model::{
    HttpError, HttpErrorCode, HttpLimits, HttpPort, HttpRequest, HttpResult, Secrets,
};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::broker::config::BrokerConfig;
use crate::broker::frame::{self, BrokerEvent, ResultMessage, SecretsMessage, SendMessage};
use crate::broker::server::BrokerError;
use crate::http::request::MAX_BODY;

/// Time for the broker to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a request waits for a broker that is started again.
const RESTART_WAIT: Duration = Duration::from_secs(10);

/// How often a request is sent whose broker ends before there is a result.
const ATTEMPTS: usize = 3;

/// Owners that are remembered before those without a request are forgotten.
const OWNERS: usize = 1024;

/// Bytes of a request besides its headers, which the broker checks more closely.
const MAX_REQUEST: usize = MAX_BODY + (48 << 10);

/// Seconds in which an unused bucket of requests fills up.
const BURST: u32 = 10;

/// A broker that runs, or is started again.
#[derive(Debug)]
pub struct Broker {
    /// Taken when the broker is connected to a runtime.
    stream: Mutex<Option<UnixStream>>,
    /// The process that keeps the broker running. Reaped when this process ends.
    _keeper: Option<Child>,
    to_write: mpsc::Sender<QueuedRequest>,
    to_cancel: mpsc::UnboundedSender<u64>,
    outbox: Mutex<Option<Outbox>>,
    /// Changed only while `pending` is locked.
    state: watch::Sender<BrokerState>,
    pending: Mutex<HashMap<u64, PendingRequest>>,
    owners: Mutex<HashMap<String, Arc<Semaphore>>>,
    places: Arc<Semaphore>,
    rate: KeyedRateLimiter<String>,
    limits: HttpLimits,
    next: AtomicU64,
}

/// A request that is written when the broker takes it.
#[derive(Debug)]
struct QueuedRequest {
    id: u64,
    bytes: Zeroizing<Vec<u8>>,
}

/// What is to be written to the broker.
#[derive(Debug)]
struct Outbox {
    requests: mpsc::Receiver<QueuedRequest>,
    /// Requests whose results nobody awaits any more. As each was in the bounded
    /// queue before, there are never many.
    cancelled: mpsc::UnboundedReceiver<u64>,
}

/// Whether requests can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BrokerState {
    /// They can.
    Ready,
    /// It has ended and is started again.
    Restarting,
    /// What keeps it running has ended.
    Lost,
}

/// What becomes of an attempt to send a request.
enum Attempt {
    Done(HttpResult),
    /// The broker had ended before.
    NotSent,
    /// The broker ended before there was a result.
    InDoubt,
}

/// A request without a result.
#[derive(Debug)]
struct PendingRequest {
    reply: oneshot::Sender<HttpResult>,
    /// A place of the owner, and one of all. The next request that gets them is
    /// written after the message that cancels this one.
    _permits: [OwnedSemaphorePermit; 2],
}

impl Broker {
    /// Starts the process that keeps the broker running, which is this program with
    /// these arguments, and waits until the broker is ready. Returns what it gave up, too.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        config: &BrokerConfig,
        limits: &HttpLimits,
    ) -> Result<(Arc<Broker>, String), BrokerError> {
        let (ours, theirs) = UnixStream::pair()?;
        // Descriptors that we open are close-on-exec; this covers those that
        // were open when this process started.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let mut process = Command::new(program)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        let ready = begin(&ours, config);
        let reason = match ready {
            Ok(BrokerEvent::Ready { hardening }) => {
                return Ok((Broker::new(ours, Some(process), limits), hardening));
            }
            Ok(BrokerEvent::Ended { reason }) => reason,
            Err(error) => error.to_string(),
        };
        let _ = process.kill();
        let _ = process.wait();
        Err(BrokerError::Start(reason))
    }

    fn new(stream: UnixStream, process: Option<Child>, limits: &HttpLimits) -> Arc<Broker> {
        let (to_write, requests) = mpsc::channel(limits.at_once);
        let (to_cancel, cancelled) = mpsc::unbounded_channel();
        let outbox = Outbox {
            requests,
            cancelled,
        };
        Arc::new(Broker {
            stream: Mutex::new(Some(stream)),
            _keeper: process,
            to_write,
            to_cancel,
            outbox: Mutex::new(Some(outbox)),
            state: watch::Sender::new(BrokerState::Ready),
            pending: Mutex::default(),
            owners: Mutex::default(),
            places: Arc::new(Semaphore::new(limits.at_once)),
            rate: KeyedRateLimiter::new(
                limits.rate.saturating_mul(BURST),
                limits.rate,
                Duration::from_secs(1),
            ),
            limits: *limits,
            next: AtomicU64::new(1),
        })
    }

    /// Returns the port of the environment whose grant has this place in the
    /// configuration.
    pub fn port(self: &Arc<Broker>, grant: usize) -> BrokerPort {
        BrokerPort {
            broker: self.clone(),
            grant,
            retry_safe: false,
        }
    }

    /// Passes requests and results on the current runtime, from now on. Before,
    /// requests wait. The log says when the broker ends and is started again.
    pub fn connect(self: &Arc<Broker>) -> io::Result<()> {
        let stream = lock(&self.stream).take();
        let outbox = lock(&self.outbox).take();
        let (Some(stream), Some(outbox)) = (stream, outbox) else {
            return Ok(());
        };
        stream.set_nonblocking(true)?;
        let stream = tokio::net::UnixStream::from_std(stream)?;
        let (mut results, requests) = stream.into_split();
        let broker = self.clone();
        tokio::spawn(async move {
            let write = broker.write(outbox, requests);
            let read = async {
                while let Some(message) = frame::read(&mut results).await? {
                    match message.id {
                        0 => broker.note(message.decode()?),
                        id => broker.finish(id, message.decode::<ResultMessage>()?.result),
                    }
                }
                io::Result::Ok(())
            };
            let ended = tokio::select! {
                ended = write => ended,
                ended = read => ended,
            };
            broker.set_state(BrokerState::Lost);
            tracing::error!(
                reason = ended
                    .err()
                    .map_or_else(|| "its process ended".to_owned(), |error| error.to_string()),
                "network broker lost: requests of environments fail until the server restarts"
            );
        });
        Ok(())
    }

    /// Writes requests and cancellations.
    async fn write(&self, mut outbox: Outbox, mut stream: OwnedWriteHalf) -> io::Result<()> {
        loop {
            tokio::select! {
                // They come first, since a request may have got the place of one.
                biased;
                Some(id) = outbox.cancelled.recv() => {
                    stream.write_all(&frame::cancellation(id)).await?;
                }
                Some(request) = outbox.requests.recv() => {
                    // It may be cancelled already.
                    let is_awaited = lock(&self.pending).contains_key(&request.id);
                    if is_awaited {
                        stream.write_all(&request.bytes).await?;
                    }
                }
                else => return Ok(()),
            }
        }
    }

    fn finish(&self, id: u64, result: HttpResult) {
        let pending = lock(&self.pending).remove(&id);
        if let Some(pending) = pending {
            // The guest may be gone.
            let _ = pending.reply.send(result);
        }
    }

    /// Notes that the broker has ended, or is ready again.
    fn note(&self, event: BrokerEvent) {
        match event {
            BrokerEvent::Ready { hardening } => {
                tracing::info!(hardening, "network broker started");
                self.set_state(BrokerState::Ready);
            }
            BrokerEvent::Ended { reason } => {
                tracing::warn!(reason, "network broker ended");
                self.set_state(BrokerState::Restarting);
            }
        }
    }

    /// Changes the state. Requests that were sent before have no result.
    fn set_state(&self, state: BrokerState) {
        let mut pending = lock(&self.pending);
        self.state.send_replace(state);
        pending.clear();
    }

    async fn send(
        &self,
        owner: &str,
        port: &BrokerPort,
        request: HttpRequest,
        secrets: &Secrets,
    ) -> HttpResult {
        let size = request.size();
        let limit = MAX_REQUEST + self.limits.request_headers;
        if size > limit {
            let message = format!("the request has {size} bytes; at most {limit} are sent");
            return Err(HttpError::new(HttpErrorCode::Limit, message));
        }
        let mut attempts = 0..ATTEMPTS;
        while self.is_ready().await && attempts.next().is_some() {
            match self
                .attempt(owner, port.grant, request.clone(), secrets)
                .await?
            {
                Attempt::Done(result) => return result,
                Attempt::InDoubt if !port.retry_safe && !request.is_idempotent() => {
                    return Err(HttpError::new(
                        HttpErrorCode::InDoubt,
                        "the host's network broker ended while this request may have been sent, \
                         so it is not sent again",
                    ));
                }
                Attempt::InDoubt | Attempt::NotSent => {}
            }
        }
        Err(unavailable())
    }

    /// Waits until the broker can be sent requests, if it is started again soon.
    async fn is_ready(&self) -> bool {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| *state != BrokerState::Restarting);
        matches!(timeout(RESTART_WAIT, settled).await, Ok(Ok(state)) if *state == BrokerState::Ready)
    }

    /// Sends a request once.
    async fn attempt(
        &self,
        owner: &str,
        grant: usize,
        request: HttpRequest,
        secrets: &Secrets,
    ) -> Result<Attempt, HttpError> {
        let of_owner = self.permits(owner).acquire_owned().await;
        self.take_turn(owner).await;
        let of_all = self.places.clone().acquire_owned().await;
        let (Ok(of_owner), Ok(of_all)) = (of_owner, of_all) else {
            return Err(unavailable());
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = SendMessage {
            grant,
            request,
            secrets: SecretsMessage::of(secrets),
        };
        let bytes = message.encode(id).map_err(|_| unavailable())?;
        let (reply, result) = oneshot::channel();
        {
            let mut pending = lock(&self.pending);
            if *self.state.borrow() != BrokerState::Ready {
                return Ok(Attempt::NotSent);
            }
            let request = PendingRequest {
                reply,
                _permits: [of_owner, of_all],
            };
            pending.insert(id, request);
        }
        let mut awaited = AwaitedRequest {
            broker: self,
            id,
            is_queued: false,
        };
        let queued = QueuedRequest { id, bytes };
        self.to_write
            .send(queued)
            .await
            .map_err(|_| unavailable())?;
        awaited.is_queued = true;
        Ok(result.await.map_or(Attempt::InDoubt, Attempt::Done))
    }

    /// Waits until the rate of the owner has room for a request. No more of an owner
    /// wait here than it may send at once.
    async fn take_turn(&self, owner: &str) {
        while let Err(wait) = self.rate.try_take(owner.to_owned(), Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }

    fn permits(&self, owner: &str) -> Arc<Semaphore> {
        let per_key = self.limits.at_once_per_key;
        let mut owners = lock(&self.owners);
        if owners.len() >= OWNERS {
            owners.retain(|_, permits| permits.available_permits() < per_key);
        }
        let permits = owners.entry(owner.to_owned());
        permits
            .or_insert_with(|| Arc::new(Semaphore::new(per_key)))
            .clone()
    }
}

/// A request whose guest waits. If the guest is gone before there is a result, a
/// message to the broker ends it, and its places are free at once.
struct AwaitedRequest<'b> {
    broker: &'b Broker,
    id: u64,
    is_queued: bool,
}

impl Drop for AwaitedRequest<'_> {
    fn drop(&mut self) {
        let mut pending = lock(&self.broker.pending);
        let Some(ended) = pending.remove(&self.id) else {
            return;
        };
        drop(pending);
        if self.is_queued {
            // The connection has ended if nobody takes it.
            let _ = self.broker.to_cancel.send(self.id);
        }
        drop(ended);
    }
}

/// Sends the configuration and waits for the answer.
fn begin(mut stream: &UnixStream, config: &BrokerConfig) -> io::Result<BrokerEvent> {
    use std::io::Write;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    stream.set_write_timeout(Some(START_TIMEOUT))?;
    stream.write_all(&frame::encode(0, config)?)?;
    let ready = frame::read_blocking(&mut stream)?.decode()?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok(ready)
}

fn unavailable() -> HttpError {
    HttpError::new(
        HttpErrorCode::Unavailable,
        "the host cannot send requests at the moment",
    )
}

/// Nothing panics while one of these is locked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends the requests of one environment through the broker.
#[derive(Clone, Debug)]
pub struct BrokerPort {
    broker: Arc<Broker>,
    grant: usize,
    retry_safe: bool,
}

impl BrokerPort {
    /// Sets whether every request may be sent again if it is unknown whether it was
    /// sent, since each has an idempotency key.
    pub fn retry_safe(self, retry_safe: bool) -> BrokerPort {
        BrokerPort { retry_safe, ..self }
    }
}

impl HttpPort for BrokerPort {
    fn send<'p>(
        &'p self,
        owner: &'p str,
        request: HttpRequest,
        secrets: &'p Secrets,
    ) -> Pin<Box<dyn Future<Output = HttpResult> + Send + 'p>> {
        Box::pin(self.broker.send(owner, self, request, secrets))
    }
}

#[cfg(test)]
impl Broker {
    /// Creates the side of a broker that runs in this process.
    pub(crate) fn of_stream(
        stream: UnixStream,
        config: &BrokerConfig,
        limits: &HttpLimits,
    ) -> Arc<Broker> {
        begin(&stream, config).unwrap();
        Broker::new(stream, None, limits)
    }
}
