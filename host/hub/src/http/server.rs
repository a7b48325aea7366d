//! The control process: it starts what it consists of, and serves.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use orwd_hub_store::{Database, deployments};
use rustix::process::{Resource, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;
use tower_service::Service;

use super::bootstrap::bootstrap;
use super::router::router;
use super::state::{HubState, Shared};
use crate::admission::connections::{Connection, ConnectionLimits, Connections};
use crate::admission::forwarded::{ProxyNetwork, client_address, is_trusted};
use crate::admission::request_log::{REQUEST_ID, RequestLog};
use crate::admission::shares::Shares;
use crate::admission::source::RequestSource;
use crate::admission::timed_body::TimedBody;
use crate::config::HubConfig;
use crate::deploy::remotes::poll;
use crate::deploy::{queue, repositories};
use crate::error::HubError;
use crate::git::locks::RepositoryLocks;
use crate::git::repository;
use crate::layout::Layout;
use crate::sessions::idle::stop_idle;
use crate::sessions::instances::Instances;
use crate::sessions::pending::PendingSessions;
use crate::sessions::readiness::Readiness;
use crate::storage::blobs::Blobs;
use crate::storage::reservations::Reservations;
use crate::upkeep::rounds;

/// Connections at once.
const MAX_CONNECTIONS: usize = 4096;

/// Open files that a connection needs: its own, and those of what it asks for.
const FILES: usize = 3;

/// The time from the first byte of a request head to its last.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The time in which some of a request's body must arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of the head of a request. Secrets are a header.
const MAX_HEAD: usize = 256 << 10;

/// The time for running requests after a signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs the control process until a signal to stop. Standard input is the
/// listening socket, and standard output the connection to the supervisor.
pub fn run_control(config: HubConfig) -> Result<(), HubError> {
    let inherit = || -> io::Result<(std::net::TcpListener, StdStream)> {
        let listener = std::net::TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
        listener.set_nonblocking(true)?;
        let supervisor = StdStream::from(io::stdout().as_fd().try_clone_to_owned()?);
        supervisor.set_nonblocking(true)?;
        // It ends with the supervisor, and at once: the next supervisor needs the
        // address.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        Ok((listener, supervisor))
    };
    let (listener, supervisor) =
        inherit().map_err(HubError::io("only `orwd hub` starts this process"))?;
    let layout =
        Layout::create(&config.state).map_err(HubError::io("cannot use the state directory"))?;
    clear(&layout).map_err(HubError::io(
        "cannot clear the directory for temporary files",
    ))?;
    let database = Database::open(&layout.database())?;
    bootstrap(&database, &config)?;
    repository::write_hook(&layout).map_err(HubError::io("cannot write the git hook"))?;
    let requeued = database.run_blocking(deployments::requeue_interrupted)?;
    if requeued > 0 {
        tracing::info!(
            deployments = requeued,
            "interrupted deployments queued again"
        );
    }
    let secret = |name: &str| {
        layout
            .secret(name)
            .map_err(HubError::io(format!("cannot read the key {name}")))
    };
    let (upload_key, proxy_key) = (blake3::hash(secret("upload")?.as_bytes()), secret("proxy")?);
    let webhook_key = blake3::hash(secret("webhook")?.as_bytes());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(HubError::io("cannot start the runtime"))?;
    let served = runtime.block_on(async {
        let instances = Instances::connect(supervisor, &proxy_key)
            .map_err(HubError::io("cannot use the connection to the supervisor"))?;
        let state = Arc::new(HubState {
            blobs: Blobs::new(&layout),
            config,
            layout,
            database,
            upload_key,
            webhook_key,
            instances,
            pending: PendingSessions::default(),
            reserved: Reservations::default(),
            readiness: Readiness::default(),
            shares: Shares::default(),
            repositories: RepositoryLocks::default(),
            queued: Notify::new(),
            remotes: Notify::new(),
            upkeep: Notify::new(),
        });
        queue::start(&state);
        tokio::spawn(repositories::deploy_all_heads(state.clone()));
        tokio::spawn(poll::run(state.clone()));
        tokio::spawn(stop_idle(state.clone()));
        tokio::spawn(rounds::run(state.clone()));
        let listener = TcpListener::from_std(listener)
            .map_err(HubError::io("cannot use the listening socket"))?;
        serve(listener, &state).await
    });
    runtime.shutdown_background();
    served
}

/// Removes what a killed process left.
fn clear(layout: &Layout) -> io::Result<()> {
    std::fs::remove_dir_all(layout.temp())?;
    crate::layout::create_private(&layout.temp())
}

/// Accepts connections until a signal to stop.
async fn serve(listener: TcpListener, state: &Shared) -> Result<(), HubError> {
    let listen = |kind| signal(kind).map_err(HubError::io("cannot install signal handlers"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let connections = Connections::new(ConnectionLimits::of(
        MAX_CONNECTIONS.min(open_files() / FILES),
    ));
    let acceptor = Acceptor {
        router: router(state.clone()),
        connections,
        proxies: state.config.trusted_proxies.clone().into(),
        stopping: Arc::new(Notify::new()),
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => acceptor.start(stream, peer.ip(), true),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    state.readiness.stop();
    acceptor.stopping.notify_waiters();
    let deadline = Instant::now() + DRAIN;
    // Those that remain after this time are cut. New ones are served meanwhile, so
    // that a proxy learns from `/ready` that it is to use another server.
    while acceptor.connections.open() > 0 && Instant::now() < deadline {
        if let Ok(Ok((stream, peer))) = timeout(DRAIN / 200, listener.accept()).await {
            acceptor.start(stream, peer.ip(), false);
        }
    }
    Ok(())
}

/// What all connections share.
struct Acceptor {
    router: Router,
    connections: Arc<Connections>,
    /// The proxies that tell the addresses of clients.
    proxies: Arc<[ProxyNetwork]>,
    stopping: Arc<Notify>,
}

impl Acceptor {
    /// Serves a connection; `keep_alive` permits further requests on it.
    fn start(&self, stream: TcpStream, address: IpAddr, keep_alive: bool) {
        let admitted = match is_trusted(&self.proxies, address) {
            true => self.connections.admit_proxy(address),
            false => self.connections.admit(address),
        };
        let Some((place, ended)) = admitted else {
            return tracing::warn!(%address, "connection refused: all places are taken");
        };
        let source = (address, Arc::new(place));
        let (router, stopping) = (self.router.clone(), self.stopping.clone());
        let proxies = self.proxies.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, router, source, proxies, keep_alive, &stopping) => {}
                // Without a reason, it has a user.
                Ok(()) = ended => tracing::debug!(%address, "connection closed to make room"),
            }
        });
    }
}

/// Permits as many open files as the system does, and returns how many.
fn open_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "limit of open files not raised");
    }
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

async fn connection(
    stream: TcpStream,
    router: Router,
    (peer, place): (IpAddr, Arc<Connection>),
    proxies: Arc<[ProxyNetwork]>,
    keep_alive: bool,
    stopping: &Notify,
) {
    // Events of a stream are small.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let address = client_address(&proxies, peer, request.headers());
        let source = RequestSource::new(address, place.clone());
        respond(router.clone(), request, source)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(keep_alive)
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.notified() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn respond(
    mut router: Router,
    mut request: Request<Incoming>,
    source: RequestSource,
) -> Result<Response<Body>, std::convert::Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let log = RequestLog::begin(&method, &uri, request.headers_mut(), source.clone());
    request.extensions_mut().insert(source);
    let mut response = router
        .call(request.map(|body| Body::new(TimedBody::new(body, BODY_TIMEOUT))))
        .await?;
    let id = log.end(response.status().as_u16());
    response.headers_mut().insert(REQUEST_ID, id);
    Ok(response)
}
