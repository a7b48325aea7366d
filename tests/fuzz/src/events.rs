//! Written event streams, parsed by an independent reader.
//!
//! The reader follows the standard: lines end with CRLF, LF or CR, one space
//! after a colon is dropped, an empty line ends an event. ORS clients also strip
//! all white space at the start of a data line; the text must survive that too.

use orwd_ors::fuzzing::{event, text_events};

/// The maximum number of characters of a chunk.
const CHUNK: usize = 4096;

/// An event: its name and its data lines.
type ParsedEvent = (String, Vec<String>);

pub(crate) fn run(bytes: &[u8]) {
    let (long, bytes) = match bytes.split_first() {
        Some((first, rest)) => (usize::from(*first), rest),
        None => (0, bytes),
    };
    let text = String::from_utf8_lossy(bytes);
    // Repeated, because inputs are shorter than a chunk. Several batches take
    // long to check, so few inputs become that long.
    let longest = if long > 250 { 20 * CHUNK } else { 3 * CHUNK };
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

/// Returns the text that a client assembles from the `chunk` and `end` events of
/// a result.
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
            panic!("a chunk of {} lines", lines.len());
        };
        assert!(piece.chars().count() <= CHUNK, "a chunk is too long");
        assert_eq!(
            stripped(piece),
            piece,
            "white space at the start of a chunk"
        );
        text.push_str(piece);
    }
    // A chunk may start with an escape instead of white space: the same JSON in
    // another spelling.
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::String(text)) => serde_json::to_string(&text).expect("text"),
        _ => text,
    }
}

/// Strips what Python's `str.lstrip` strips.
fn stripped(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

fn parse(stream: &str) -> Vec<ParsedEvent> {
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
