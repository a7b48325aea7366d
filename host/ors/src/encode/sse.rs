//! Server-sent events (`docs/src/reference/wire-contract.md#section-10`).
//!
//! A result is split into pieces of at most 4096 characters: `chunk` events, and
//! `end` for the last piece. Clients strip all white space from the beginning of a
//! data line, so no piece may begin with any. The split moves to an earlier
//! position, or, if a whole piece is white space, its first character is written
//! as a JSON escape. The text that the pieces make up stays the same.
//!
//! Written by hand, because a library would neither split like this nor write the
//! same line breaks.

use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;

use super::json::append_json;

/// The maximal number of characters of a piece.
const MAX_PIECE_CHARS: usize = 4096;

/// The most bytes that are handed to the connection at once.
const BATCH_SIZE: usize = 64 * 1024;

const CHUNK: &str = "event: chunk\r\ndata: ";
const END: &str = "event: end\r\ndata: ";
const EVENT_END: &str = "\r\n\r\n";

/// Returns one event, with a data line for each line of the data. It is never
/// split.
pub(crate) fn event(name: &str, data: &str) -> String {
    let mut out = String::with_capacity(event_length(name, data));
    out.push_str("event: ");
    out.push_str(name);
    out.push_str("\r\n");
    for line in lines(data) {
        out.push_str("data: ");
        out.push_str(line);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out
}

/// Returns the most bytes that [`event`] takes.
pub(crate) fn event_length(name: &str, data: &str) -> usize {
    let breaks = data.bytes().filter(|byte| matches!(byte, b'\r' | b'\n'));
    name.len() + data.len() + breaks.count() * "data: \r\n".len() + 32
}

/// Iterates over the lines of a text. CRLF, LF and CR each end a line, and what
/// follows the last of them is a line, even if it is empty.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\r', '\n']) else {
            rest = None;
            return Some(text);
        };
        let (line, after) = text.split_at(at);
        rest = after
            .strip_prefix("\r\n")
            .or_else(|| after.strip_prefix(['\r', '\n']));
        Some(line)
    })
}

/// Returns the events of a result whose JSON has this length.
pub(crate) fn result_events(result: &impl Serialize, length: usize) -> String {
    let mut text = String::with_capacity(length);
    append_json(&mut text, result);
    events_of(&text)
}

/// A result as `chunk` and `end` events. All readers of a result share its bytes.
#[derive(Debug)]
pub(crate) struct ResultEvents {
    rest: Bytes,
}

impl ResultEvents {
    /// Creates the stream of events that [`result_events`] returned.
    pub(crate) fn new(events: Bytes) -> ResultEvents {
        ResultEvents { rest: events }
    }

    /// Returns whether the `end` event has been returned.
    pub(crate) fn is_finished(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next bytes, a part of the shared ones; `None` after the `end`
    /// event.
    pub(crate) fn next_batch(&mut self) -> Option<Bytes> {
        let length = self.rest.len().min(BATCH_SIZE);
        (length > 0).then(|| self.rest.split_to(length))
    }
}

/// Returns a text as events.
fn events_of(text: &str) -> String {
    let pieces = text.len() / MAX_PIECE_CHARS + 2;
    let mut out = String::with_capacity(text.len() + pieces * (CHUNK.len() + EVENT_END.len() + 8));
    let mut rest = text;
    let mut after_split = false;
    while !rest.is_empty() {
        // A piece after a split begins with white space only if the split could
        // not be moved.
        let escape = rest
            .chars()
            .next()
            .filter(|c| after_split && is_python_space(*c));
        let max_chars = match escape {
            Some(_) => MAX_PIECE_CHARS - 5,
            None => MAX_PIECE_CHARS,
        };
        let (piece, after) = rest.split_at(piece_length(rest, max_chars));
        out.push_str(if after.is_empty() { END } else { CHUNK });
        match escape {
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
                out.push_str(piece.get(c.len_utf8()..).unwrap_or_default());
            }
            None => out.push_str(piece),
        }
        out.push_str(EVENT_END);
        rest = after;
        after_split = true;
    }
    out
}

/// Returns the length in bytes of the first piece of a text: at most `max_chars`
/// characters, fewer if the next piece would begin with white space.
fn piece_length(text: &str, max_chars: usize) -> usize {
    let end = match text.as_bytes().get(..max_chars) {
        Some(start) if start.is_ascii() => max_chars,
        _ => match text.char_indices().nth(max_chars) {
            Some((end, _)) => end,
            None => return text.len(),
        },
    };
    let (piece, after) = text.split_at(end);
    match after.chars().next() {
        None => end,
        Some(next) if !is_python_space(next) => end,
        Some(_) => piece
            .char_indices()
            .rev()
            .find(|(_, c)| !is_python_space(*c))
            .map(|(at, _)| at)
            .filter(|at| *at > 0)
            .unwrap_or(end),
    }
}

/// Returns whether Python counts a character as white space.
fn is_python_space(c: char) -> bool {
    matches!(
        c,
        '\t'..='\r'
            | '\u{1c}'..='\u{1f}'
            | ' '
            | '\u{85}'
            | '\u{a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200a}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads events like a client that strips white space from the beginning of a
    /// data line.
    fn read(pieces: &mut ResultEvents) -> Vec<(String, String)> {
        let mut wire = Vec::new();
        while let Some(batch) = pieces.next_batch() {
            wire.extend_from_slice(&batch);
        }
        let wire = String::from_utf8(wire).unwrap();
        let mut events = Vec::new();
        for event in wire.split_terminator("\r\n\r\n") {
            let (name, data) = event.split_once("\r\n").unwrap();
            let data = data.strip_prefix("data:").unwrap();
            assert!(!data.contains(['\r', '\n']), "more than one line: {data:?}");
            let name = name.strip_prefix("event: ").unwrap();
            events.push((
                name.to_owned(),
                data.trim_start_matches(is_python_space).to_owned(),
            ));
        }
        events
    }

    fn pieces(json: &str) -> ResultEvents {
        ResultEvents::new(events_of(json).into())
    }

    #[test]
    fn an_event_has_a_data_line_per_line() {
        for (data, expected) in [
            ("x", "event: e\r\ndata: x\r\n\r\n"),
            ("", "event: e\r\ndata: \r\n\r\n"),
            (
                "a\nb\r\nc\rd",
                "event: e\r\ndata: a\r\ndata: b\r\ndata: c\r\ndata: d\r\n\r\n",
            ),
            ("a\n\r", "event: e\r\ndata: a\r\ndata: \r\ndata: \r\n\r\n"),
            (
                "\n  b\u{2028}c",
                "event: e\r\ndata: \r\ndata:   b\u{2028}c\r\n\r\n",
            ),
        ] {
            let event = event("e", data);
            assert_eq!(event, expected, "{data:?}");
            assert!(event.len() <= event_length("e", data));
        }
    }

    #[test]
    fn splits_plain_text_by_characters() {
        for length in [1, 2, 4095, 4096, 4097, 8191, 8192, 8193, 20_000, 300_000] {
            for unit in ["x", "é", "😀"] {
                let events = read(&mut pieces(&unit.repeat(length)));
                let sizes: Vec<usize> = events.iter().map(|(_, d)| d.chars().count()).collect();
                let mut expected = vec![4096; length / 4096];
                if length % 4096 > 0 {
                    expected.push(length % 4096);
                }
                assert_eq!(sizes, expected, "{length} of {unit}");
                let (last, chunks) = events.split_last().unwrap();
                assert_eq!(last.0, "end");
                assert!(chunks.iter().all(|(name, _)| name == "chunk"));
            }
        }
    }

    #[test]
    fn a_short_result_is_one_end() {
        let mut short = pieces("{}");
        assert_eq!(
            short.next_batch().as_deref(),
            Some(&b"event: end\r\ndata: {}\r\n\r\n"[..])
        );
        assert_eq!(short.next_batch(), None);
    }

    #[test]
    fn keeps_white_space_at_a_split() {
        for text in [
            " ".repeat(9000),
            "word  ".repeat(3000),
            "\u{a0}x".repeat(7001),
            "\u{2003}y ".repeat(7001),
            "a\u{2028}".repeat(7001),
            format!("{}{}", "x".repeat(4094), " ".repeat(5000)),
            "\u{3000}".repeat(4096 * 3),
        ] {
            assert_read_back(&text);
        }
    }

    /// A small random generator with a fixed seed, so that failures repeat.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) as usize % end
        }
    }

    #[test]
    fn any_text_survives_splitting() {
        const ALPHABET: [&str; 16] = [
            "x",
            "ab",
            " ",
            "  ",
            "\u{a0}",
            "\u{2028}",
            "\u{3000}",
            "é",
            "😀",
            "\n",
            "\"",
            "\\",
            "\u{85}",
            "\u{1f}",
            "\t",
            "words and words ",
        ];
        for seed in 0..400 {
            let mut random = Random(seed);
            // A few letters of the alphabet, each in long runs or short.
            let longest = [1, 3, 50, 3000][random.below(4)];
            let letters = 1 + random.below(4);
            let chosen: Vec<&str> = (0..letters)
                .map(|_| ALPHABET[random.below(ALPHABET.len())])
                .collect();
            let mut text = String::new();
            let length = random.below(30_000);
            while text.len() < length {
                let letter = chosen[random.below(chosen.len())];
                text.push_str(&letter.repeat(1 + random.below(longest)));
            }
            assert_read_back(&text);
        }
    }

    fn assert_read_back(text: &str) {
        let mut json = String::from("{\"text\":");
        append_json(&mut json, text);
        json.push('}');
        let events = read(&mut pieces(&json));
        let joined: String = events.iter().map(|(_, data)| data.as_str()).collect();
        let value: serde_json::Value = serde_json::from_str(&joined).unwrap();
        assert_eq!(value["text"].as_str(), Some(text));
        for (_, data) in &events {
            assert!(!data.is_empty());
            assert!(data.chars().count() <= MAX_PIECE_CHARS);
        }
        assert_eq!(events.iter().filter(|(name, _)| name == "end").count(), 1);
        assert_eq!(events.last().map(|(name, _)| name.as_str()), Some("end"));
    }
}
