//! Requests to a host that may be gone at any moment: nothing here panics for
//! what becomes of a connection.

use std::collections::VecDeque;
use std::io;

use orwd_tests::http::{Client, Connection, Request, Response};
use orwd_tests::sse::{Event, Item, Parser};

/// What became of a run.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It ended with this payload.
    Result(String),
    /// It ended with an error.
    Error(String),
    /// There was no stream but this status, with what it says.
    Status(u16, String),
}

/// One socket after another.
#[derive(Clone)]
pub(crate) struct Wire(Client);

impl Wire {
    pub(crate) fn new(base: &str) -> Wire {
        Wire(Client::new(base))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(&self, request: &Request) -> io::Result<Response> {
        self.0.try_ask(request)
    }

    /// Sends a request and reads the answer's head.
    pub(crate) fn open(&self, request: &Request) -> io::Result<Reading> {
        let mut connection = self.0.try_connect()?;
        connection.send(request)?;
        let status = connection.read_head()?.status;
        Ok(Reading {
            connection,
            status,
            parser: Parser::default(),
            waiting: VecDeque::new(),
        })
    }

    /// Sends a request and hangs up.
    pub(crate) fn send_and_leave(&self, request: &Request) -> io::Result<()> {
        self.0.try_connect()?.send(request)
    }
}

/// A stream that is being read. Dropping it disconnects.
pub(crate) struct Reading {
    connection: Connection,
    status: u16,
    parser: Parser,
    waiting: VecDeque<Event>,
}

impl Reading {
    /// The id of the run, if the stream begins with one: it is read past.
    pub(crate) fn id(&mut self) -> io::Result<Option<String>> {
        if self.status != 200 {
            return Ok(None);
        }
        match self.next()? {
            Some(event) if event.name == "task_id" => Ok(Some(event.data)),
            Some(event) => {
                self.waiting.push_front(event);
                Ok(None)
            }
            None => Err(cut_off()),
        }
    }

    /// Reads to the end.
    pub(crate) fn rest(mut self) -> io::Result<Heard> {
        if self.status != 200 {
            let mut body = Vec::new();
            while let Some(piece) = self.connection.read_piece()? {
                body.extend_from_slice(&piece);
            }
            let body = String::from_utf8_lossy(&body).into_owned();
            return Ok(Heard::Status(self.status, body));
        }
        let mut payload = String::new();
        while let Some(event) = self.next()? {
            match event.name.as_str() {
                "chunk" => payload.push_str(&event.data),
                "end" => return Ok(Heard::Result(payload + &event.data)),
                "error" => return Ok(Heard::Error(event.data)),
                _ => {}
            }
        }
        Err(cut_off())
    }

    fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            let Some(piece) = self.connection.read_piece()? else {
                return Ok(None);
            };
            let items = self.parser.push(&piece).into_iter();
            self.waiting.extend(items.filter_map(|item| match item {
                Item::Event(event) => Some(event),
                Item::Comment(_) => None,
            }));
        }
    }
}

/// A stream without its last event: the host asks the client to come again.
fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the stream was broken off")
}
