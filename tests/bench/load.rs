//! The load generator: one thread, non-blocking sockets, one request at a time
//! on each connection.
//!
//! It runs beside the server on the same processors, so whatever it spends is
//! missing from the server: requests are written into buffers that are used
//! again, and an answer costs one read for each piece that the server sends.
//! A connection that breaks or stalls is an error of the run; it never waits
//! for ever.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::answer::Reader;
use crate::histogram::Histogram;

/// How long a server may say nothing at all on any connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// What is read at once.
const READ: usize = 64 * 1024;

/// What is asked, and what must come back.
pub(crate) trait Work {
    /// Writes the next request for this connection; false if there is none.
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool;

    /// Judges the answer to it.
    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String>;
}

/// How often a connection asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Whenever it has its answer.
    AtOnce,
    /// So long after it asked before, or when it has its answer, if that comes
    /// later. Connections begin one after another within that time.
    Every(Duration),
}

/// When a run is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// When there is nothing left to ask.
    Done,
    /// After this time; calls that end later are judged, and not counted.
    Elapsed(Duration),
}

/// What a run showed.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// From request to whole answer.
    pub(crate) latencies: Histogram,
    /// The time that the counted calls took.
    pub(crate) elapsed: Duration,
    /// Broken connections and wrong answers.
    pub(crate) errors: u64,
    /// What the first of them was.
    pub(crate) first_error: Option<String>,
}

impl Measured {
    fn fail(&mut self, what: String) {
        self.errors += 1;
        self.first_error.get_or_insert(what);
    }

    /// An error if there was any.
    pub(crate) fn whole(self) -> Result<Self, String> {
        match &self.first_error {
            Some(error) => Err(format!("{} errors, the first: {error}", self.errors)),
            None => Ok(self),
        }
    }
}

/// Open connections to one server.
pub(crate) struct Lines {
    poll: Poll,
    events: Events,
    lines: Vec<Line>,
    scratch: Vec<u8>,
}

struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    reader: Reader,
    begun: Instant,
    state: LineState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineState {
    Idle,
    Asking,
    Broken,
}

impl Lines {
    /// Opens this many connections.
    pub(crate) fn open(address: SocketAddr, count: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut lines = Vec::with_capacity(count);
        for index in 0..count {
            let stream = std::net::TcpStream::connect_timeout(&address, CONNECT)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut stream, Token(index), interest)?;
            lines.push(Line {
                stream,
                request: Vec::with_capacity(1024),
                sent: 0,
                reader: Reader::default(),
                begun: Instant::now(),
                state: LineState::Idle,
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            lines,
            scratch: vec![0; READ],
        })
    }

    /// Asks on all connections at once until it is over.
    pub(crate) fn run(&mut self, work: &mut impl Work, until: Until) -> io::Result<Measured> {
        self.run_at(Pace::AtOnce, work, until)
    }

    /// Asks on all connections at this pace until it is over.
    pub(crate) fn run_at(
        &mut self,
        pace: Pace,
        work: &mut impl Work,
        until: Until,
    ) -> io::Result<Measured> {
        let mut measured = Measured::default();
        let start = Instant::now();
        let deadline = match until {
            Until::Done => None,
            Until::Elapsed(time) => Some(start + time),
        };
        let gap = match pace {
            Pace::AtOnce => Duration::ZERO,
            Pace::Every(gap) => gap,
        };
        let share = u32::try_from(self.lines.len()).unwrap_or(u32::MAX).max(1);
        let mut due: BinaryHeap<Reverse<(Instant, usize)>> = (0u32..)
            .zip(0..self.lines.len())
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
            self.wait(next.map_or(PATIENCE, |Reverse((at, _))| at - now))?;
            if self.events.is_empty() && next.is_none() {
                measured.fail(format!("nothing came for {PATIENCE:?}"));
                break;
            }
            for event in &self.events {
                let index = event.token().0;
                let line = &mut self.lines[index];
                let asked = line.state == LineState::Asking;
                match line.on(event, &mut self.scratch) {
                    Ok(true) => asking -= 1,
                    Ok(false) => continue,
                    // One that breaks at rest is missed when it is asked next.
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
                    measured.latencies.add(now - line.begun);
                }
                if let Err(error) = work.check(index, line.reader.status(), line.reader.body()) {
                    measured.fail(format!("connection {index}: {error}"));
                }
                let at = line.begun + gap;
                if in_time && at > now {
                    due.push(Reverse((at, index)));
                } else if in_time && work.next(index, line.clear()) {
                    match line.ask(now) {
                        Ok(()) => asking += 1,
                        Err(error) => measured.fail(format!("connection {index}: {error}")),
                    }
                }
            }
        }
        measured.elapsed = match until {
            Until::Done => last - start,
            Until::Elapsed(time) => time,
        };
        Ok(measured)
    }

    fn wait(&mut self, patience: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.wait(patience),
            waited => waited,
        }
    }

    /// Sends the first request of a run on a connection.
    fn ask(&mut self, index: usize, work: &mut impl Work, measured: &mut Measured) -> bool {
        let line = &mut self.lines[index];
        if !work.next(index, line.clear()) {
            return false;
        }
        match line.ask(Instant::now()) {
            Ok(()) => true,
            Err(error) => {
                measured.fail(format!("connection {index}: {error}"));
                false
            }
        }
    }
}

impl Line {
    fn clear(&mut self) -> &mut Vec<u8> {
        self.request.clear();
        &mut self.request
    }

    fn ask(&mut self, now: Instant) -> Result<(), String> {
        if self.state == LineState::Broken {
            return Err("it is broken".to_owned());
        }
        self.sent = 0;
        self.begun = now;
        self.state = LineState::Asking;
        self.reader.begin();
        self.send()
    }

    /// Does what the socket is ready for; true once the answer is whole.
    fn on(&mut self, event: &Event, scratch: &mut [u8]) -> Result<bool, String> {
        if self.state == LineState::Asking && event.is_writable() {
            self.send()?;
        }
        match event.is_readable() && self.state != LineState::Broken {
            true => self.receive(scratch),
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

    fn receive(&mut self, scratch: &mut [u8]) -> Result<bool, String> {
        loop {
            let length = match self.stream.read(scratch) {
                Ok(0) => return self.broken("the server closed it".to_owned()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.broken(error.to_string()),
            };
            if self.state == LineState::Idle {
                return self.broken("bytes that nobody asked for".to_owned());
            }
            match self.reader.push(&scratch[..length]) {
                Ok(true) => {
                    self.state = LineState::Idle;
                    return Ok(true);
                }
                // A read that does not fill the buffer has emptied the socket,
                // and the next bytes are an event of their own.
                Ok(false) if length < scratch.len() => return Ok(false),
                Ok(false) => {}
                Err(error) => return self.broken(error),
            }
        }
    }

    fn broken<T>(&mut self, why: String) -> Result<T, String> {
        self.state = LineState::Broken;
        Err(why)
    }
}
