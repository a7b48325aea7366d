//! Watches where requests begin and end, so that there is one reading of them.
//!
//! Somebody in front of this server, such as a proxy, may take two requests for
//! one, or one for two, where the framing can be read in several ways. hyper
//! refuses much of that, but forgives some without telling: a length beside a
//! transfer encoding, a length said twice, a bare line feed, codings before
//! `chunked`. So the bytes are looked at before hyper gets them. What is
//! doubtful is marked; nothing behind it reaches hyper, and the request is
//! answered 400 as the last one of its connection.
//!
//! Chunks are not followed: a request that comes in chunks is the last one of
//! its connection too, so that nothing depends on where they end.
//!
//! The watch is stricter than hyper and never laxer: where it takes a head for
//! whole, so does hyper, or hyper refuses it.

use hyper::Version;
use hyper::header::{HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;

/// What makes a request doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// A line of the head ends without a carriage return.
    LineEnd,
    /// A line of the head goes on in the next.
    Fold,
    /// A header's name does not end where its colon is.
    Name,
    /// There is a length and a transfer encoding.
    LengthAndEncoding,
    /// There are two lengths, the same or not.
    Lengths,
    /// A length is no number.
    Length,
    /// The transfer encoding is not `chunked` alone.
    Encoding,
    /// There is no host, or more than one.
    Hosts,
    /// The target is an authority, or names another host than the header.
    Target,
}

impl Doubt {
    /// What the client is told.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Doubt::LineEnd => "a line of the request's head does not end with CRLF",
            Doubt::Fold => "a line of the request's head is folded",
            Doubt::Name => "a header's name is not followed by its colon",
            Doubt::LengthAndEncoding => {
                "the request has both a Content-Length and a Transfer-Encoding"
            }
            Doubt::Lengths => "the request has more than one Content-Length",
            Doubt::Length => "the request's Content-Length is no number",
            Doubt::Encoding => "the request's Transfer-Encoding is not chunked, and that once",
            Doubt::Hosts => "the request does not have exactly one Host",
            Doubt::Target => "the request's target is neither a path nor an address of its Host",
        }
    }
}

/// What hyper may see of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// So many of them.
    pub(super) keep: usize,
    /// The doubt in the head that has just ended, and the number of its request.
    pub(super) doubt: Option<(u64, Doubt)>,
}

/// The watch over one connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    at: At,
    /// The heads that have ended.
    heads: u64,
    head: Head,
    /// The beginning of a line whose end has not come. hyper's limit of a head
    /// is its limit too: it reads no further.
    line: Vec<u8>,
}

#[derive(Debug, Default)]
enum At {
    #[default]
    Head,
    /// Bytes of a body that are still to come.
    Body(u64),
    /// The last request: whatever comes is its body.
    Last,
    /// Behind a doubtful head.
    Shut,
}

/// What the lines of a head have said.
#[derive(Debug, Default)]
struct Head {
    begun: bool,
    length: Option<u64>,
    chunked: bool,
    doubt: Option<Doubt>,
}

impl Watch {
    /// Looks at bytes as they come.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Seen {
        let mut rest = bytes;
        let mut doubt = None;
        loop {
            match &mut self.at {
                At::Last => rest = &[],
                At::Shut => break,
                At::Body(left) => {
                    let length = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(*left);
                    *left -= length;
                    let length = usize::try_from(length).unwrap_or(rest.len());
                    rest = rest.split_at_checked(length).map_or(&[], |(_, rest)| rest);
                    if *left == 0 {
                        self.at = At::Head;
                    }
                }
                At::Head => {
                    let end = rest.iter().position(|b| *b == b'\n');
                    let Some((line, after)) = end.and_then(|end| rest.split_at_checked(end)) else {
                        self.line.extend_from_slice(rest);
                        rest = &[];
                        break;
                    };
                    rest = after.get(1..).unwrap_or_default();
                    let ended = if self.line.is_empty() {
                        self.head.line(line)
                    } else {
                        let mut whole = std::mem::take(&mut self.line);
                        whole.extend_from_slice(line);
                        self.head.line(&whole)
                    };
                    if ended {
                        doubt = self.end_head();
                    }
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        Seen {
            keep: bytes.len() - rest.len(),
            doubt,
        }
    }

    /// Whether nothing more is to be read.
    pub(super) fn is_shut(&self) -> bool {
        matches!(self.at, At::Shut)
    }

    fn end_head(&mut self) -> Option<(u64, Doubt)> {
        self.heads += 1;
        let head = std::mem::take(&mut self.head);
        if let Some(doubt) = head.doubt {
            self.at = At::Shut;
            return Some((self.heads, doubt));
        }
        self.at = match head.length {
            _ if head.chunked => At::Last,
            None | Some(0) => At::Head,
            Some(length) => At::Body(length),
        };
        None
    }
}

impl Head {
    /// Takes a line without its line feed; says whether it ends the head.
    fn line(&mut self, line: &[u8]) -> bool {
        let line = match line.strip_suffix(b"\r") {
            Some(line) => line,
            None => {
                self.doubt(Doubt::LineEnd);
                line
            }
        };
        if line.is_empty() {
            // Empty lines before a request are no part of it.
            return self.begun;
        }
        if !self.begun {
            self.begun = true;
            return false;
        }
        if line.first().is_some_and(u8::is_ascii_whitespace) {
            self.doubt(Doubt::Fold);
        }
        let colon = line.iter().position(|b| *b == b':');
        match colon.and_then(|colon| line.split_at_checked(colon)) {
            Some((name, _)) if name.last().is_none_or(u8::is_ascii_whitespace) => {
                self.doubt(Doubt::Name);
            }
            Some((name, value)) => self.field(name, value.get(1..).unwrap_or_default()),
            None => self.doubt(Doubt::Name),
        }
        false
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        // By the length first: nearly every header is none of the two.
        if name.len() == 14 && name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                self.doubt(Doubt::Lengths);
            }
            if self.chunked {
                self.doubt(Doubt::LengthAndEncoding);
            }
            match number(value.trim_ascii()) {
                Some(length) => self.length = Some(length),
                None => self.doubt(Doubt::Length),
            }
        } else if name.len() == 17 && name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.length.is_some() {
                self.doubt(Doubt::LengthAndEncoding);
            }
            if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                self.doubt(Doubt::Encoding);
            }
            self.chunked = true;
        }
    }

    /// The first doubt is the one that is told.
    fn doubt(&mut self, doubt: Doubt) {
        self.doubt.get_or_insert(doubt);
    }
}

/// Digits alone: neither a sign nor a list.
fn number(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What is doubtful in a head as hyper read it.
pub(super) fn doubt(head: &Parts) -> Option<Doubt> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && head.version == Version::HTTP_11) {
        return Some(Doubt::Hosts);
    }
    let named = head.uri.authority()?;
    let same = host.is_some_and(|host| {
        let named = named.as_str().as_bytes();
        head.uri.scheme().is_some() && host.as_bytes().eq_ignore_ascii_case(named)
    });
    (!same).then_some(Doubt::Target)
}

/// Whether a request is the last of its connection for the way it is framed.
pub(super) fn is_last(head: &Parts) -> bool {
    head.headers.contains_key(TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /health HTTP/1.1\r\nhost: t\r\n\r\n";

    /// How many bytes pass, and the doubt, whole and cut at every place.
    fn see(wire: &str) -> (usize, Option<(u64, Doubt)>) {
        let bytes = wire.as_bytes();
        let whole = Watch::default().see(bytes);
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let mut watch = Watch::default();
            let one = watch.see(first);
            let two = watch.see(second);
            let both = (one.keep + two.keep, one.doubt.or(two.doubt));
            assert_eq!(both, (whole.keep, whole.doubt), "{wire:?} cut at {cut}");
        }
        (whole.keep, whole.doubt)
    }

    #[test]
    fn clear_requests_pass_whole_one_after_another() {
        for request in [
            GOOD,
            "\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: t\r\nContent-Length: 5\r\n\r\na\nb\r\n",
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length:\t0 \r\n\r\n",
            "POST / HTTP/1.1\r\nx-content-length: 5\r\ncontent-lengthy: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: t\r\nx:\r\n\r\n",
        ] {
            let wire = format!("{request}{request}{GOOD}");
            assert_eq!(see(&wire), (wire.len(), None), "{request:?}");
        }
    }

    #[test]
    fn nothing_behind_a_doubtful_head_passes() {
        use Doubt::*;
        for (fields, expected) in [
            (
                "content-length: 5\r\ntransfer-encoding: chunked",
                LengthAndEncoding,
            ),
            (
                "transfer-encoding: chunked\r\ncontent-length: 5",
                LengthAndEncoding,
            ),
            ("Content-Length: 5\r\ncontent-length: 5", Lengths),
            ("content-length: 5\r\ncontent-length: 6", Lengths),
            ("content-length: 5, 5", Length),
            ("content-length: -1", Length),
            ("content-length: +5", Length),
            ("content-length: 0x5", Length),
            ("content-length: 5 5", Length),
            ("content-length:", Length),
            ("content-length: 18446744073709551616", Length),
            ("transfer-encoding: xchunked", Encoding),
            ("transfer-encoding: gzip, chunked", Encoding),
            ("transfer-encoding: chunked, chunked", Encoding),
            ("transfer-encoding: identity", Encoding),
            ("transfer-encoding: \"chunked\"", Encoding),
            ("transfer-encoding: \x0bchunked", Encoding),
            ("transfer-encoding:", Encoding),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
                Encoding,
            ),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: x",
                Encoding,
            ),
            ("x: y\n", LineEnd),
            ("content-length: 5\r\n x", Fold),
            ("x: y\r\n\tcontent-length: 5", Fold),
            ("content-length : 5", Name),
            ("transfer-encoding\t: chunked", Name),
            (": x", Name),
            ("x", Name),
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
                assert_eq!(see(&wire), (passed, Some((number, expected))), "{wire:?}");
            }
        }
    }

    #[test]
    fn a_head_that_ends_with_bare_line_feeds_ends_there() {
        let head = "GET / HTTP/1.1\nhost: t\n\n";
        let wire = format!("{head}{GOOD}");
        assert_eq!(see(&wire), (head.len(), Some((1, Doubt::LineEnd))));
    }

    #[test]
    fn what_follows_chunks_is_theirs() {
        let head = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: Chunked\r\n\r\n";
        let wire = format!("{head}0\r\n\r\nPOST /x HTTP/1.1\r\ncontent-length: x\r\n\r\n");
        assert_eq!(see(&wire), (wire.len(), None));
    }
}
