//! `orwd serve --watch`: restarts the server when sources change.
//!
//! A hardened process can neither compile nor load code. So this process, which
//! is not hardened, watches the sources, and the server is another one. After a
//! change a third process builds and checks the environments. If it succeeds, the
//! server is stopped and a new one is started. Sessions resume from the journal
//! on the version that they began with. The listening socket belongs to this
//! process: connections that arrive during a restart wait.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use orwd_config::{HardeningMode, Listen};
use orwd_model::Durability;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use super::snapshot::Snapshot;
use crate::bootstrap::environments::python;
use crate::bootstrap::server;
use crate::console::{CommandError, CommandStatus, terminal};

/// The program of this process, which stays the same file if a new version is
/// installed.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The time between two looks at the sources.
const POLL: Duration = Duration::from_millis(300);

/// The time between two looks at a process that is ending.
const WAIT: Duration = Duration::from_millis(20);

/// What is served, and how.
pub(super) struct Watched<'s> {
    pub(super) paths: &'s [PathBuf],
    pub(super) no_build: bool,
    pub(super) listen: Listen,
    pub(super) scheme: &'static str,
    pub(super) hardening: HardeningMode,
    pub(super) durability: Durability,
}

/// The processes of a watched server.
struct Watch<'s> {
    serve: &'s Watched<'s>,
    args: Vec<OsString>,
    listener: TcpListener,
    server: Option<Child>,
    signals: Signals,
}

/// Signals to stop.
struct Signals {
    interrupt: SignalStream,
    terminate: SignalStream,
}

/// Why watching ends.
enum End {
    /// A signal arrived.
    Stopped,
    /// It failed.
    Failed(CommandError),
}

/// Serves until a signal to stop, and restarts the server after changes.
pub(super) fn run(serve: &Watched<'_>) -> Result<CommandStatus, CommandError> {
    if serve.hardening == HardeningMode::Required {
        return Err(CommandError::usage(
            "--watch builds beside the server, in processes that are not hardened, which \
             --hardening required rules out; pass only one of them",
        ));
    }
    if serve.durability == Durability::None {
        return Err(CommandError::usage(
            "--watch restarts the server, and with --durability none all sessions would end; pass \
             only one of them",
        ));
    }
    let address = serve.listen;
    let listener = TcpListener::bind(address.0)
        .map_err(|error| server::bind_error(address, "--listen", &error))?;
    let local = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut watch = Watch {
            serve,
            args: std::env::args_os().skip(1).collect(),
            listener,
            server: None,
            signals: Signals::listen()?,
        };
        tracing::warn!(
            "development mode: this process is not hardened, watches the sources, and runs builds; \
             the server beside it is hardened"
        );
        let mut sources = watch.snapshot();
        match watch.check().await {
            Ok(true) => {}
            Ok(false) => return Err(CommandError::new("the environments cannot be served")),
            Err(end) => return watch.end(end).await,
        }
        watch.start()?;
        let scheme = serve.scheme;
        terminal::print(&format!("orwd is listening on {scheme}://{local}\n"))?;
        tracing::info!(files = sources.len(), "sources watched");
        loop {
            if let Err(end) = watch.round(&mut sources).await {
                return watch.end(end).await;
            }
        }
    })
}

impl Watch<'_> {
    fn snapshot(&self) -> Snapshot {
        Snapshot::take(&python::watched(self.serve.paths), self.serve.no_build)
    }

    /// Looks at the sources, and replaces the server if they have changed.
    async fn round(&mut self, sources: &mut Snapshot) -> Result<(), End> {
        self.sleep(POLL).await?;
        if let Some(server) = &mut self.server
            && let Some(status) = server.try_wait().map_err(End::failed)?
        {
            self.server = None;
            tracing::error!(%status, "server stopped; it starts again after the next change");
        }
        let mut now = self.snapshot();
        let Some(changed) = now.difference(sources) else {
            return Ok(());
        };
        tracing::info!(file = %changed.display(), "sources changed");
        // An editor or a version control system may still be writing.
        loop {
            self.sleep(POLL).await?;
            let later = self.snapshot();
            if later == now {
                break;
            }
            now = later;
        }
        *sources = now;
        if !self.check().await? {
            tracing::error!("the new version cannot be served; the old version stays");
            return Ok(());
        }
        self.stop_server().await?;
        self.start().map_err(End::Failed)?;
        tracing::info!("server restarted with the new version");
        Ok(())
    }

    /// Builds and checks the environments. Returns whether they can be served.
    async fn check(&mut self) -> Result<bool, End> {
        let mut check = self.command("--check", false);
        check.stdin(Stdio::null()).stdout(Stdio::null());
        let mut check = check.spawn().map_err(End::failed)?;
        loop {
            if let Some(status) = check.try_wait().map_err(End::failed)? {
                return Ok(status.success());
            }
            if let Err(end) = self.sleep(WAIT).await {
                terminate(&check);
                // It ends by itself.
                check.wait().ok();
                return Err(end);
            }
        }
    }

    /// Starts a server with the components of the last build.
    fn start(&mut self) -> Result<(), CommandError> {
        let listener = OwnedFd::from(self.listener.try_clone()?);
        let mut server = self.command("--inherit-listener", true);
        self.server = Some(server.stdin(Stdio::from(listener)).spawn()?);
        Ok(())
    }

    /// Stops the server. Running calls may finish.
    async fn stop_server(&mut self) -> Result<ExitStatus, End> {
        let Some(mut server) = self.server.take() else {
            return Ok(ExitStatus::default());
        };
        terminate(&server);
        loop {
            if let Some(status) = server.try_wait().map_err(End::failed)? {
                return Ok(status);
            }
            // A second signal makes it exit immediately.
            if let Err(end) = self.sleep(WAIT).await {
                terminate(&server);
                server.wait().ok();
                return Err(end);
            }
        }
    }

    /// Ends the server too.
    async fn end(&mut self, end: End) -> Result<CommandStatus, CommandError> {
        if let Err(End::Failed(error)) = self.stop_server().await {
            return Err(error);
        }
        match end {
            End::Stopped => Ok(CommandStatus::Success),
            End::Failed(error) => Err(error),
        }
    }

    /// Waits, unless a signal arrives.
    async fn sleep(&mut self, time: Duration) -> Result<(), End> {
        let Signals {
            interrupt,
            terminate,
        } = &mut self.signals;
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            _ = interrupt.recv() => Err(End::Stopped),
            _ = terminate.recv() => Err(End::Stopped),
        }
    }

    /// Returns this command line for another process, with a flag in place of
    /// `--watch`. A process group of its own keeps Ctrl-C from it, so that it gets
    /// each signal once.
    fn command(&self, flag: &str, built: bool) -> Command {
        let mut args: Vec<OsString> = Vec::new();
        for arg in &self.args {
            if arg == "--watch" {
                args.push(flag.into());
                if built {
                    args.push("--no-build".into());
                }
            } else if !built || (arg != "--no-build" && arg != "--build") {
                args.push(arg.clone());
            }
        }
        let mut command = Command::new(OWN_PROGRAM);
        command.args(args).process_group(0);
        command
    }
}

impl Signals {
    fn listen() -> Result<Signals, CommandError> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

impl End {
    fn failed(error: std::io::Error) -> End {
        End::Failed(error.into())
    }
}

/// Asks a process and those that it started to end.
fn terminate(process: &Child) {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended.
        kill_process_group(pid, Signal::TERM).ok();
    }
}
