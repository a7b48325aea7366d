//! The host processes, as the control process sees them.

use std::collections::{HashMap, HashSet};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::HOST;
use hyper::{Method, Request};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::forward;
use super::target::Target;
use crate::supervisor::protocol::{Action, Done, Reply, Request as SupervisorRequest};

/// The time for a new version to start.
const START: Duration = Duration::from_secs(120);

/// The time between two looks at a process that starts.
const POLL: Duration = Duration::from_millis(50);

/// The time without requests after which a host process is stopped. Its sessions
/// resume when it starts again.
pub(super) const IDLE: Duration = Duration::from_secs(30 * 60);

/// What a caller waits for.
type Waiting = (Action, oneshot::Sender<Result<Done, String>>);

/// Handle of the host processes.
pub(crate) struct Instances {
    requests: mpsc::Sender<Waiting>,
    running: Mutex<HashMap<String, Instance>>,
    proxy_key: HeaderValue,
}

struct Instance {
    environment: String,
    port: u16,
    last_use: Instant,
    is_kept: bool,
}

impl Instances {
    /// Uses the connection to the supervisor.
    pub(crate) fn connect(supervisor: StdStream, proxy_key: &str) -> std::io::Result<Instances> {
        let (requests, waiting) = mpsc::channel(64);
        tokio::spawn(talk(UnixStream::from_std(supervisor)?, waiting));
        let mut proxy_key = HeaderValue::from_str(proxy_key).map_err(std::io::Error::other)?;
        proxy_key.set_sensitive(true);
        Ok(Instances {
            requests,
            running: Mutex::default(),
            proxy_key,
        })
    }

    /// Returns the secret by which host processes know this one.
    pub(super) fn proxy_key(&self) -> HeaderValue {
        self.proxy_key.clone()
    }

    /// Returns the port of the host process of a version, which is started if it
    /// does not run.
    pub(super) async fn port(&self, target: &Target) -> Result<u16, String> {
        if let Some(instance) = self.lock().get_mut(&target.host.name) {
            instance.last_use = Instant::now();
            instance.is_kept = target.is_kept;
            return Ok(instance.port);
        }
        match self.request(Action::Start(target.host.clone())).await? {
            Done::Listens(port) => {
                let instance = Instance {
                    environment: target.environment.clone(),
                    port,
                    last_use: Instant::now(),
                    is_kept: target.is_kept,
                };
                self.lock().insert(target.host.name.clone(), instance);
                Ok(port)
            }
            Done::Stops | Done::Runs => Err("the supervisor sent an unexpected reply".to_owned()),
        }
    }

    /// Returns the names of the host processes that run.
    pub(crate) fn names(&self) -> HashSet<String> {
        self.lock().keys().cloned().collect()
    }

    /// Forgets the port of a host process that does not accept connections.
    pub(super) fn forget(&self, target: &Target) {
        self.lock().remove(&target.host.name);
    }

    /// Starts the host process of a version and waits until it serves.
    pub(crate) async fn wait_until_ready(&self, target: &Target) -> Result<(), String> {
        let deadline = Instant::now() + START;
        let port = self.port(target).await?;
        loop {
            let request = Request::builder()
                .method(Method::GET)
                .uri("/health")
                .header(HOST, "localhost")
                .body(Body::empty())
                .map_err(|error| error.to_string())?;
            let sent = tokio::time::timeout(START, forward::send(port, request)).await;
            match sent {
                Ok(Ok(response)) if response.status().is_success() => return Ok(()),
                // The supervisor has given it up and closed the socket.
                Ok(Err(error)) if error.is_refused() => {
                    self.forget(target);
                    return Err(
                        "the host process of the version cannot start; the log of the \
                                platform has the reason"
                            .to_owned(),
                    );
                }
                _ if Instant::now() > deadline => {
                    return Err(format!(
                        "the host process of the version did not start within {} seconds",
                        START.as_secs()
                    ));
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Checks that the supervisor replies.
    pub(super) async fn check(&self) -> Result<(), String> {
        self.request(Action::Check).await.map(drop)
    }

    /// Stops the host processes of an environment. They start again with its
    /// current settings.
    pub(crate) async fn stop_of(&self, environment: &str) {
        let is_of = |instance: &Instance| instance.environment == environment;
        self.stop(is_of).await;
    }

    /// Stops the host processes that are not in use.
    pub(super) async fn stop_unused(&self) {
        self.stop(|instance| !instance.is_kept && instance.last_use.elapsed() > IDLE)
            .await;
    }

    /// Stops the host processes for which this is true.
    async fn stop(&self, is_wanted: impl Fn(&Instance) -> bool) {
        let names: Vec<String> = {
            let mut running = self.lock();
            running
                .extract_if(|_, instance| is_wanted(instance))
                .map(|(name, _)| name)
                .collect()
        };
        for name in names {
            if let Err(error) = self.request(Action::Stop(name)).await {
                tracing::error!(error, "host process not stopped");
            }
        }
    }

    async fn request(&self, action: Action) -> Result<Done, String> {
        let gone = || "the supervisor does not reply".to_owned();
        let (reply, result) = oneshot::channel();
        self.requests
            .send((action, reply))
            .await
            .map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instance>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends requests to the supervisor and hands its replies on.
async fn talk(supervisor: UnixStream, mut waiting: mpsc::Receiver<Waiting>) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let (reading, mut writing) = supervisor.into_split();
    let mut lines = BufReader::new(reading).lines();
    let mut open: HashMap<u64, oneshot::Sender<Result<Done, String>>> = HashMap::new();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else {
                    return tracing::error!("connection to the supervisor lost");
                };
                match serde_json::from_str::<Reply>(&line) {
                    Ok(reply) => if let Some(caller) = open.remove(&reply.number) {
                        // The request may have been cancelled.
                        let _ = caller.send(reply.result);
                    },
                    Err(error) => tracing::error!(%error, "the supervisor sent an invalid reply"),
                }
            }
            request = waiting.recv() => {
                let Some((action, caller)) = request else {
                    return;
                };
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let request = SupervisorRequest { number, action };
                let Ok(mut text) = serde_json::to_vec(&request) else {
                    continue;
                };
                text.push(b'\n');
                if writing.write_all(&text).await.is_ok() {
                    open.insert(number, caller);
                }
            }
        }
    }
}
