//! Binds the address and runs the server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use orwd_config::{Listen, ServerLimits};
use orwd_session::{
    KeyQuota, ListingLimits, MemoryLimits, MemoryMonitor, SessionManager, SessionSettings,
    default_guest_memory,
};
use tokio::net::{TcpListener, TcpSocket};

use super::environments::LoadedEnvironments;
use super::persistence::Persistence;
use crate::console::{CommandError, DroppedLines};
use crate::operations::{ProcessFacts, ServerMetrics, ServerOperations};

/// Time for ending all sessions, in addition to that of a teardown.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(1);

/// Default connection limit for one address of another machine: enough for a
/// trainer, and a tenth of all connections.
const PER_ADDRESS: usize = 1024;

/// Requests with an invalid API key from one address each minute, unless a limit
/// is set.
const AUTH_FAILURES: u32 = 60;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Which clients have access.
pub(crate) struct AccessConfig {
    pub(crate) hosts: orwd_ors::AllowedHosts,
    pub(crate) keys: Option<orwd_ors::ApiKeys>,
    pub(crate) proxy: Option<orwd_ors::ProxyKey>,
    pub(crate) tls: Option<orwd_ors::TlsFiles>,
}

impl AccessConfig {
    /// Returns the access to a server that only this process uses.
    pub(crate) fn private() -> AccessConfig {
        AccessConfig {
            hosts: orwd_ors::AllowedHosts::Loopback { also: Vec::new() },
            keys: None,
            proxy: None,
            tls: None,
        }
    }
}

/// How operators see the server.
pub(crate) struct OperationsConfig {
    pub(crate) operations: ServerOperations,
    pub(crate) facts: ProcessFacts,
    pub(crate) dropped_lines: DroppedLines,
}

/// Socket of a server that does not accept connections yet.
pub(crate) enum ServerSocket {
    /// A bound socket, at which connections are refused until [`listen`].
    Bound(TcpSocket),
    /// A listening socket of the process that started this one. Connections wait.
    Inherited(std::net::TcpListener),
}

/// Takes the listening socket that standard input is.
pub(crate) fn inherit() -> Result<ServerSocket, CommandError> {
    let inherit = || -> io::Result<std::net::TcpListener> {
        let listener = std::net::TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
        listener.set_nonblocking(true)?;
        listener.local_addr()?;
        // The server is to end with the process that started it.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        Ok(listener)
    };
    inherit().map(ServerSocket::Inherited).map_err(|error| {
        CommandError::usage(format!("standard input is no listening socket: {error}"))
    })
}

/// Binds the address of this flag. Connections are refused until [`listen`].
pub(crate) fn bind(listen: Listen, flag: &str) -> Result<ServerSocket, CommandError> {
    let socket = match listen.0 {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let bound = socket.and_then(|socket| {
        // A restarted server would otherwise wait for old connections to expire.
        socket.set_reuseaddr(true)?;
        socket.bind(listen.0)?;
        Ok(socket)
    });
    bound
        .map(ServerSocket::Bound)
        .map_err(|error| bind_error(listen, flag, &error))
}

/// Starts to accept connections on a socket for the address of this flag.
pub(crate) fn listen(
    address: Listen,
    flag: &str,
    socket: ServerSocket,
) -> Result<TcpListener, CommandError> {
    match socket {
        ServerSocket::Bound(socket) => socket.listen(BACKLOG),
        ServerSocket::Inherited(listener) => TcpListener::from_std(listener),
    }
    .map_err(|error| bind_error(address, flag, &error))
}

/// Describes why the address of this flag cannot be used.
pub(crate) fn bind_error(listen: Listen, flag: &str, error: &io::Error) -> CommandError {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("the address is in use by another program; pass another with {flag} ADDR")
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; ports below 1024 are reserved".to_owned()
        }
        _ => error.to_string(),
    };
    CommandError::new(format!("cannot listen on {listen}: {reason}"))
}

/// Serves sessions on these environments until `shutdown`. Then running calls
/// may finish within `limits.drain`, and all sessions end: persisted ones resume
/// when the server restarts, the others are torn down.
pub(crate) async fn serve(
    listener: TcpListener,
    loaded: LoadedEnvironments,
    limits: ServerLimits,
    persistence: Persistence,
    access: AccessConfig,
    operations: Option<OperationsConfig>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), CommandError> {
    let teardown = loaded
        .environments
        .iter()
        .map(|environment| environment.limits().teardown_wall)
        .max()
        .unwrap_or_default();
    let LoadedEnvironments {
        engine,
        environments,
        broker,
        ..
    } = loaded;
    if let Some(broker) = &broker {
        broker.connect()?;
    }
    let hibernate_after = persistence.hibernate_after;
    let (journal, versions, monitor) = persistence.start()?;
    orwd_sandbox::set_guest_log_rate(limits.guest_log_rate);
    let settings = SessionSettings {
        idle_timeout: limits.idle_timeout,
        setup_wait: limits.setup_wait,
        data_change_wait: limits.data_change_wait,
        result_ttl: limits.result_ttl,
        key_quota: KeyQuota {
            sessions: limits.max_sessions_per_key,
            calls: limits.max_calls_per_key,
        },
        hibernate_after,
        retention: limits.retention,
        max_open_sessions: limits.max_open_sessions,
        cpu_queue: limits.cpu_queue,
        disk: orwd_session::DiskLimits {
            per_owner: limits.max_disk_per_key,
            reserve: limits.disk_reserve,
        },
        listing: ListingLimits {
            tasks: limits.listing_tasks,
            bytes: limits.listing_size,
            time: limits.listing_time,
        },
        memory: MemoryLimits {
            requests: limits.request_memory,
            results: limits.result_memory,
            histories: limits.history_memory,
            listings: limits.listing_memory,
            guests: limits.guest_memory.unwrap_or_else(|| {
                let available = monitor.as_ref().and_then(MemoryMonitor::available);
                default_guest_memory(available)
            }),
        },
    };
    let sessions = SessionManager::start(
        engine,
        environments,
        settings,
        journal.clone(),
        versions,
        monitor,
    )
    .await?;
    let metrics = orwd_ors::HttpMetrics::default();
    let operations = operations.map(|config| {
        let operations = config.operations;
        let (facts, dropped_lines) = (config.facts, config.dropped_lines);
        operations.run(
            ServerMetrics::new(&sessions, &metrics, facts, dropped_lines),
            &sessions,
        );
        operations
    });
    let config = orwd_ors::ServerConfig {
        body_limit: limits.body,
        group_body_limit: limits.group_body,
        request_memory: limits.request_memory,
        response_memory: limits.response_memory,
        header_limit: limits.header,
        header_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        body_rate: limits.body_rate,
        write_timeout: limits.write_timeout,
        response_rate: limits.response_rate,
        idle_timeout: limits.keep_alive,
        max_connections: limits.max_connections,
        per_address: orwd_ors::PerAddressLimit {
            connections: limits.max_connections_per_address.unwrap_or(PER_ADDRESS),
            count_loopback: limits.max_connections_per_address.is_some(),
            share_loopback: access.keys.is_some(),
        },
        connections_per_key: limits.max_connections_per_key,
        tls: access.tls,
        hosts: access.hosts,
        keys: access.keys,
        proxy: access.proxy,
        auth_failure_rate: limits.auth_failure_rate.unwrap_or(AUTH_FAILURES),
        create_rate: limits.create_rate,
        metrics,
    };
    let (drain_started, drain_start) = tokio::sync::oneshot::channel();
    let draining = sessions.clone();
    let shutdown = async move {
        shutdown.await;
        draining.refuse_new();
        // The receiver is gone if serving failed.
        let _ = drain_started.send(Instant::now());
    };
    tokio::select! {
        served = orwd_ors::serve(listener, sessions.clone(), config, shutdown, limits.drain) => {
            served.map_err(|error| CommandError::new(format!("the server failed: {error}")))?;
        }
        // Results can no longer be journaled, so none may be sent.
        reason = journal.stopped() => {
            return Err(CommandError::new(format!("the journal has stopped: {reason}")));
        }
    }
    let drained = drain_start
        .await
        .map_or(limits.drain, |start| start.elapsed());
    let timeout = limits.drain.saturating_sub(drained) + teardown + SHUTDOWN_MARGIN;
    if tokio::time::timeout(timeout, sessions.end_all())
        .await
        .is_err()
    {
        tracing::warn!("shutdown timed out with sessions still running");
    }
    if let Some(operations) = operations {
        operations.end();
    }
    // The store runs its cleanup when its last handle is dropped.
    journal.close().await;
    drop(sessions);
    drop(journal);
    Ok(())
}
