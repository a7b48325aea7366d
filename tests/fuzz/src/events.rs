//! What is written as an event stream, read back by a reader of its own.
//!
//! The reader follows the standard: lines end with CRLF, LF or CR, one space
//! after a colon is dropped, an empty line ends an event. Clients of the
//! protocol go on and strip all white space that a data line begins with; the
//! text must survive that too.

use orwd_ors::fuzzing::{event, text_events};

/// Characters of a piece.
const PIECE: usize = 4096;

/// An event: its name and its data lines.
type Event = (String, Vec<String>);

pub(crate) fn run(bytes: &[u8]) {
    let (long, bytes) = match bytes.split_first() {
        Some((first, rest)) => (usize::from(*first), rest),
        None => (0, bytes),
    };
    let text = String::from_utf8_lossy(bytes);
    // So that there are pieces and batches: inputs are short, and those are not.
    // Several batches take long to look at, so few inputs come to that.
    let longest = if long > 250 { 20 * PIECE } else { 3 * PIECE };
    let times = (1 + long * long / 16).min(1 + longest / text.len().max(1));
    let text = text.repeat(times);
    assert_eq!(
        whole(&text_events(&text)),
        serde_json::to_string(&text).expect("text")
    );

    let read = parse(&event("error", &text));
    let lines: Vec<String> = text
        .replace("\r\n", "\n")
        .split(['\n', '\r'])
        .map(str::to_owned)
        .collect();
    assert_eq!(read, [("error".to_owned(), lines)]);
}

/// The text that the events of a result make up, which has to be what a client
/// puts together from `chunk` and `end`.
pub(crate) fn whole(batches: &[impl AsRef<[u8]>]) -> String {
    let bytes: Vec<u8> = batches
        .iter()
        .flat_map(|batch| batch.as_ref())
        .copied()
        .collect();
    let events = parse(std::str::from_utf8(&bytes).expect("a stream is UTF-8"));
    let mut text = String::new();
    for (at, (name, lines)) in events.iter().enumerate() {
        let is_last = at + 1 == events.len();
        assert_eq!(name, if is_last { "end" } else { "chunk" });
        let [piece] = lines.as_slice() else {
            panic!("a piece of {} lines", lines.len());
        };
        assert!(piece.chars().count() <= PIECE, "a piece is too long");
        assert_eq!(
            stripped(piece),
            piece,
            "white space at the beginning of a piece"
        );
        text.push_str(piece);
    }
    // A piece that begins with an escape in place of white space is the same
    // JSON, and another text.
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::String(text)) => serde_json::to_string(&text).expect("text"),
        _ => text,
    }
}

/// Without the white space that Python's `str.lstrip` takes away.
fn stripped(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

fn parse(stream: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut name = String::new();
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some(end) = rest.find(['\r', '\n']) {
        let (line, after) = rest.split_at(end);
        rest = after.strip_prefix("\r\n").unwrap_or_else(|| &after[1..]);
        if line.is_empty() {
            events.push((std::mem::take(&mut name), std::mem::take(&mut lines)));
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => lines.push(value.to_owned()),
            _ => panic!("an unknown field: {line:?}"),
        }
    }
    assert!(
        rest.is_empty() && lines.is_empty(),
        "the stream ends within an event"
    );
    events
}
