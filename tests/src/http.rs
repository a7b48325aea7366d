//! A small HTTP/1.1 client on a plain socket.
//!
//! Tests of a protocol need to send what a polite client would never send,
//! to see headers as they were written, and to read a body while it is still
//! being made; libraries hide all three. One [`Connection`] is one socket;
//! [`Client`] opens a new one for each request, so that no test depends on
//! what another left behind.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything a test waits for, so that a server which never
/// answers fails the test and does not hang it.
const PATIENCE: Duration = Duration::from_secs(90);

/// A request as it will be sent. `Host` and `Content-Length` are added unless
/// they were given.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST without a body.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// Adds a header; the same name may be added again.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a body without saying what it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a body that calls itself JSON, whether it is or not.
    pub fn json_text(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// Adds a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.json_text(body.to_string())
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(have, _)| have.eq_ignore_ascii_case(name))
    }

    fn to_bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has("host") {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        let wants_length = !self.body.is_empty() || self.method != "GET";
        if wants_length && !self.has("content-length") && !self.has("transfer-encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The first part of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Names and values as they were written, in order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name, in any spelling.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A whole answer.
#[derive(Clone)]
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// The body, with any transfer encoding taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is JSON ({error}): {self:?}"))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let short: String = body.chars().take(2000).collect();
        write!(out, "{} {short}", self.head.status)
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Done,
    Length(u64),
    Chunked,
    UntilClose,
}

/// One socket. After [`Connection::read_head`], call
/// [`Connection::read_piece`] until it gives none; then the next request may
/// be sent.
pub struct Connection {
    socket: BufReader<TcpStream>,
    host: String,
    framing: Framing,
    /// The answer to a HEAD has the headers of a body and no body.
    asked_head: bool,
}

impl Connection {
    /// Connects to `host:port`.
    pub fn open(host: &str) -> io::Result<Self> {
        let address = host
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::other(format!("{host} has no address")))?;
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket: BufReader::new(socket),
            host: host.to_owned(),
            framing: Framing::Done,
            asked_head: false,
        })
    }

    /// Changes how long a read waits before it fails.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.socket.get_ref().set_read_timeout(Some(patience))
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.get_mut().write_all(bytes)
    }

    /// Sends a request.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        let bytes = request.to_bytes(&self.host);
        self.asked_head = request.method == "HEAD";
        self.send_raw(&bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.socket.get_ref().shutdown(Shutdown::Write)
    }

    /// Reads status and headers of the next answer, past interim ones.
    pub fn read_head(&mut self) -> io::Result<Head> {
        loop {
            let head = self.read_one_head()?;
            if head.status >= 200 {
                self.framing = if self.asked_head {
                    Framing::Done
                } else {
                    framing_of(&head)
                };
                return Ok(head);
            }
        }
    }

    /// Reads the next piece of the body, as small as it came; none at the end.
    pub fn read_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::Done => Ok(None),
            Framing::Length(0) => {
                self.framing = Framing::Done;
                Ok(None)
            }
            Framing::Length(left) => {
                let piece = self.take_up_to(left)?;
                if piece.is_empty() {
                    return Err(cut_short("a body with a length"));
                }
                self.framing = Framing::Length(left - piece.len() as u64);
                Ok(Some(piece))
            }
            Framing::Chunked => self.read_chunk(),
            Framing::UntilClose => {
                let piece = self.take_up_to(u64::MAX)?;
                if piece.is_empty() {
                    self.framing = Framing::Done;
                    return Ok(None);
                }
                Ok(Some(piece))
            }
        }
    }

    /// Reads a whole answer.
    pub fn read_response(&mut self) -> io::Result<Response> {
        let head = self.read_head()?;
        let mut body = Vec::new();
        while let Some(piece) = self.read_piece()? {
            body.extend_from_slice(&piece);
        }
        Ok(Response { head, body })
    }

    /// Sends a request and reads the whole answer.
    pub fn ask(&mut self, request: &Request) -> io::Result<Response> {
        self.send(request)?;
        self.read_response()
    }

    /// True once the server has closed its side.
    pub fn at_end(&mut self) -> bool {
        matches!(self.socket.fill_buf(), Ok(bytes) if bytes.is_empty())
    }

    fn read_one_head(&mut self) -> io::Result<Head> {
        let status_line = self.read_line()?;
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| malformed(&status_line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Head { status, headers });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.socket.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => String::from_utf8(text.to_vec()).map_err(io::Error::other),
            None if line.is_empty() => Err(cut_short("an answer")),
            None => Err(malformed(&String::from_utf8_lossy(&line))),
        }
    }

    fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.read_line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| malformed(&line))?;
        if size == 0 {
            while !self.read_line()?.is_empty() {}
            self.framing = Framing::Done;
            return Ok(None);
        }
        let mut chunk = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.socket.read_exact(&mut chunk)?;
        match self.read_line()? {
            end if end.is_empty() => Ok(Some(chunk)),
            other => Err(malformed(&other)),
        }
    }

    fn take_up_to(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let ready = self.socket.fill_buf()?;
        let count = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(ready.len());
        let piece = ready[..count].to_vec();
        self.socket.consume(count);
        Ok(piece)
    }
}

fn framing_of(head: &Head) -> Framing {
    let chunked = head
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        return Framing::Chunked;
    }
    match head.header("content-length").map(str::parse) {
        Some(Ok(length)) => Framing::Length(length),
        _ if matches!(head.status, 204 | 304) => Framing::Done,
        _ => Framing::UntilClose,
    }
}

fn cut_short(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the server closed the connection in the middle of {what}"),
    )
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a line of HTTP/1.1: {line:?}"),
    )
}

/// A server's address, with a new connection for each request.
#[derive(Clone, Debug)]
pub struct Client {
    host: String,
}

impl Client {
    /// For a base address such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        let host = base
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("{base} does not start with http://"))
            .trim_end_matches('/');
        Self {
            host: host.to_owned(),
        }
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Opens a connection.
    pub fn connect(&self) -> Connection {
        Connection::open(&self.host)
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.host))
    }

    /// Sends a request and reads the whole answer, without following
    /// redirects.
    pub fn ask(&self, request: &Request) -> Response {
        self.try_ask(request)
            .unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.target))
    }

    /// As [`Client::ask`], for a server that may not answer.
    pub fn try_ask(&self, request: &Request) -> io::Result<Response> {
        Connection::open(&self.host)?.ask(request)
    }

    /// Follows one redirect the way the known clients do: same method, same
    /// headers, same body.
    pub fn ask_following(&self, request: &Request) -> Response {
        let answer = self.ask(request);
        let Some(location) = answer.header("location") else {
            return answer;
        };
        assert_eq!(answer.status(), 308, "{answer:?}");
        let mut again = request.clone();
        again.target = location.to_owned();
        self.ask(&again)
    }

    /// Sends bytes as they are and gives whatever comes until the server
    /// closes.
    pub fn ask_raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut connection = self.connect();
        connection.send_raw(bytes).expect("the server takes bytes");
        let mut answer = Vec::new();
        connection
            .socket
            .read_to_end(&mut answer)
            .expect("the server answers and closes");
        answer
    }
}
