//! Puts the server together from its rooms: sources, engine, environments,
//! sessions, protocol.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};

use super::keep::Kept;
use super::{Failure, compile};
use orwd_catalog::source::{DataForSeveral, Gathered, Problem};
use orwd_catalog::{Blueprint, Environment, LoadError, Prepared, Source};
use orwd_config::{Listen, Places, ServerLimits};
use orwd_engine::{CodeCache, Engine, EngineSettings};
use orwd_model::{AdmissionLimits, ClockMode, EnvName, SessionLimits};
use orwd_session::{PerKey, SessionSettings, Sessions};

/// Time beyond that of a teardown for ending all sessions.
const LEEWAY: Duration = Duration::from_secs(1);

/// Connections from one address of another machine, unless the operator says
/// another number: enough for a trainer, and a tenth of all.
const PER_ADDRESS: usize = 1024;

/// The environments that could be loaded, and what is wrong with the others.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) environments: Vec<Environment>,
    pub(super) problems: Vec<String>,
}

/// Whom a server lets in.
pub(super) struct Door {
    pub(super) hosts: orwd_ors::AllowedHosts,
    pub(super) keys: Option<orwd_ors::ApiKeys>,
    /// Wrong keys from one address, at once and each minute.
    pub(super) wrong_keys: u32,
    pub(super) per_key: PerKey,
}

impl Door {
    /// Of a server that only this process talks to.
    pub(super) fn private() -> Door {
        Door {
            hosts: orwd_ors::AllowedHosts::Loopback { also: Vec::new() },
            keys: None,
            // Without keys none is wrong, and none is counted.
            wrong_keys: 1,
            per_key: PerKey::default(),
        }
    }
}

/// What was found, as compiled code that is loaded; nothing of it has run, and
/// no thread has begun.
pub(super) struct Ready {
    engine: Engine,
    cache: CodeCache,
    environments: Vec<Candidate>,
    problems: Vec<String>,
}

/// One environment before it runs, and what the log says of it.
struct Candidate {
    prepared: Prepared,
    place: PathBuf,
    begun: Instant,
}

/// The engine for so many sessions of these limits.
pub(super) fn settings(limits: SessionLimits, max_sessions: u32) -> EngineSettings {
    EngineSettings {
        max_sessions,
        max_memory: limits.memory,
        max_tables: limits.tables,
        threads: threads(),
    }
}

/// Compiles and loads what was found. Takes its time.
pub(super) fn prepare(
    gathered: Gathered,
    places: &Places,
    admission: AdmissionLimits,
    limits: SessionLimits,
    settings: EngineSettings,
) -> Result<Ready, Failure> {
    let engine = Engine::new(settings, compile::compiler(admission)?)?;
    let cache = CodeCache::open(&places.cache)
        .map_err(|error| Failure::new(format!("{error}; say another with --cache DIR")))?;
    let mut problems: Vec<String> = gathered.problems.iter().map(Problem::to_string).collect();
    let mut environments = Vec::new();
    for source in &gathered.sources {
        let begun = Instant::now();
        match Prepared::new(&engine, Some(&cache), blueprint(source, limits)) {
            Ok(prepared) => environments.push(Candidate {
                prepared,
                place: source.place().to_owned(),
                begun,
            }),
            Err(error) => problems.push(problem(source.place(), &error)),
        }
    }
    Ok(Ready {
        engine,
        cache,
        environments,
        problems,
    })
}

impl Ready {
    /// The environments.
    pub(super) fn prepared(&self) -> impl Iterator<Item = &Prepared> {
        self.environments
            .iter()
            .map(|candidate| &candidate.prepared)
    }

    /// Loads another version of an environment, which works on the data of the
    /// one that is served. Its sessions have each their own limits and clock.
    pub(super) fn older(
        &self,
        name: EnvName,
        component: PathBuf,
        limits: SessionLimits,
    ) -> Result<Prepared, LoadError> {
        let mut served = self.prepared().map(Prepared::blueprint);
        let served = served.find(|blueprint| blueprint.name == name);
        let blueprint = Blueprint {
            data: served.and_then(|served| served.data.clone()),
            mode: served.map(|served| served.mode.clone()).unwrap_or_default(),
            name,
            component,
            limits,
            secrets: Vec::new(),
            clock: ClockMode::Virtual,
            seed: None,
        };
        Prepared::new(&self.engine, Some(&self.cache), blueprint)
    }

    /// Starts the engine and lets every environment describe itself.
    pub(super) async fn open(self) -> Result<Loaded, Failure> {
        let mut problems = self.problems;
        let mut environments = Vec::new();
        self.engine.start()?;
        for candidate in self.environments {
            match candidate.prepared.open().await {
                Ok(environment) => {
                    tell(&environment, candidate.begun);
                    environments.push(environment);
                }
                Err(error) => problems.push(problem(&candidate.place, &error)),
            }
        }
        Ok(Loaded {
            engine: self.engine,
            environments,
            problems,
        })
    }
}

/// As many as there are CPUs for this process. Later it may no longer see.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn problem(place: &Path, error: &LoadError) -> String {
    format!("{}: {error}", place.display())
}

fn blueprint(source: &Source, limits: SessionLimits) -> Blueprint {
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
    blueprint
}

fn tell(environment: &Environment, begun: Instant) {
    tracing::info!(
        environment = %environment.name(),
        digest = %environment.component().digest(),
        component = %environment.file().display(),
        data = environment.data().map(|data| tracing::field::display(data.path().display())),
        mode = environment.mode().as_str(),
        milliseconds = begun.elapsed().as_millis() as u64,
        "loaded"
    );
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

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Takes the address, or says why it cannot be had. Nobody is let in yet.
pub(super) fn claim(listen: Listen) -> Result<TcpSocket, Failure> {
    let socket = match listen.0 {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let claimed = socket.and_then(|socket| {
        // Or else a restarted server would wait for the connections of its
        // predecessor to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(listen.0)?;
        Ok(socket)
    });
    claimed.map_err(|error| refused(listen, &error))
}

/// Lets clients in at an address that was claimed.
pub(super) fn open_door(listen: Listen, socket: TcpSocket) -> Result<TcpListener, Failure> {
    socket
        .listen(BACKLOG)
        .map_err(|error| refused(listen, &error))
}

fn refused(listen: Listen, error: &io::Error) -> Failure {
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
}

/// Serves sessions on these environments until `shutdown`, lets running calls
/// finish for as long as `limits.drain` allows, and ends all sessions: what is
/// kept of them goes on when the server does, the others are torn down. Called
/// within a runtime.
pub(super) async fn serve(
    listener: TcpListener,
    loaded: Loaded,
    limits: ServerLimits,
    kept: Kept,
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
        per_key: door.per_key,
        hibernate_after: kept.hibernate_after,
        keep_ended: kept.keep_ended,
        max_open: limits.max_open_sessions,
    };
    let Loaded {
        engine,
        environments,
        ..
    } = loaded;
    let (journal, older, gauge) = kept.start()?;
    let sessions = Sessions::open_all(
        engine,
        environments,
        settings,
        journal.clone(),
        older,
        gauge,
    )
    .await?;
    let config = orwd_ors::ServerConfig {
        body_limit: limits.body,
        header_limit: limits.header,
        header_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        body_rate: limits.body_rate,
        write_timeout: limits.write_timeout,
        idle_timeout: limits.keep_alive,
        max_connections: limits.max_connections,
        per_address: orwd_ors::PerAddressLimit {
            connections: limits.max_connections_per_address.unwrap_or(PER_ADDRESS),
            count_loopback: limits.max_connections_per_address.is_some(),
        },
        hosts: door.hosts,
        keys: door.keys,
        auth_failure_rate: door.wrong_keys,
        create_rate: limits.create_rate,
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
        served = orwd_ors::serve(listener, sessions.clone(), config, shutdown, limits.drain) => {
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
