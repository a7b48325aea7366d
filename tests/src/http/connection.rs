//! One socket: writes requests, reads answers piece by piece.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::message::{Head, Request, Response};

/// Longer than anything a test waits for, so that a server which never
/// answers fails the test and does not hang it.
const PATIENCE: Duration = Duration::from_secs(90);

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
    also: String,
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
            also: String::new(),
            framing: Framing::Done,
            asked_head: false,
        })
    }

    /// Adds headers, each with its line end, to every request.
    pub(super) fn with_headers(mut self, headers: &str) -> Self {
        headers.clone_into(&mut self.also);
        self
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
        let bytes = request.to_bytes(&self.host, &self.also);
        self.asked_head = request.method == "HEAD";
        self.send_raw(&bytes)
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

    /// Reads whatever comes until the server closes.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.socket.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends a request and reads the whole answer.
    pub fn ask(&mut self, request: &Request) -> io::Result<Response> {
        self.send(request)?;
        self.read_response()
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
