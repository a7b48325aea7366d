//! Where requests begin and end on a connection.
//!
//! The watch must say the same however the bytes come in pieces, let through
//! what it says it does, and never take another place for the beginning of a
//! request than a reader of its own kind does (`httparse`, with lengths by the
//! book) unless it has doubts.

use orwd_ors::fuzzing::FramingProbe;

use crate::input::Input;

/// What a watch made of a connection.
#[derive(Debug, PartialEq)]
struct Story {
    kept: usize,
    doubt: Option<(u64, &'static str)>,
    is_closed: bool,
}

fn story(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> Story {
    let mut probe = FramingProbe::default();
    let mut story = Story {
        kept: 0,
        doubt: None,
        is_closed: false,
    };
    let mut rest = bytes;
    let mut pieces = pieces.into_iter();
    while !rest.is_empty() {
        let length = pieces.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(length);
        let (kept, doubt) = probe.inspect(piece);
        assert!(kept <= piece.len(), "it kept more than there was");
        story.kept += kept;
        if doubt.is_some() {
            assert_eq!(story.doubt, None, "a second doubt behind the first");
            story.doubt = doubt;
        }
        story.is_closed = probe.is_closed();
        assert_eq!(story.is_closed, story.doubt.is_some());
        if story.is_closed {
            let (kept, doubt) = probe.inspect(after);
            assert_eq!((kept, doubt), (0, None), "something went on behind a doubt");
            break;
        }
        assert_eq!(kept, piece.len(), "something is missing without a doubt");
        rest = after;
    }
    story
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let step = usize::from(input.byte());
    let bytes = input.rest();
    let whole = story(bytes, []);
    assert_eq!(story(bytes, std::iter::repeat(1)), whole);
    assert_eq!(story(bytes, (0..).map(|n| 1 + (n * 7 + step) % 19)), whole);

    let mut at = 0;
    let mut requests = 0;
    while let Some(request) = read(&bytes[at..]) {
        requests += 1;
        let end = at + request.head;
        let until = story(&bytes[..end], []);
        if let Some((number, _)) = until.doubt {
            assert!(
                number <= requests,
                "a doubt in a head that is not there yet"
            );
            return;
        }
        assert!(!request.is_doubtful, "no doubt about {:?}", &bytes[at..end]);
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

/// The watch takes the next byte for the first of a request: a head with a
/// mistake is noticed there, as the next one.
fn begins_at(before: &[u8], requests: u64) {
    let mut bytes = before.to_vec();
    bytes.extend_from_slice(b"GET / HTTP/1.1\r\nA : b\r\n\r\n");
    let doubt = story(&bytes, []).doubt;
    assert_eq!(
        doubt.map(|(number, _)| number),
        Some(requests + 1),
        "another request was seen behind {before:?}"
    );
}

/// A request as another reader sees it.
struct Request {
    /// Bytes of its head.
    head: usize,
    /// Whether there are two readings of its length.
    is_doubtful: bool,
    /// Bytes of its body; none if it comes in chunks.
    length: Option<usize>,
}

fn read(bytes: &[u8]) -> Option<Request> {
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
    let is_doubtful = lengths.len() > 1
        || codings.len() > 1
        || (!lengths.is_empty() && !codings.is_empty())
        || (!lengths.is_empty() && number.is_none())
        || codings
            .iter()
            .any(|coding| !coding.eq_ignore_ascii_case(b"chunked"));
    Some(Request {
        head,
        is_doubtful,
        length: codings
            .is_empty()
            .then(|| usize::try_from(number.unwrap_or(0)).unwrap_or(usize::MAX)),
    })
}
