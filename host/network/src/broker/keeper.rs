//! Keeps a broker running: starts it again when it ends.
//!
//! The process that runs guests gives up starting programs, and what it starts
//! could not connect to anybody. So the process that it started before, which is
//! this one, starts the broker. It passes messages on without reading them: their
//! lengths are all that it takes from either side.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::frame::{self, BrokerEvent, RawMessage};
use crate::broker::server::{BrokerError, ignore_stops};

/// The pause before the first new start. It doubles with each that follows soon.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A broker that ran for longer begins with the first pause again.
const STABLE: Duration = Duration::from_secs(60);

/// Time for a broker to start.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// The connection to the broker that runs; none while there is none.
type Running = Mutex<Option<UnixStream>>;

/// Keeps a broker for the process at the other end of the stream, until that
/// process ends. The broker runs this program with these arguments.
pub fn keep(mut stream: UnixStream, program: &Path, arguments: &[&str]) -> Result<(), BrokerError> {
    // A terminal stops all processes of the server; this one ends with it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async { ignore_stops() })?;
    let config = frame::read_blocking(&mut stream)?;
    let mut pause = FIRST_PAUSE;
    let running = Arc::new(Running::default());
    let mut requests = Some(stream.try_clone()?);
    loop {
        let started = Instant::now();
        let reason = match WorkerProcess::start(program, arguments, &config) {
            Ok((mut broker, ready)) => {
                stream.write_all(&ready.bytes)?;
                *lock(&running) = Some(broker.stream.try_clone()?);
                if let Some(requests) = requests.take() {
                    pass_requests(requests, running.clone());
                }
                let reason = pass_results(&mut broker.stream, &mut stream)?;
                *lock(&running) = None;
                broker.end(&reason)
            }
            Err(error) => error.to_string(),
        };
        let event = BrokerEvent::Ended { reason };
        stream.write_all(&frame::encode(0, &event)?)?;
        if requests.is_some() {
            // It has never run, and the server does not start without it.
            return Ok(());
        }
        if started.elapsed() >= STABLE {
            pause = FIRST_PAUSE;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A broker process.
struct WorkerProcess {
    process: Child,
    stream: UnixStream,
}

impl WorkerProcess {
    /// Starts a broker, and returns it with its message that it is ready.
    fn start(
        program: &Path,
        arguments: &[&str],
        config: &RawMessage,
    ) -> io::Result<(WorkerProcess, RawMessage)> {
        let (stream, theirs) = UnixStream::pair()?;
        let process = Command::new(program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        let mut broker = WorkerProcess { process, stream };
        match broker.begin(config) {
            Ok(ready) => Ok((broker, ready)),
            Err(error) => {
                let reason = broker.end(&error.to_string());
                Err(io::Error::other(reason))
            }
        }
    }

    fn begin(&mut self, config: &RawMessage) -> io::Result<RawMessage> {
        self.stream.set_read_timeout(Some(START_TIMEOUT))?;
        self.stream.set_write_timeout(Some(START_TIMEOUT))?;
        self.stream.write_all(&config.bytes)?;
        let ready = frame::read_blocking(&mut self.stream)?;
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)?;
        Ok(ready)
    }

    /// Ends the process, and says how it ended.
    fn end(mut self, reason: &str) -> String {
        // It has ended already, or its connection is of no use.
        let _ = self.process.kill();
        match self.process.wait() {
            Ok(status) => format!("{reason}; {status}"),
            Err(_) => reason.to_owned(),
        }
    }
}

/// Passes requests to the broker that runs, on a thread of its own. Without one
/// they are dropped: the server learns that it has ended, and counts all that have
/// no result as lost. Ends this process with the server.
fn pass_requests(mut requests: UnixStream, running: Arc<Running>) {
    thread::spawn(move || {
        while let Ok(message) = frame::read_blocking(&mut requests) {
            let stream = lock(&running).as_ref().map(UnixStream::try_clone);
            if let Some(Ok(mut stream)) = stream {
                // The other thread notices that the broker has ended.
                let _ = stream.write_all(&message.bytes);
            }
        }
        std::process::exit(0);
    });
}

/// Passes results to the server while the broker runs, and returns how that ended.
/// Fails if the server has ended.
fn pass_results(broker: &mut UnixStream, server: &mut UnixStream) -> io::Result<String> {
    loop {
        match frame::read_blocking(broker) {
            Ok(message) => server.write_all(&message.bytes)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok("it closed its connection".to_owned());
            }
            Err(error) => return Ok(error.to_string()),
        }
    }
}

/// Nothing panics while this is locked.
fn lock(running: &Running) -> MutexGuard<'_, Option<UnixStream>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
