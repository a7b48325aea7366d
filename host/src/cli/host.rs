//! Puts the server together from its rooms: sources, engine, environments,
//! sessions, protocol.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::{Failure, compile, keep};
use crate::catalog::source::{DataForSeveral, Gathered, Problem};
use crate::catalog::{Environment, LoadError, Source};
use crate::config::{Keeping, Listen, Places, ServerLimits};
use crate::engine::{Cache, Engine, EngineSettings};
use crate::model::{AdmissionLimits, SessionLimits};
use crate::ors;
use crate::session::{SessionSettings, Sessions};

/// Time beyond that of a teardown for ending all sessions.
const LEEWAY: Duration = Duration::from_secs(1);

/// Connections from one address of another machine, unless the operator says
/// another number: enough for a trainer, and a tenth of all.
const PER_ADDRESS: usize = 1024;

/// The environments that could be loaded, and what is wrong with the others.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) cache: Cache,
    pub(super) environments: Vec<Environment>,
    pub(super) problems: Vec<String>,
}

/// Whom a server lets in.
pub(super) struct Door {
    pub(super) hosts: ors::Hosts,
    pub(super) keys: Option<ors::Keys>,
}

impl Door {
    /// Of a server that only this process talks to.
    pub(super) fn private() -> Door {
        Door {
            hosts: ors::Hosts::Loopback { also: Vec::new() },
            keys: None,
        }
    }
}

/// Loads what was found.
pub(super) async fn load(
    gathered: Gathered,
    places: &Places,
    admission: AdmissionLimits,
    limits: SessionLimits,
    max_sessions: u32,
) -> Result<Loaded, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = EngineSettings {
        max_sessions,
        max_memory: limits.memory,
        threads,
    };
    let engine = Engine::with_compiler(settings, compile::compiler(admission)?)?;
    let cache = Cache::open(&places.cache)
        .map_err(|error| Failure::new(format!("{error}; say another with --cache DIR")))?;
    let mut problems: Vec<String> = gathered.problems.iter().map(Problem::to_string).collect();
    let mut environments = Vec::new();
    for source in &gathered.sources {
        match load_one(&engine, &cache, source, limits).await {
            Ok(environment) => environments.push(environment),
            Err(error) => problems.push(format!("{}: {error}", source.place().display())),
        }
    }
    Ok(Loaded {
        engine,
        cache,
        environments,
        problems,
    })
}

async fn load_one(
    engine: &Engine,
    cache: &Cache,
    source: &Source,
    limits: SessionLimits,
) -> Result<Environment, LoadError> {
    let (blueprint, capped) = source.blueprint(limits);
    let name = &source.name;
    for wish in &capped {
        tracing::warn!(environment = %name, "{wish}");
    }
    if source.manifest.mode != source.mode {
        tracing::warn!(
            environment = %name,
            "the manifest asks to share what its sessions write, which takes a data directory and --writable-data"
        );
    }
    let begin = Instant::now();
    let environment = Environment::load(engine, Some(cache), blueprint).await?;
    tracing::info!(
        environment = %name,
        digest = %environment.component().digest(),
        component = %source.component.display(),
        data = source.data.as_ref().map(|data| tracing::field::display(data.path().display())),
        mode = source.mode.as_str(),
        milliseconds = begin.elapsed().as_millis() as u64,
        "loaded"
    );
    Ok(environment)
}

/// `--data` with several environments is a mistake of the command line.
pub(super) fn one_data(error: DataForSeveral) -> Failure {
    Failure::usage(error.to_string())
}

/// All problems in one message.
pub(super) fn all(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => {
            let lines: Vec<String> = many
                .iter()
                .map(|problem| format!("  - {}", problem.replace('\n', "\n    ")))
                .collect();
            format!(
                "{} environments are wrong:\n{}",
                many.len(),
                lines.join("\n")
            )
        }
    }
}

/// Takes the address, or says why it cannot be had.
pub(super) async fn bind(listen: Listen) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen.0).await.map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "is in use by another program; say another with --listen ADDR".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "is no address of this machine".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "may not be used by this user; ports below 1024 are reserved".to_owned()
            }
            _ => format!("cannot be listened on: {error}"),
        };
        Failure::new(format!("{listen} {reason}"))
    })
}

/// Serves sessions on these environments until `shutdown`, lets running calls
/// finish for as long as `limits.drain` allows, and ends all sessions: what is
/// kept of them goes on when the server does, the others are torn down. Called
/// within a runtime.
pub(super) async fn serve(
    listener: TcpListener,
    loaded: Loaded,
    limits: ServerLimits,
    keeping: Keeping,
    door: Door,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let teardown = loaded
        .environments
        .iter()
        .map(|environment| environment.limits().teardown.wall)
        .max()
        .unwrap_or_default();
    let settings = SessionSettings {
        idle_timeout: limits.idle_timeout,
        setup_gate: limits.setup_gate,
        result_linger: limits.result_linger,
        hibernate_after: keeping.hibernate_after,
    };
    let Loaded {
        engine,
        cache,
        environments,
        ..
    } = loaded;
    let (journal, kept) = keep::open(&keeping, cache)?;
    let sessions =
        Sessions::open_all(engine, environments, settings, journal.clone(), kept).await?;
    let front = ors::Front {
        body_limit: limits.body,
        header_limit: limits.header,
        header_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        write_timeout: limits.write_timeout,
        idle_timeout: limits.keep_alive,
        connections: limits.max_connections,
        per_address: match limits.max_connections_per_address {
            Some(count) => ors::PerAddress::Any(count),
            None => ors::PerAddress::Remote(PER_ADDRESS),
        },
        hosts: door.hosts,
        keys: door.keys,
    };
    let (stopped, stopping) = tokio::sync::oneshot::channel();
    let gate = sessions.clone();
    let shutdown = async move {
        shutdown.await;
        gate.refuse_new();
        // Read below; nobody reads it if serving failed.
        let _ = stopped.send(Instant::now());
    };
    tokio::select! {
        served = ors::serve(listener, sessions.clone(), front, shutdown, limits.drain) => {
            served.map_err(|error| Failure::new(format!("the server cannot go on: {error}")))?;
        }
        // Whatever it answered from here on, it could not keep.
        why = journal.stopped() => {
            return Err(Failure::new(format!("the journal has stopped: {why}")));
        }
    }
    let waited = stopping.await.map_or(limits.drain, |begin| begin.elapsed());
    let patience = limits.drain.saturating_sub(waited) + teardown + LEEWAY;
    if tokio::time::timeout(patience, sessions.end_all())
        .await
        .is_err()
    {
        tracing::warn!("some sessions did not end in time and were cut off");
    }
    // What is written is written; the store tidies up when nobody holds it.
    journal.close().await;
    drop(sessions);
    drop(journal);
    Ok(())
}
