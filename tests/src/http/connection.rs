//! One socket: writes requests, reads responses piece by piece.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::message::{HttpRequest, HttpResponse, ResponseHead};

/// Longer than anything a test waits for, so that a server that never responds
/// fails the test instead of blocking it.
const TIMEOUT: Duration = Duration::from_secs(90);

/// How the end of a body is found.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Done,
    Length(u64),
    Chunked,
    UntilClose,
}

/// One socket. After [`HttpConnection::read_head`], call
/// [`HttpConnection::read_piece`] until it returns none; then the next request
/// may be sent.
pub struct HttpConnection {
    socket: BufReader<TcpStream>,
    host: String,
    extra_headers: String,
    framing: Framing,
    /// The response to a HEAD has the headers of a body and no body.
    is_head: bool,
}

impl HttpConnection {
    /// Connects to `host:port`.
    pub fn open(host: &str) -> io::Result<Self> {
        let address = host
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::other(format!("{host} has no address")))?;
        let socket = TcpStream::connect_timeout(&address, TIMEOUT)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self {
            socket: BufReader::new(socket),
            host: host.to_owned(),
            extra_headers: String::new(),
            framing: Framing::Done,
            is_head: false,
        })
    }

    /// Adds header lines, each with its line end, to every request.
    pub(super) fn with_headers(mut self, headers: &str) -> Self {
        headers.clone_into(&mut self.extra_headers);
        self
    }

    /// Changes how long a read waits before it fails.
    pub fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.get_ref().set_read_timeout(Some(timeout))
    }

    /// Sends bytes unchanged.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.get_mut().write_all(bytes)
    }

    /// Sends a request.
    pub fn send(&mut self, request: &HttpRequest) -> io::Result<()> {
        let bytes = request.to_bytes(&self.host, &self.extra_headers);
        self.is_head = request.method == "HEAD";
        self.send_raw(&bytes)
    }

    /// Reads status and headers of the next response, past interim responses.
    pub fn read_head(&mut self) -> io::Result<ResponseHead> {
        loop {
            let head = self.read_one_head()?;
            if head.status >= 200 {
                self.framing = if self.is_head {
                    Framing::Done
                } else {
                    framing_of(&head)
                };
                return Ok(head);
            }
        }
    }

    /// Reads the next piece of the body as it arrives; none at the end.
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

    /// Reads a whole response.
    pub fn read_response(&mut self) -> io::Result<HttpResponse> {
        let head = self.read_head()?;
        let mut body = Vec::new();
        while let Some(piece) = self.read_piece()? {
            body.extend_from_slice(&piece);
        }
        Ok(HttpResponse { head, body })
    }

    /// Reads everything until the server closes.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.socket.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends a request and reads the whole response.
    pub fn fetch(&mut self, request: &HttpRequest) -> io::Result<HttpResponse> {
        self.send(request)?;
        self.read_response()
    }

    fn read_one_head(&mut self) -> io::Result<ResponseHead> {
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
                return Ok(ResponseHead { status, headers });
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
            None if line.is_empty() => Err(cut_short("a response")),
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

fn framing_of(head: &ResponseHead) -> Framing {
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
