//! Requests to a host that may be killed at any time: nothing here panics on a
//! connection error.

use std::collections::VecDeque;
use std::io;

use orwd_tests::http::{HttpClient, HttpConnection, HttpRequest, HttpResponse};
use orwd_tests::ors::{SseEvent, SseItem, SseParser};

/// The outcome of a run.
#[derive(Debug)]
pub(crate) enum RunResult {
    /// It ended with this payload.
    Result(String),
    /// It ended with an error.
    Error(String),
    /// No stream, but this status and body.
    Status(u16, String),
}

/// Sends each request over a new connection.
#[derive(Clone)]
pub(crate) struct RunClient(HttpClient);

impl RunClient {
    pub(crate) fn new(base: &str) -> RunClient {
        RunClient(HttpClient::new(base))
    }

    /// Sends a request and reads the whole response.
    pub(crate) fn fetch(&self, request: &HttpRequest) -> io::Result<HttpResponse> {
        self.0.try_fetch(request)
    }

    /// Sends a request and reads the head of the response.
    pub(crate) fn open(&self, request: &HttpRequest) -> io::Result<RunReader> {
        let mut connection = self.0.try_connect()?;
        connection.send(request)?;
        let status = connection.read_head()?.status;
        Ok(RunReader {
            connection,
            status,
            parser: SseParser::default(),
            waiting: VecDeque::new(),
        })
    }

    /// Sends a request and disconnects.
    pub(crate) fn send_and_leave(&self, request: &HttpRequest) -> io::Result<()> {
        self.0.try_connect()?.send(request)
    }
}

/// A stream that is being read. Dropping it disconnects.
pub(crate) struct RunReader {
    connection: HttpConnection,
    status: u16,
    parser: SseParser,
    waiting: VecDeque<SseEvent>,
}

impl RunReader {
    /// Reads the run id, if the stream starts with one.
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
    pub(crate) fn rest(mut self) -> io::Result<RunResult> {
        if self.status != 200 {
            let mut body = Vec::new();
            while let Some(piece) = self.connection.read_piece()? {
                body.extend_from_slice(&piece);
            }
            let body = String::from_utf8_lossy(&body).into_owned();
            return Ok(RunResult::Status(self.status, body));
        }
        let mut payload = String::new();
        while let Some(event) = self.next()? {
            match event.name.as_str() {
                "chunk" => payload.push_str(&event.data),
                "end" => return Ok(RunResult::Result(payload + &event.data)),
                "error" => return Ok(RunResult::Error(event.data)),
                _ => {}
            }
        }
        Err(cut_off())
    }

    fn next(&mut self) -> io::Result<Option<SseEvent>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            let Some(piece) = self.connection.read_piece()? else {
                return Ok(None);
            };
            let items = self.parser.push(&piece).into_iter();
            self.waiting.extend(items.filter_map(|item| match item {
                SseItem::Event(event) => Some(event),
                SseItem::Comment(_) => None,
            }));
        }
    }
}

/// The error for a stream without a last event, which the client must resume.
fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the stream was cut off")
}
