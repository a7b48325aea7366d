//! Finds where requests begin and end, and refuses those with ambiguous framing.
//!
//! A proxy in front of this server may take two requests for one, or one for two,
//! if the framing has several readings (request smuggling). hyper refuses much of
//! that, but silently accepts some: a length beside a transfer encoding, a
//! repeated length, a bare line feed, codings before `chunked`. Therefore the
//! bytes are inspected before hyper reads them. An ambiguous request is marked
//! and answered with 400, and nothing behind it reaches hyper.
//!
//! Chunks are not parsed: a chunked request is the last of its connection, so
//! that nothing depends on where the chunks end.
//!
//! The inspection is never laxer than hyper: where it takes a head for complete,
//! hyper does too, or refuses it. It is written by hand because the HTTP parsers
//! of the ecosystem are meant to accept these requests, not to detect them.

use hyper::Version;
use hyper::header::{HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;

/// Why the framing of a request is ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramingError {
    /// A line of the head ends without a carriage return.
    BareLineFeed,
    /// A line of the head continues on the next.
    FoldedLine,
    /// A header name does not end at its colon.
    InvalidName,
    /// There are both a length and a transfer encoding.
    LengthAndEncoding,
    /// There are two lengths, equal or not.
    RepeatedLength,
    /// The length is not a number.
    InvalidLength,
    /// The transfer encoding is not exactly `chunked`.
    InvalidEncoding,
    /// There is no host, or more than one.
    HostCount,
    /// The target is an authority, or names another host than the header.
    InvalidTarget,
}

impl FramingError {
    /// The text of the response.
    pub(crate) fn message(self) -> &'static str {
        match self {
            FramingError::BareLineFeed => "a line of the request's head does not end with CRLF",
            FramingError::FoldedLine => "a line of the request's head is folded",
            FramingError::InvalidName => "a header's name is not followed by its colon",
            FramingError::LengthAndEncoding => {
                "the request has both a Content-Length and a Transfer-Encoding"
            }
            FramingError::RepeatedLength => "the request has more than one Content-Length",
            FramingError::InvalidLength => "the request's Content-Length is no number",
            FramingError::InvalidEncoding => {
                "the request's Transfer-Encoding is not chunked, and that once"
            }
            FramingError::HostCount => "the request does not have exactly one Host",
            FramingError::InvalidTarget => {
                "the request's target is neither a path nor an address of its Host"
            }
        }
    }
}

/// The result of inspecting some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// The number of bytes that hyper may read.
    pub(crate) passed: usize,
    /// The error of the head that has just ended, with the request's number.
    pub(crate) error: Option<(u64, FramingError)>,
}

/// Inspects the bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct FramingValidator {
    position: Position,
    /// The number of complete heads.
    heads: u64,
    head: HeadFields,
    /// The beginning of an incomplete line. hyper's limit for a head bounds it:
    /// hyper reads no further.
    line: Vec<u8>,
}

#[derive(Debug, Default)]
enum Position {
    #[default]
    Head,
    /// In a body of which this many bytes are missing.
    Body(u64),
    /// In the last request: all that follows is its body.
    LastBody,
    /// Behind an ambiguous head.
    Closed,
}

/// The fields of a head that matter for framing.
#[derive(Debug, Default)]
struct HeadFields {
    begun: bool,
    length: Option<u64>,
    chunked: bool,
    error: Option<FramingError>,
}

impl FramingValidator {
    /// Inspects the next bytes of the connection.
    pub(crate) fn inspect(&mut self, bytes: &[u8]) -> Inspected {
        let mut rest = bytes;
        let mut error = None;
        loop {
            match &mut self.position {
                Position::LastBody => rest = &[],
                Position::Closed => break,
                Position::Body(missing) => {
                    let length = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(*missing);
                    *missing -= length;
                    let length = usize::try_from(length).unwrap_or(rest.len());
                    rest = rest.split_at_checked(length).map_or(&[], |(_, rest)| rest);
                    if *missing == 0 {
                        self.position = Position::Head;
                    }
                }
                Position::Head => {
                    let end = rest.iter().position(|b| *b == b'\n');
                    let Some((line, after)) = end.and_then(|end| rest.split_at_checked(end)) else {
                        self.line.extend_from_slice(rest);
                        rest = &[];
                        break;
                    };
                    rest = after.get(1..).unwrap_or_default();
                    let complete = if self.line.is_empty() {
                        self.head.read_line(line)
                    } else {
                        let mut whole = std::mem::take(&mut self.line);
                        whole.extend_from_slice(line);
                        self.head.read_line(&whole)
                    };
                    if complete {
                        error = self.end_head();
                    }
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        Inspected {
            passed: bytes.len() - rest.len(),
            error,
        }
    }

    /// Returns whether nothing more may be read.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.position, Position::Closed)
    }

    fn end_head(&mut self) -> Option<(u64, FramingError)> {
        self.heads += 1;
        let head = std::mem::take(&mut self.head);
        if let Some(error) = head.error {
            self.position = Position::Closed;
            return Some((self.heads, error));
        }
        self.position = match head.length {
            _ if head.chunked => Position::LastBody,
            None | Some(0) => Position::Head,
            Some(length) => Position::Body(length),
        };
        None
    }
}

impl HeadFields {
    /// Reads a line without its line feed; returns whether it ends the head.
    fn read_line(&mut self, line: &[u8]) -> bool {
        let line = match line.strip_suffix(b"\r") {
            Some(line) => line,
            None => {
                self.fail(FramingError::BareLineFeed);
                line
            }
        };
        if line.is_empty() {
            // Empty lines before a request do not belong to it.
            return self.begun;
        }
        if !self.begun {
            self.begun = true;
            return false;
        }
        if line.first().is_some_and(u8::is_ascii_whitespace) {
            self.fail(FramingError::FoldedLine);
        }
        let colon = line.iter().position(|b| *b == b':');
        match colon.and_then(|colon| line.split_at_checked(colon)) {
            Some((name, _)) if name.last().is_none_or(u8::is_ascii_whitespace) => {
                self.fail(FramingError::InvalidName);
            }
            Some((name, value)) => self.read_field(name, value.get(1..).unwrap_or_default()),
            None => self.fail(FramingError::InvalidName),
        }
        false
    }

    fn read_field(&mut self, name: &[u8], value: &[u8]) {
        // Compares the length first: nearly every header is neither of the two.
        if name.len() == 14 && name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                self.fail(FramingError::RepeatedLength);
            }
            if self.chunked {
                self.fail(FramingError::LengthAndEncoding);
            }
            match parse_length(value.trim_ascii()) {
                Some(length) => self.length = Some(length),
                None => self.fail(FramingError::InvalidLength),
            }
        } else if name.len() == 17 && name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.length.is_some() {
                self.fail(FramingError::LengthAndEncoding);
            }
            if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                self.fail(FramingError::InvalidEncoding);
            }
            self.chunked = true;
        }
    }

    /// Keeps the first error.
    fn fail(&mut self, error: FramingError) {
        self.error.get_or_insert(error);
    }
}

/// Parses digits; a sign or a list is invalid.
fn parse_length(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Returns what is ambiguous in a head that hyper has parsed.
pub(crate) fn check_head(head: &Parts) -> Option<FramingError> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && head.version == Version::HTTP_11) {
        return Some(FramingError::HostCount);
    }
    let named = head.uri.authority()?;
    let same = host.is_some_and(|host| {
        let named = named.as_str().as_bytes();
        head.uri.scheme().is_some() && host.as_bytes().eq_ignore_ascii_case(named)
    });
    (!same).then_some(FramingError::InvalidTarget)
}

/// Returns whether the framing of a request makes it the last of its connection.
pub(crate) fn is_last(head: &Parts) -> bool {
    head.headers.contains_key(TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /health HTTP/1.1\r\nhost: t\r\n\r\n";

    /// Returns how many bytes pass and the error; checks that splitting the bytes changes neither.
    fn inspect(wire: &str) -> (usize, Option<(u64, FramingError)>) {
        let bytes = wire.as_bytes();
        let whole = FramingValidator::default().inspect(bytes);
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let mut validator = FramingValidator::default();
            let one = validator.inspect(first);
            let two = validator.inspect(second);
            let both = (one.passed + two.passed, one.error.or(two.error));
            assert_eq!(both, (whole.passed, whole.error), "{wire:?} cut at {cut}");
        }
        (whole.passed, whole.error)
    }

    #[test]
    fn unambiguous_requests_pass_in_sequence() {
        for request in [
            GOOD,
            "\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: t\r\nContent-Length: 5\r\n\r\na\nb\r\n",
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length:\t0 \r\n\r\n",
            "POST / HTTP/1.1\r\nx-content-length: 5\r\ncontent-lengthy: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: t\r\nx:\r\n\r\n",
        ] {
            let wire = format!("{request}{request}{GOOD}");
            assert_eq!(inspect(&wire), (wire.len(), None), "{request:?}");
        }
    }

    #[test]
    fn nothing_passes_behind_an_ambiguous_head() {
        use FramingError::*;
        for (fields, expected) in [
            (
                "content-length: 5\r\ntransfer-encoding: chunked",
                LengthAndEncoding,
            ),
            (
                "transfer-encoding: chunked\r\ncontent-length: 5",
                LengthAndEncoding,
            ),
            ("Content-Length: 5\r\ncontent-length: 5", RepeatedLength),
            ("content-length: 5\r\ncontent-length: 6", RepeatedLength),
            ("content-length: 5, 5", InvalidLength),
            ("content-length: -1", InvalidLength),
            ("content-length: +5", InvalidLength),
            ("content-length: 0x5", InvalidLength),
            ("content-length: 5 5", InvalidLength),
            ("content-length:", InvalidLength),
            ("content-length: 18446744073709551616", InvalidLength),
            ("transfer-encoding: xchunked", InvalidEncoding),
            ("transfer-encoding: gzip, chunked", InvalidEncoding),
            ("transfer-encoding: chunked, chunked", InvalidEncoding),
            ("transfer-encoding: identity", InvalidEncoding),
            ("transfer-encoding: \"chunked\"", InvalidEncoding),
            ("transfer-encoding: \x0bchunked", InvalidEncoding),
            ("transfer-encoding:", InvalidEncoding),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
                InvalidEncoding,
            ),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: x",
                InvalidEncoding,
            ),
            ("x: y\n", BareLineFeed),
            ("content-length: 5\r\n x", FoldedLine),
            ("x: y\r\n\tcontent-length: 5", FoldedLine),
            ("content-length : 5", InvalidName),
            ("transfer-encoding\t: chunked", InvalidName),
            (": x", InvalidName),
            ("x", InvalidName),
        ] {
            let fields = match fields.strip_suffix('\n') {
                Some(fields) => format!("{fields}\n"),
                None => format!("{fields}\r\n"),
            };
            let head = format!("POST / HTTP/1.1\r\nhost: t\r\n{fields}\r\n");
            for before in ["", GOOD] {
                let wire = format!("{before}{head}{GOOD}");
                let number = if before.is_empty() { 1 } else { 2 };
                let passed = before.len() + head.len();
                assert_eq!(
                    inspect(&wire),
                    (passed, Some((number, expected))),
                    "{wire:?}"
                );
            }
        }
    }

    #[test]
    fn bare_line_feeds_end_a_head() {
        let head = "GET / HTTP/1.1\nhost: t\n\n";
        let wire = format!("{head}{GOOD}");
        assert_eq!(
            inspect(&wire),
            (head.len(), Some((1, FramingError::BareLineFeed)))
        );
    }

    #[test]
    fn everything_after_a_chunked_head_is_its_body() {
        let head = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: Chunked\r\n\r\n";
        let wire = format!("{head}0\r\n\r\nPOST /x HTTP/1.1\r\ncontent-length: x\r\n\r\n");
        assert_eq!(inspect(&wire), (wire.len(), None));
    }
}
