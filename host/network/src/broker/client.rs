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
use std::time::Duration;

use orwd_model::{HttpError, HttpErrorCode, HttpPort, HttpRequest, HttpResult, Secrets};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use zeroize::Zeroizing;

use crate::broker::config::BrokerConfig;
use crate::broker::frame::{self, ReadyMessage, ResultMessage, SecretsMessage, SendMessage};
use crate::broker::server::{BrokerError, MAX_AT_ONCE};
use crate::http::request::MAX_BODY;

/// Time for the broker to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Requests of one owner that are sent at once; others of it wait.
const PER_OWNER: usize = 16;

/// Owners that are remembered before those without a request are forgotten.
const OWNERS: usize = 1024;

/// Bytes of a request, which the broker checks more closely.
const MAX_REQUEST: usize = MAX_BODY + (64 << 10);

/// A broker that runs, or has ended.
#[derive(Debug)]
pub struct Broker {
    /// Taken when the broker is connected to a runtime.
    stream: Mutex<Option<UnixStream>>,
    /// Reaped when this process ends.
    _process: Option<Child>,
    to_write: mpsc::Sender<Zeroizing<Vec<u8>>>,
    written: Mutex<Option<mpsc::Receiver<Zeroizing<Vec<u8>>>>>,
    pending: Mutex<Pending>,
    owners: Mutex<HashMap<String, Arc<Semaphore>>>,
    next: AtomicU64,
}

/// Requests without a result.
#[derive(Debug, Default)]
struct Pending {
    /// No result comes any more.
    ended: bool,
    requests: HashMap<u64, PendingRequest>,
}

#[derive(Debug)]
struct PendingRequest {
    reply: oneshot::Sender<HttpResult>,
    /// Kept until the broker is done, also if nobody waits any more: an owner
    /// that cancels does not get a further place at the broker.
    _permit: OwnedSemaphorePermit,
}

impl Broker {
    /// Starts the broker process, which runs this program with these arguments,
    /// and waits until it is ready. Returns what it gave up, too.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        config: &BrokerConfig,
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
        match ready {
            Ok(ready) => Ok((Broker::new(ours, Some(process)), ready.hardening)),
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(BrokerError::Start(error.to_string()))
            }
        }
    }

    fn new(stream: UnixStream, process: Option<Child>) -> Arc<Broker> {
        let (to_write, written) = mpsc::channel(MAX_AT_ONCE);
        Arc::new(Broker {
            stream: Mutex::new(Some(stream)),
            _process: process,
            to_write,
            written: Mutex::new(Some(written)),
            pending: Mutex::default(),
            owners: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    /// Returns the port of the environment whose grant has this place in the
    /// configuration.
    pub fn port(self: &Arc<Broker>, grant: usize) -> BrokerPort {
        BrokerPort {
            broker: self.clone(),
            grant,
        }
    }

    /// Passes requests and results on the current runtime, from now on. Before,
    /// requests wait. If the broker ends, requests fail, and the log says so.
    pub fn connect(self: &Arc<Broker>) -> io::Result<()> {
        let stream = lock(&self.stream).take();
        let written = lock(&self.written).take();
        let (Some(stream), Some(mut written)) = (stream, written) else {
            return Ok(());
        };
        stream.set_nonblocking(true)?;
        let stream = tokio::net::UnixStream::from_std(stream)?;
        let (mut results, mut requests) = stream.into_split();
        let broker = self.clone();
        tokio::spawn(async move {
            let write = async {
                while let Some(bytes) = written.recv().await {
                    requests.write_all(&bytes).await?;
                }
                io::Result::Ok(())
            };
            let read = async {
                while let Some((id, message)) = frame::read::<ResultMessage>(&mut results).await? {
                    broker.finish(id, message.result);
                }
                io::Result::Ok(())
            };
            let ended = tokio::select! {
                ended = write => ended,
                ended = read => ended,
            };
            broker.end();
            tracing::error!(
                reason = ended
                    .err()
                    .map_or_else(|| "its process ended".to_owned(), |error| error.to_string()),
                "network broker lost: requests of environments fail until the server restarts"
            );
        });
        Ok(())
    }

    fn finish(&self, id: u64, result: HttpResult) {
        let pending = lock(&self.pending).requests.remove(&id);
        if let Some(pending) = pending {
            // The guest may be gone.
            let _ = pending.reply.send(result);
        }
    }

    /// Fails all requests, and those that come.
    fn end(&self) {
        let mut pending = lock(&self.pending);
        pending.ended = true;
        pending.requests.clear();
    }

    async fn send(
        &self,
        owner: &str,
        grant: usize,
        request: HttpRequest,
        secrets: &Secrets,
    ) -> HttpResult {
        let size = request.size();
        if size > MAX_REQUEST {
            let message = format!("the request has {size} bytes; at most {MAX_REQUEST} are sent");
            return Err(HttpError::new(HttpErrorCode::Limit, message));
        }
        let permits = self.permits(owner);
        let Ok(permit) = permits.acquire_owned().await else {
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
            if pending.ended {
                return Err(unavailable());
            }
            let request = PendingRequest {
                reply,
                _permit: permit,
            };
            pending.requests.insert(id, request);
        }
        let mut unsent = Unsent {
            broker: self,
            id: Some(id),
        };
        self.to_write.send(bytes).await.map_err(|_| unavailable())?;
        unsent.id = None;
        result.await.unwrap_or_else(|_| Err(unavailable()))
    }

    fn permits(&self, owner: &str) -> Arc<Semaphore> {
        let mut owners = lock(&self.owners);
        if owners.len() >= OWNERS {
            owners.retain(|_, permits| permits.available_permits() < PER_OWNER);
        }
        let permits = owners.entry(owner.to_owned());
        permits
            .or_insert_with(|| Arc::new(Semaphore::new(PER_OWNER)))
            .clone()
    }
}

/// A request that may not have been queued for the broker. If its guest is gone
/// before it is, no result will come.
struct Unsent<'b> {
    broker: &'b Broker,
    id: Option<u64>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            lock(&self.broker.pending).requests.remove(&id);
        }
    }
}

/// Sends the configuration and waits for the answer.
fn begin(mut stream: &UnixStream, config: &BrokerConfig) -> io::Result<ReadyMessage> {
    use std::io::Write;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    stream.set_write_timeout(Some(START_TIMEOUT))?;
    stream.write_all(&frame::encode(0, config)?)?;
    let ready = frame::read_blocking(&mut stream)?;
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
}

impl HttpPort for BrokerPort {
    fn send<'p>(
        &'p self,
        owner: &'p str,
        request: HttpRequest,
        secrets: &'p Secrets,
    ) -> Pin<Box<dyn Future<Output = HttpResult> + Send + 'p>> {
        Box::pin(self.broker.send(owner, self.grant, request, secrets))
    }
}

#[cfg(test)]
impl Broker {
    /// Creates the side of a broker that runs in this process.
    pub(crate) fn of_stream(stream: UnixStream, config: &BrokerConfig) -> Arc<Broker> {
        begin(&stream, config).unwrap();
        Broker::new(stream, None)
    }
}
