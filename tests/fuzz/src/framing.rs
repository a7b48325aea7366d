//! Where requests start and end on a connection.
//!
//! The check must give the same result for any split of the bytes into reads,
//! and must agree with an independent parser (`httparse`, with lengths by the
//! RFC) about the start of each request, unless it refuses the framing.

use orwd_ors::fuzzing::FramingProbe;

use crate::byte_reader::ByteReader;

/// The result of checking a connection.
#[derive(Debug, PartialEq)]
struct FramingTrace {
    passed: usize,
    error: Option<(u64, &'static str)>,
    is_closed: bool,
}

fn trace(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> FramingTrace {
    let mut probe = FramingProbe::default();
    let mut trace = FramingTrace {
        passed: 0,
        error: None,
        is_closed: false,
    };
    let mut rest = bytes;
    let mut pieces = pieces.into_iter();
    while !rest.is_empty() {
        let length = pieces.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(length);
        let (passed, error) = probe.inspect(piece);
        assert!(passed <= piece.len(), "it passed more bytes than it got");
        trace.passed += passed;
        if error.is_some() {
            assert_eq!(trace.error, None, "a second error after the first");
            trace.error = error;
        }
        trace.is_closed = probe.is_closed();
        assert_eq!(trace.is_closed, trace.error.is_some());
        if trace.is_closed {
            let (passed, error) = probe.inspect(after);
            assert_eq!((passed, error), (0, None), "bytes passed after an error");
            break;
        }
        assert_eq!(passed, piece.len(), "bytes are missing without an error");
        rest = after;
    }
    trace
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = ByteReader::new(bytes);
    let step = usize::from(input.byte());
    let bytes = input.rest();
    let whole = trace(bytes, []);
    assert_eq!(trace(bytes, std::iter::repeat(1)), whole);
    assert_eq!(trace(bytes, (0..).map(|n| 1 + (n * 7 + step) % 19)), whole);

    let mut at = 0;
    let mut requests = 0;
    while let Some(request) = read(&bytes[at..]) {
        requests += 1;
        let end = at + request.head;
        let until = trace(&bytes[..end], []);
        if let Some((number, _)) = until.error {
            assert!(
                number <= requests,
                "an error in a head that has not arrived"
            );
            return;
        }
        assert!(!request.is_ambiguous, "no error for {:?}", &bytes[at..end]);
        let Some(length) = request.length else {
            return;
        };
        let Some(next) = end.checked_add(length).filter(|next| *next <= bytes.len()) else {
            return;
        };
        begins_at(&bytes[..next], requests);
        at = next;
    }
}

/// Asserts that the next byte starts a request: an invalid head there is reported
/// as the next request.
fn begins_at(before: &[u8], requests: u64) {
    let mut bytes = before.to_vec();
    bytes.extend_from_slice(b"GET / HTTP/1.1\r\nA : b\r\n\r\n");
    let error = trace(&bytes, []).error;
    assert_eq!(
        error.map(|(number, _)| number),
        Some(requests + 1),
        "another request was seen after {before:?}"
    );
}

/// A request as the independent parser sees it.
struct ParsedRequest {
    /// The length of its head.
    head: usize,
    /// Whether its length is ambiguous.
    is_ambiguous: bool,
    /// The length of its body; none if it is chunked.
    length: Option<usize>,
}

fn read(bytes: &[u8]) -> Option<ParsedRequest> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else {
        return None;
    };
    let values = |name: &str| -> Vec<&[u8]> {
        let named = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii()).collect()
    };
    let lengths = values("content-length");
    let codings = values("transfer-encoding");
    let is_number = |text: &&[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = lengths
        .first()
        .filter(|text| is_number(text))
        .and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
    let is_ambiguous = lengths.len() > 1
        || codings.len() > 1
        || (!lengths.is_empty() && !codings.is_empty())
        || (!lengths.is_empty() && number.is_none())
        || codings
            .iter()
            .any(|coding| !coding.eq_ignore_ascii_case(b"chunked"));
    Some(ParsedRequest {
        head,
        is_ambiguous,
        length: codings
            .is_empty()
            .then(|| usize::try_from(number.unwrap_or(0)).unwrap_or(usize::MAX)),
    })
}
