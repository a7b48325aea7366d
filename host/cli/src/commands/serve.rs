//! `orwd serve`: serves environments until it is stopped.

mod admin;
pub(crate) mod config_file;
pub(crate) mod print_config;
mod snapshot;
mod watch;

use std::future::Future;
use std::path::PathBuf;

use clap::Args;
use orwd_config::{
    BuildFlags, BuildMode, EnvironmentFlags, HardeningFlags, LimitFlags, ListenFlags, NetworkFlags,
    PersistenceConfig, PersistenceFlags, ServerLimits,
};
use orwd_model::{AdmissionLimits, HttpLimits, SessionLimits};
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::admin::AdminListener;
use super::keys;
use crate::bootstrap::environments::{self, LoadedEnvironments};
use crate::bootstrap::{
    AccessConfig, Persistence, TempDirectory, fd_limit, hardening, persistence, runtime, server,
    state_choice,
};
use crate::console::{CommandError, CommandStatus, Log, terminal};

/// The flag of the address that clients use.
const LISTEN: &str = "--listen";

/// Serve environments over the Open Reward Standard
///
/// PATH is a component file, an environment's folder (with orwd.toml), or a
/// folder of those; or a Python environment: FILE.py, FILE.py:CLASS, or a folder
/// with env.py, server.py or main.py. The first environment is the default one. A
/// folder that you created with `orwd new` is built first, and so is a Python
/// environment, whose code runs in the sandbox only; of any other, the component
/// of its last build is served, unless --build is given. SIGINT (Ctrl-C) or SIGTERM
/// shuts the server down: running calls may finish. A second signal exits
/// immediately. Sessions resume when the server restarts with the same paths or
/// the same --state.
///
/// Sizes have a unit as in 64MiB or 512KiB, times as in 60s, 500ms or 15m. When
/// a session ends at a limit, the running call gets an `error` event with the
/// code, such as `limit_memory`, and later requests get 410 with the same code.
///
/// A configuration file has the names of these flags as its keys. A flag comes
/// before its environment variable, that before the file, and the file before the
/// default.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd serve examples/counter
  orwd serve --config orwd.server.toml
  orwd serve --listen 127.0.0.1:9000 examples
  orwd serve --data ~/gsm8k examples/gsm8k
  orwd serve --data gsm8k=/srv/gsm8k examples
  orwd serve --listen 0.0.0.0:8080 --api-keys keys.toml my-env
  orwd serve --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem --api-keys keys.toml my-env
  orwd serve --admin-listen 127.0.0.1:9090 my-env    # GET /metrics, /ready and /health
  orwd serve --memory 64MiB --call-cpu 2s my-env.wasm")]
pub(crate) struct Serve {
    /// Component files, environments' folders, or folders of those
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// Configuration file. None is read unless this names one. Relative paths in
    /// it are relative to its folder
    #[arg(long, value_name = "FILE", env = "ORWD_CONFIG")]
    config: Option<PathBuf>,

    /// Print the settings in force, and where each comes from, as a
    /// configuration file, and exit
    #[arg(long)]
    print_config: bool,

    /// Build and check the environments, and exit without serving them
    #[arg(long)]
    check: bool,

    /// For development: when sources change, build and check them, and restart
    /// the server with the new version at the same address. Sessions continue on
    /// the version that they began with. If the build fails, the old version
    /// stays. Builds run beside the hardened server, with your rights
    #[arg(long, conflicts_with = "check")]
    watch: bool,

    /// Take the listening socket from standard input (for --watch)
    #[arg(long, hide = true)]
    inherit_listener: bool,

    /// File of the secret of a proxy that authenticates clients (for `orwd hub`)
    #[arg(long, value_name = "FILE", hide = true, requires = "inherit_listener")]
    proxied: Option<PathBuf>,

    #[command(flatten)]
    listen: ListenFlags,

    /// Serve the valid environments even if others are invalid
    #[arg(long)]
    keep_going: bool,

    #[command(flatten)]
    environments: EnvironmentFlags,

    #[command(flatten)]
    network: NetworkFlags,

    #[command(flatten)]
    build: BuildFlags,

    #[command(flatten)]
    admission: LimitFlags<AdmissionLimits>,

    #[command(flatten)]
    session: LimitFlags<SessionLimits>,

    #[command(flatten)]
    persistence: PersistenceFlags,

    #[command(flatten)]
    server: LimitFlags<ServerLimits>,

    #[command(flatten)]
    http: LimitFlags<HttpLimits>,

    #[command(flatten)]
    hardening: HardeningFlags,
}

impl Serve {
    /// Before hardening there is one thread, which can access the whole machine
    /// and runs no guest code. After it, guests run and access is restricted.
    pub(crate) fn run(self, log: &mut Log) -> Result<CommandStatus, CommandError> {
        if self.watch {
            if self.listen.admin_listen.is_some() {
                return Err(CommandError::usage(
                    "--watch restarts the server while the old one still has the address of \
                     --admin-listen; pass only one of them",
                ));
            }
            return watch::run(&watch::Watched {
                paths: &self.paths,
                no_build: self.build.no_build,
                listen: self.listen.listen,
                scheme: self.listen.scheme(),
                hardening: self.hardening.hardening,
                durability: self.persistence.durability,
            });
        }
        let mut paths = self.environments.resolve(self.build.or(BuildMode::Own))?;
        paths.network = self.network.clone();
        let admission = self.admission.resolve();
        let limits = self.session.resolve();
        let mut server_limits = self.server.resolve();
        let address = self.listen.listen;
        let mut persistence_config = self.persistence.resolve(&self.paths)?;
        if self.check {
            paths.private.extend(persistence_config.state);
            persistence_config = PersistenceConfig::disabled();
        }
        state_choice::choose(&mut persistence_config, address);
        paths.private.extend(persistence_config.state.clone());
        paths.private.extend(self.listen.api_keys.clone());
        paths.private.extend(self.proxied.clone());
        paths.private.extend(self.listen.tls_key.clone());
        paths.private.extend(self.persistence.seal_key.clone());
        let access = self.access()?;
        self.check_key_limits(&server_limits)?;
        fd_limit::fit(&mut server_limits);
        let threads = runtime::threads();
        // A port that is in use is reported before a long build. The socket is
        // kept only once there is something to serve: until then, connections
        // are refused and do not hang.
        if !self.inherit_listener && !self.check {
            drop(server::bind(address, LISTEN)?);
        }
        if !self.check {
            admin::check(&self.listen)?;
        }
        let progress = |text: &str| tracing::info!("{text}");
        let mut discovered = environments::discover(
            &self.paths,
            &paths,
            self.build.no_build,
            &admission,
            &progress,
        )?;
        if persistence_config.state.is_some() {
            persistence::digest_data(&mut discovered, &paths.cache)?;
        }
        let mut settings = environments::engine_settings(limits, server_limits.max_sessions);
        persistence::raise_limits(&persistence_config, &mut settings);
        let prepared = environments::prepare(
            discovered,
            &paths,
            admission,
            limits,
            &self.http.resolve(),
            settings,
        )?;
        let socket = if self.inherit_listener {
            Some(server::inherit()?)
        } else if self.check {
            None
        } else {
            Some(server::bind(address, LISTEN)?)
        };
        let admin = match self.check {
            true => None,
            false => admin::bind(&self.listen, log)?,
        };
        let temp_dir = TempDirectory::create()?;
        state_choice::warn_of_sessions_elsewhere(&persistence_config);
        let open_data = environments::open_noted_data(&paths, &admission);
        let persistence = Persistence::open(
            &persistence_config,
            &prepared,
            limits,
            &open_data,
            server_limits.memory_high_watermark,
        )?;
        state_choice::note_address(&persistence_config, address);
        let ListenFlags {
            api_keys,
            tls_cert,
            tls_key,
            ..
        } = &self.listen;
        let reloaded = [api_keys, tls_cert, tls_key].into_iter().flatten();
        let policy = {
            let environments = prepared.iter().chain(persistence.versions());
            hardening::policy(environments, reloaded, persistence.dir(), &temp_dir)
        };
        hardening::apply(self.hardening.hardening, &policy)?;
        log.start_thread();
        let runtime = runtime::start(threads)?;
        runtime::start_memory_return()?;
        let served = runtime.block_on(async {
            // Before the environments are ready: probes see that it starts.
            let operations = admin.map(AdminListener::start).transpose()?;
            let loaded = self.check_problems(prepared.open().await?)?;
            let Some(socket) = socket else {
                return report_check(&loaded);
            };
            let shutdown = shutdown_signal()?;
            let listener = server::listen(address, LISTEN, socket)?;
            let address = listener.local_addr()?;
            match &access.keys {
                Some(keys) => tracing::info!(keys = keys.count(), "API keys required"),
                None if self.listen.listen.is_public() => tracing::warn!(
                    %address,
                    "server is reachable from other machines without API keys; pass --api-keys"
                ),
                None => {}
            }
            // With --watch, the process that owns the socket says so.
            if !self.inherit_listener {
                let scheme = self.listen.scheme();
                terminal::print(&format!("orwd is listening on {scheme}://{address}\n"))?;
            }
            server::serve(
                listener,
                loaded,
                server_limits,
                persistence,
                access,
                operations,
                shutdown,
            )
            .await?;
            tracing::info!("server stopped");
            Ok(())
        });
        // A guest's file operation may still block; it is not waited for.
        runtime.shutdown_background();
        served.map(|()| CommandStatus::Success)
    }

    /// Returns which clients have access.
    fn access(&self) -> Result<AccessConfig, CommandError> {
        let ListenFlags {
            listen,
            api_keys,
            allow_host,
            tls_cert,
            tls_key,
            admin_listen: _,
        } = &self.listen;
        let keys = match api_keys {
            Some(path) => Some(
                orwd_ors::ApiKeys::open(path)
                    .map_err(|error| keys::key_file_error(path, &error))?,
            ),
            None => None,
        };
        let hosts = if listen.is_public() && allow_host.is_empty() {
            orwd_ors::AllowedHosts::Any
        } else {
            orwd_ors::AllowedHosts::Loopback {
                also: allow_host.clone(),
            }
        };
        let proxy = match &self.proxied {
            Some(path) => Some(
                orwd_ors::ProxyKey::open(path)
                    .map_err(|error| CommandError::new(format!("{}: {error}", path.display())))?,
            ),
            None => None,
        };
        let tls = match (tls_cert, tls_key) {
            (Some(cert), Some(key)) => Some(
                orwd_ors::TlsFiles::open(cert, key)
                    .map_err(|error| CommandError::new(format!("cannot use TLS: {error}")))?,
            ),
            _ => None,
        };
        Ok(AccessConfig {
            hosts,
            keys,
            tls,
            proxy,
        })
    }

    /// Refuses limits of API keys where there are no keys: a limit without
    /// effect would be a surprise.
    fn check_key_limits(&self, limits: &ServerLimits) -> Result<(), CommandError> {
        if self.listen.api_keys.is_some() {
            return Ok(());
        }
        for (flag, set) in [
            ("--auth-failure-rate", limits.auth_failure_rate.is_some()),
            (
                "--max-sessions-per-key",
                limits.max_sessions_per_key.is_some(),
            ),
            ("--max-calls-per-key", limits.max_calls_per_key.is_some()),
        ] {
            if set {
                return Err(CommandError::usage(format!(
                    "{flag} has no effect without API keys; pass --api-keys FILE too"
                )));
            }
        }
        Ok(())
    }

    /// Returns the environments to serve, or the problems that prevent it.
    fn check_problems(
        &self,
        loaded: LoadedEnvironments,
    ) -> Result<LoadedEnvironments, CommandError> {
        if loaded.problems.is_empty() {
            return Ok(loaded);
        }
        let mut message = environments::join_problems(&loaded.problems);
        if self.keep_going && !loaded.environments.is_empty() {
            for problem in &loaded.problems {
                tracing::error!(reason = %problem, "environment not served");
            }
            return Ok(loaded);
        }
        if !loaded.environments.is_empty() {
            message.push_str("\nthe other environments are valid; pass --keep-going to serve them");
        }
        Err(CommandError::new(message))
    }
}

/// Prints what `--check` found to be valid.
fn report_check(loaded: &LoadedEnvironments) -> Result<(), CommandError> {
    let names = loaded.environments.iter();
    let lines: String = names
        .map(|environment| format!("{} can be served\n", environment.name()))
        .collect();
    terminal::print(&lines)
}

/// Returns a future that ends with the first signal to stop. A second signal
/// exits the process.
fn shutdown_signal() -> Result<impl Future<Output = ()> + Send + 'static, CommandError> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| CommandError::new(format!("cannot install signal handlers: {error}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    // With a limit on file sizes, writes should fail and the process should not
    // exit. Installing the handler once suffices.
    drop(listen(SignalKind::from_raw(Number::XFSZ.as_raw()))?);
    Ok(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("server draining; a second signal exits immediately");
        tokio::spawn(async move {
            let code = either(&mut interrupt, &mut terminate).await;
            tracing::warn!("server exiting immediately");
            std::process::exit(code);
        });
    })
}

/// Waits for a signal, and returns its exit code.
async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}
