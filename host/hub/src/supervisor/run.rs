//! The loop of the supervisor.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

use super::host;
use super::processes::{HostProcesses, Process};
use super::protocol::{Action, Done, Reply, Request};
use crate::config::HubConfig;
use crate::error::HubError;
use crate::layout::{Layout, write_private};

/// The time between two looks at the processes.
const POLL: Duration = Duration::from_millis(100);

/// The time for all processes to end after a signal to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The time for an address to become free.
const BIND_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a line of the control process.
const MAX_LINE: usize = 1 << 20;

struct Supervisor {
    config: HubConfig,
    layout: Layout,
    hosts: HostProcesses,
    control: Process,
    lines: BufReader<UnixStream>,
}

/// Runs the platform until a signal to stop. `announce` is called with the
/// address, and with the link of the first sign-in until that has happened.
pub fn run_supervisor(
    config: HubConfig,
    announce: impl FnOnce(&str) -> std::io::Result<()>,
) -> Result<(), HubError> {
    let state = config.state.display();
    let layout = Layout::create(&config.state).map_err(HubError::io(format!(
        "cannot use the state directory {state}"
    )))?;
    let lock = File::create(layout.lock()).map_err(HubError::io("cannot create the lock file"))?;
    lock.try_lock().map_err(|_| {
        HubError::Other(format!(
            "the state directory {state} is in use by another `orwd hub`; stop it, or pass another \
             directory with --state DIR"
        ))
    })?;
    layout
        .secret("proxy")
        .map_err(HubError::io("cannot create the key of the host processes"))?;
    let listener =
        bind(config.listen).map_err(HubError::io(format!("cannot listen on {}", config.listen)))?;
    let address = listener
        .local_addr()
        .map_err(HubError::io("the socket has no address"))?;
    let mut text = format!("orwd is listening on http://{address}\n");
    if let Some(secret) = first_sign_in(&config, &layout)
        .map_err(HubError::io("cannot use the secret of the first sign-in"))?
    {
        let base = config.public_url.clone();
        let base = base.unwrap_or_else(|| format!("http://{address}"));
        text.push_str(&format!(
            "sign in for the first time at {base}/setup/{secret}\n"
        ));
    }
    announce(&text).map_err(HubError::io("cannot print the address"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(HubError::io("cannot start the runtime"))?;
    let ended = runtime.block_on(async {
        let (control, lines) = start_control(&config, listener)?;
        let mut supervisor = Supervisor {
            config,
            layout,
            hosts: HostProcesses::default(),
            control,
            lines,
        };
        supervisor.run().await
    });
    drop(lock);
    ended
}

/// Returns the secret of the link by which the first administrator signs in. It is
/// created for a new platform without a bootstrap file, and ends with its use.
fn first_sign_in(config: &HubConfig, layout: &Layout) -> std::io::Result<Option<String>> {
    let file = layout.first_sign_in();
    if config.bootstrap.is_none() && !layout.database().exists() {
        let secret = blake3::Hash::from_bytes(rand::random()).to_hex();
        write_private(&file, secret.as_bytes(), 0o600)?;
    }
    match std::fs::read_to_string(file) {
        Ok(secret) => Ok(Some(secret)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Binds the address. The processes of a supervisor that was killed may have it
/// for a moment longer.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let deadline = Instant::now() + BIND_TIMEOUT;
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(POLL);
            }
            bound => return bound,
        }
    }
}

/// Starts the control process with the socket of the platform.
fn start_control(
    config: &HubConfig,
    listener: TcpListener,
) -> Result<(Process, BufReader<UnixStream>), HubError> {
    let text = serde_json::to_string(config).map_err(|error| HubError::Other(error.to_string()))?;
    let mut arguments: Vec<OsString> = vec!["__control".into(), text.into()];
    arguments.extend(config.log_arguments.iter().map(OsString::from));
    let (lines, stdout) = channel()?;
    let process = Process::start("control", arguments, listener, stdout)
        .map_err(HubError::io("cannot start the control process"))?;
    Ok((process, lines))
}

/// Creates the connection to the control process: our end, and its standard
/// output.
fn channel() -> Result<(BufReader<UnixStream>, Stdio), HubError> {
    let create = || {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let lines = BufReader::new(UnixStream::from_std(ours)?);
        Ok((lines, Stdio::from(OwnedFd::from(theirs))))
    };
    create().map_err(HubError::io("cannot create a socket"))
}

impl Supervisor {
    async fn run(&mut self) -> Result<(), HubError> {
        let listen = |kind| signal(kind).map_err(HubError::io("cannot install signal handlers"));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut ticks = tokio::time::interval(POLL);
        let mut line = Vec::new();
        loop {
            tokio::select! {
                read = read_line(&mut self.lines, &mut line) => match read {
                    Some(request) => {
                        line.clear();
                        self.answer(request).await;
                    }
                    // The control process has ended; the next look starts it again.
                    None => {
                        line.clear();
                        ticks.tick().await;
                        self.check_control()?;
                    }
                },
                _ = ticks.tick() => {
                    self.hosts.check();
                    self.check_control()?;
                }
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
            }
        }
        tracing::info!("platform stopping; a second signal ends it at once");
        self.control.signal(Signal::TERM);
        self.hosts.stop_all();
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            let ended = self.hosts.have_ended() & !self.control.is_running();
            if ended {
                return Ok(());
            }
            let is_late = Instant::now() > deadline;
            tokio::select! {
                () = tokio::time::sleep(POLL), if !is_late => {}
                () = std::future::ready(()), if is_late => {}
                _ = interrupt.recv() => return self.kill(),
                _ = terminate.recv() => return self.kill(),
            }
            if is_late {
                return self.kill();
            }
        }
    }

    /// Ends all processes at once.
    fn kill(&mut self) -> Result<(), HubError> {
        self.control.signal(Signal::KILL);
        self.hosts.kill();
        Ok(())
    }

    /// Starts the control process again if it has ended. Host processes are not
    /// affected.
    fn check_control(&mut self) -> Result<(), HubError> {
        if self.control.is_running() {
            return Ok(());
        }
        if self.control.is_hopeless() {
            self.hosts.stop_all();
            return Err(HubError::Other(
                "the control process cannot start; the log has its reason".to_owned(),
            ));
        }
        if self.control.is_due() {
            let (lines, stdout) = channel()?;
            self.lines = lines;
            self.control
                .spawn(stdout)
                .map_err(HubError::io("cannot start the control process"))?;
        }
        Ok(())
    }

    async fn answer(&mut self, request: Request) {
        let result = match request.action {
            Action::Start(spec) => match self.hosts.port(&spec.name) {
                Some(port) => Ok(Done::Listens(port)),
                None => host::arguments(&self.layout, &self.config, &spec)
                    .and_then(|arguments| self.hosts.start(&spec.name, arguments))
                    .map(Done::Listens),
            },
            Action::Check => Ok(Done::Runs),
            Action::Stop(name) => {
                self.hosts.stop(&name);
                Ok(Done::Stops)
            }
        };
        let reply = Reply {
            number: request.number,
            result,
        };
        let Ok(mut text) = serde_json::to_vec(&reply) else {
            return;
        };
        text.push(b'\n');
        // If the control process has ended, nobody waits for the reply.
        let _ = self.lines.get_mut().write_all(&text).await;
    }
}

/// Reads a request; `None` at the end of the connection. What was read of a line
/// stays in the buffer if this is cancelled.
async fn read_line(lines: &mut BufReader<UnixStream>, line: &mut Vec<u8>) -> Option<Request> {
    loop {
        let read = lines.read_until(b'\n', line).await;
        if !matches!(read, Ok(1..)) || line.len() > MAX_LINE {
            return None;
        }
        match serde_json::from_slice(line) {
            Ok(request) => return Some(request),
            Err(error) => {
                tracing::error!(%error, "the control process sent an invalid request");
                line.clear();
            }
        }
    }
}
