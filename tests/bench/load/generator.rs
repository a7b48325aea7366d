//! The load generator: one thread, non-blocking sockets, one request at a time on
//! each connection.
//!
//! It shares the processors with the server, so it must be cheap: requests are
//! written into reused buffers, and a response costs one read per piece that the
//! server sends. A connection that breaks or stalls is an error of the run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::latencies::Latencies;
use super::response_reader::ResponseReader;

/// The time without any bytes from the server after which a run fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The timeout for opening a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The size of the read buffer.
const READ: usize = 64 * 1024;

/// The requests of a run, and the check of their responses.
pub(crate) trait Workload {
    /// Writes the next request for this connection; false if there is none.
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool;

    /// Checks the response to the last request.
    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String>;
}

/// When a connection sends its next request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pacing {
    /// As soon as it has the response.
    Immediate,
    /// This time after the last request, or after the response if that is later.
    /// The first requests are spread over that time.
    Every(Duration),
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StopCondition {
    /// When no request is left.
    Done,
    /// After this time; later responses are checked but not counted.
    Elapsed(Duration),
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct LoadMeasurement {
    /// The latencies, from request to complete response.
    pub(crate) latencies: Latencies,
    /// The time that the counted calls took.
    pub(crate) elapsed: Duration,
    /// The number of broken connections and wrong responses.
    pub(crate) errors: u64,
    /// The first error.
    pub(crate) first_error: Option<String>,
}

impl LoadMeasurement {
    fn fail(&mut self, what: String) {
        self.errors += 1;
        self.first_error.get_or_insert(what);
    }

    /// Returns an error if there was any.
    pub(crate) fn without_errors(self) -> Result<Self, String> {
        match &self.first_error {
            Some(error) => Err(format!("{} errors, the first: {error}", self.errors)),
            None => Ok(self),
        }
    }
}

/// Open connections to one server.
pub(crate) struct LoadGenerator {
    poll: Poll,
    events: Events,
    connections: Vec<LoadConnection>,
    buffer: Vec<u8>,
}

struct LoadConnection {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    reader: ResponseReader,
    begun: Instant,
    state: ConnectionState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionState {
    Idle,
    Asking,
    Broken,
}

impl LoadGenerator {
    /// Opens this many connections.
    pub(crate) fn open(address: SocketAddr, count: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let stream = std::net::TcpStream::connect_timeout(&address, CONNECT)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut stream, Token(index), interest)?;
            connections.push(LoadConnection {
                stream,
                request: Vec::with_capacity(1024),
                sent: 0,
                reader: ResponseReader::default(),
                begun: Instant::now(),
                state: ConnectionState::Idle,
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            connections,
            buffer: vec![0; READ],
        })
    }

    /// Sends requests on all connections without pauses until the run ends.
    pub(crate) fn run(
        &mut self,
        work: &mut impl Workload,
        until: StopCondition,
    ) -> io::Result<LoadMeasurement> {
        self.run_at(Pacing::Immediate, work, until)
    }

    /// Sends requests on all connections at this pace until the run ends.
    pub(crate) fn run_at(
        &mut self,
        pace: Pacing,
        work: &mut impl Workload,
        until: StopCondition,
    ) -> io::Result<LoadMeasurement> {
        let mut measured = LoadMeasurement::default();
        let start = Instant::now();
        let deadline = match until {
            StopCondition::Done => None,
            StopCondition::Elapsed(time) => Some(start + time),
        };
        let gap = match pace {
            Pacing::Immediate => Duration::ZERO,
            Pacing::Every(gap) => gap,
        };
        let share = u32::try_from(self.connections.len())
            .unwrap_or(u32::MAX)
            .max(1);
        let mut due: BinaryHeap<Reverse<(Instant, usize)>> = (0u32..)
            .zip(0..self.connections.len())
            .map(|(number, index)| Reverse((start + gap / share * number, index)))
            .collect();
        let mut asking = 0;
        let mut last = start;
        loop {
            let now = Instant::now();
            let over = deadline.is_some_and(|deadline| now > deadline);
            if over {
                due.clear();
            }
            let mut next = due.peek().copied();
            while let Some(Reverse((_, index))) = next.filter(|Reverse((at, _))| *at <= now) {
                due.pop();
                asking += usize::from(self.ask(index, work, &mut measured));
                next = due.peek().copied();
            }
            if asking == 0 && next.is_none() {
                break;
            }
            self.wait(next.map_or(TIMEOUT, |Reverse((at, _))| at - now))?;
            if self.events.is_empty() && next.is_none() {
                measured.fail(format!("no bytes for {TIMEOUT:?}"));
                break;
            }
            for event in &self.events {
                let index = event.token().0;
                let connection = &mut self.connections[index];
                let asked = connection.state == ConnectionState::Asking;
                match connection.on(event, &mut self.buffer) {
                    Ok(true) => asking -= 1,
                    Ok(false) => continue,
                    // An idle connection that breaks is noticed at its next
                    // request.
                    Err(_) if !asked => continue,
                    Err(error) => {
                        asking -= 1;
                        measured.fail(format!("connection {index}: {error}"));
                        continue;
                    }
                }
                let now = Instant::now();
                let in_time = deadline.is_none_or(|deadline| now <= deadline);
                if in_time {
                    last = now;
                    measured.latencies.record(now - connection.begun);
                }
                if let Err(error) =
                    work.check(index, connection.reader.status(), connection.reader.body())
                {
                    measured.fail(format!("connection {index}: {error}"));
                }
                let at = connection.begun + gap;
                if in_time && at > now {
                    due.push(Reverse((at, index)));
                } else if in_time && work.next(index, connection.clear()) {
                    match connection.ask(now) {
                        Ok(()) => asking += 1,
                        Err(error) => measured.fail(format!("connection {index}: {error}")),
                    }
                }
            }
        }
        measured.elapsed = match until {
            StopCondition::Done => last - start,
            StopCondition::Elapsed(time) => time,
        };
        Ok(measured)
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.wait(timeout),
            waited => waited,
        }
    }

    /// Sends the first request of a run on a connection.
    fn ask(
        &mut self,
        index: usize,
        work: &mut impl Workload,
        measured: &mut LoadMeasurement,
    ) -> bool {
        let connection = &mut self.connections[index];
        if !work.next(index, connection.clear()) {
            return false;
        }
        match connection.ask(Instant::now()) {
            Ok(()) => true,
            Err(error) => {
                measured.fail(format!("connection {index}: {error}"));
                false
            }
        }
    }
}

impl LoadConnection {
    fn clear(&mut self) -> &mut Vec<u8> {
        self.request.clear();
        &mut self.request
    }

    fn ask(&mut self, now: Instant) -> Result<(), String> {
        if self.state == ConnectionState::Broken {
            return Err("the connection is broken".to_owned());
        }
        self.sent = 0;
        self.begun = now;
        self.state = ConnectionState::Asking;
        self.reader.begin();
        self.send()
    }

    /// Writes and reads what the socket is ready for; returns true once the
    /// response is complete.
    fn on(&mut self, event: &Event, buffer: &mut [u8]) -> Result<bool, String> {
        if self.state == ConnectionState::Asking && event.is_writable() {
            self.send()?;
        }
        match event.is_readable() && self.state != ConnectionState::Broken {
            true => self.receive(buffer),
            false => Ok(false),
        }
    }

    fn send(&mut self) -> Result<(), String> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.broken(error.to_string()),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool, String> {
        loop {
            let length = match self.stream.read(buffer) {
                Ok(0) => return self.broken("the server closed it".to_owned()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.broken(error.to_string()),
            };
            if self.state == ConnectionState::Idle {
                return self.broken("bytes without a request".to_owned());
            }
            match self.reader.push(&buffer[..length]) {
                Ok(true) => {
                    self.state = ConnectionState::Idle;
                    return Ok(true);
                }
                // A partial read has emptied the socket; further bytes cause
                // another event.
                Ok(false) if length < buffer.len() => return Ok(false),
                Ok(false) => {}
                Err(error) => return self.broken(error),
            }
        }
    }

    fn broken<T>(&mut self, why: String) -> Result<T, String> {
        self.state = ConnectionState::Broken;
        Err(why)
    }
}
