//! Parses HTTP/1.1 responses piece by piece, and the events in their bodies.
//!
//! The load generator shares the machine with the server that it measures, so
//! this does the minimum that tells a right response from a wrong one, in reused
//! buffers. What it does not support (trailers, a body that ends with the
//! connection) is an error.

use httparse::{EMPTY_HEADER, Status};

/// The maximum number of headers.
const HEADERS: usize = 32;

/// Reads the responses of a connection in sequence.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    raw: Vec<u8>,
    at: usize,
    state: ReaderState,
    status: u16,
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum ReaderState {
    #[default]
    Head,
    /// A body with a length, and the number of missing bytes.
    Rest(usize),
    ChunkSize,
    /// A chunk, and the number of its missing bytes before the line end.
    Chunk(usize),
    LastLine,
    Whole,
}

impl ResponseReader {
    /// Discards the last response.
    pub(crate) fn begin(&mut self) {
        self.raw.clear();
        self.body.clear();
        self.at = 0;
        self.state = ReaderState::Head;
    }

    /// Parses received bytes; returns true once the response is complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<bool, String> {
        self.raw.extend_from_slice(bytes);
        while self.step()? {}
        match self.state {
            ReaderState::Whole if self.at < self.raw.len() => {
                Err("bytes after the response".to_owned())
            }
            ReaderState::Whole => Ok(true),
            _ => Ok(false),
        }
    }

    /// Returns the status of a complete response.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Returns the decoded body of a complete response.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Parses one element; returns false if it has not arrived yet.
    fn step(&mut self) -> Result<bool, String> {
        let rest = &self.raw[self.at..];
        match self.state {
            ReaderState::Head => self.head(),
            ReaderState::Rest(0) => self.turn(0, ReaderState::Whole),
            ReaderState::Rest(missing) => {
                let taken = missing.min(rest.len());
                self.body.extend_from_slice(&rest[..taken]);
                self.turn(taken, ReaderState::Rest(missing - taken))?;
                Ok(taken > 0)
            }
            ReaderState::ChunkSize => match httparse::parse_chunk_size(rest) {
                Ok(Status::Partial) => Ok(false),
                Ok(Status::Complete((taken, 0))) => self.turn(taken, ReaderState::LastLine),
                Ok(Status::Complete((taken, size))) => {
                    let size = usize::try_from(size).map_err(|error| error.to_string())?;
                    self.turn(taken, ReaderState::Chunk(size))
                }
                Err(_) => Err("a chunk without a size".to_owned()),
            },
            ReaderState::Chunk(0) => match rest {
                [] | [b'\r'] => Ok(false),
                [b'\r', b'\n', ..] => self.turn(2, ReaderState::ChunkSize),
                _ => Err("a chunk longer than its size".to_owned()),
            },
            ReaderState::Chunk(missing) => {
                let taken = missing.min(rest.len());
                self.body.extend_from_slice(&rest[..taken]);
                self.turn(taken, ReaderState::Chunk(missing - taken))?;
                Ok(taken > 0)
            }
            ReaderState::LastLine => match rest {
                [] | [b'\r'] => Ok(false),
                [b'\r', b'\n', ..] => self.turn(2, ReaderState::Whole),
                _ => Err("trailers after the body".to_owned()),
            },
            ReaderState::Whole => Ok(false),
        }
    }

    /// Consumes `taken` bytes and changes the state to `next`.
    fn turn(&mut self, taken: usize, next: ReaderState) -> Result<bool, String> {
        self.at += taken;
        self.state = next;
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, String> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(&self.raw).map_err(|error| error.to_string())?;
        let Status::Complete(length) = parsed else {
            return Ok(false);
        };
        let mut next = None;
        for header in head.headers.iter() {
            if header.name.eq_ignore_ascii_case("transfer-encoding") {
                next = Some(ReaderState::ChunkSize);
            } else if header.name.eq_ignore_ascii_case("content-length") {
                let length = std::str::from_utf8(header.value)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or("an invalid content length")?;
                next = next.or(Some(ReaderState::Rest(length)));
            }
        }
        self.status = head.code.unwrap_or_default();
        let next = next.ok_or("a body without a length")?;
        self.turn(length, next)
    }
}

/// Returns the events of a body as name and data. Comments are skipped; an event
/// without exactly one name and one data line is an error.
pub(crate) fn events(body: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), String>> {
    let mut lines = body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    std::iter::from_fn(move || {
        let name = lines.find(|line| !line.is_empty() && !line.starts_with(b":"))?;
        let (data, end) = (lines.next(), lines.next());
        let name = name.strip_prefix(b"event: ");
        let data = data.and_then(|line| line.strip_prefix(b"data: "));
        match (name, data, end) {
            (Some(name), Some(data), Some(b"")) => Some(Ok((name, data))),
            _ => Some(Err("an event without one name and one data line".to_owned())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{ResponseReader, events};

    /// Parses a response at once and byte by byte.
    fn check(response_reader: &str, expected: Result<(u16, &str), &str>) {
        let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut reader = ResponseReader::default();
            reader.begin();
            let mut whole = false;
            for piece in pieces {
                whole = reader.push(piece)?;
            }
            match whole {
                true => Ok((reader.status(), reader.body().to_vec())),
                false => Err("not whole".to_owned()),
            }
        };
        let expected = expected
            .map(|(status, body)| (status, body.as_bytes().to_vec()))
            .map_err(str::to_owned);
        assert_eq!(
            read(&mut std::iter::once(response_reader.as_bytes())),
            expected
        );
        assert_eq!(read(&mut response_reader.as_bytes().chunks(1)), expected);
    }

    #[test]
    fn bodies_have_a_length_or_chunks() {
        let ok = "HTTP/1.1 200 OK\r\n";
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        check(&format!("{ok}content-length: 0\r\n\r\n"), Ok((200, "")));
        check(&format!("{ok}Content-Length: 2\r\n\r\nab"), Ok((200, "ab")));
        check(
            &format!("{ok}{chunked}3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"),
            Ok((200, "abc0123456789")),
        );
        check(&format!("{ok}{chunked}3\r\nabc\r\n"), Err("not whole"));
        check(
            &format!("{ok}{chunked}1\r\nabc\r\n"),
            Err("a chunk longer than its size"),
        );
        check(
            "HTTP/1.1 404 Not Found\r\ncontent-length: 1\r\n\r\nx",
            Ok((404, "x")),
        );
        check(&format!("{ok}\r\n"), Err("a body without a length"));
    }

    #[test]
    fn responses_are_read_in_sequence() {
        let mut reader = ResponseReader::default();
        for body in ["one", "two"] {
            reader.begin();
            let response_reader = format!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{body}");
            assert_eq!(reader.push(response_reader.as_bytes()), Ok(true));
            assert_eq!(reader.body(), body.as_bytes());
        }
    }

    #[test]
    fn events_have_a_name_and_a_line() {
        let message = |body: &str| -> Vec<Result<(String, String), String>> {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            events(body.as_bytes())
                .map(|event| event.map(|(name, data)| (text(name), text(data))))
                .collect()
        };
        let pair = |name: &str, data: &str| Ok((name.to_owned(), data.to_owned()));
        let expected = [pair("task_id", "1"), pair("end", "{}")];
        let crlf = "event: task_id\r\ndata: 1\r\n\r\n: ping\r\n\r\nevent: end\r\ndata: {}\r\n\r\n";
        assert_eq!(message(crlf), expected);
        assert_eq!(message(&crlf.replace('\r', "")), expected);
        assert!(message("event: end\r\ndata: {}")[0].is_err(), "cut off");
        assert!(message("event: end\ndata: a\ndata: b\n\n")[0].is_err());
    }
}
