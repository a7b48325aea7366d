//! Events on the wire (wire contract section 10).
//!
//! A result is cut into pieces of at most 4096 characters: `chunk` events and,
//! for the last piece, `end`. Clients strip all white space from the beginning
//! of a data line, so no piece may begin with any: the cut moves to an earlier
//! place, or, where a whole piece is white space, the one character is written
//! as a JSON escape. Both leave the text that the pieces make up the same.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;

/// A piece has so many characters at most.
const PIECE: usize = 4096;

/// Pieces go out in batches of about so many bytes: one copy of a long result
/// is never held twice in memory.
const BATCH: usize = 64 * 1024;

const CHUNK: &str = "event: chunk\r\ndata: ";
const END: &str = "event: end\r\ndata: ";
const BREAK: &str = "\r\n\r\n";

/// One event; each line of the data becomes a data line. Never cut.
pub(super) fn event(name: &str, data: &str) -> String {
    let mut out = String::with_capacity(name.len() + data.len() + 32);
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

/// The lines of a text: CRLF, LF and CR each end one, and what follows the
/// last of them is a line too, even if it is empty.
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

/// A JSON text without raw line breaks on its way out as `chunk` and `end`
/// events.
#[derive(Debug)]
pub(super) struct Pieces {
    text: Text,
    at: usize,
}

/// A text, after the head of an `end` event.
#[derive(Debug)]
enum Text {
    /// A short one leaves in the buffer that it was written into.
    Own(String),
    /// One that others send out as well.
    Shared(Arc<String>),
}

impl Pieces {
    /// Takes what `write` appends.
    pub(super) fn new(write: impl FnOnce(&mut String)) -> Pieces {
        Pieces::of(Text::Own(Pieces::text(write)))
    }

    /// Takes a text that [`Pieces::text`] gave.
    pub(super) fn shared(text: Arc<String>) -> Pieces {
        Pieces::of(Text::Shared(text))
    }

    /// What `write` appends, as a text to be shared.
    pub(super) fn text(write: impl FnOnce(&mut String)) -> String {
        let mut buffer = String::with_capacity(256);
        buffer.push_str(END);
        write(&mut buffer);
        buffer
    }

    fn of(text: Text) -> Pieces {
        Pieces {
            text,
            at: END.len(),
        }
    }

    /// Whether the `end` event has been given.
    pub(super) fn is_through(&self) -> bool {
        matches!(&self.text, Text::Own(buffer) if buffer.is_empty())
    }

    /// The next events; none after the `end` event.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let text: &str = match &mut self.text {
            Text::Own(buffer) if buffer.is_empty() => return None,
            Text::Own(buffer) if self.at == END.len() && buffer.len() - END.len() <= PIECE => {
                let mut whole = std::mem::take(buffer);
                whole.push_str(BREAK);
                return Some(Bytes::from(whole));
            }
            Text::Own(buffer) => buffer,
            Text::Shared(text) => text,
        };
        let rest = text.get(self.at..).unwrap_or_default();
        let (batch, taken) = batch(rest, self.at > END.len());
        let through = taken == rest.len();
        self.at += taken;
        if through {
            self.text = Text::Own(String::new());
        }
        Some(Bytes::from(batch))
    }
}

/// Writes pieces until the batch is full, or the text is through. Gives the
/// number of bytes of the text that they hold.
fn batch(text: &str, inside: bool) -> (String, usize) {
    let mut out = String::with_capacity(text.len().min(BATCH + 4 * PIECE) + BATCH / PIECE * 32);
    let mut rest = text;
    let mut inside = inside;
    while !rest.is_empty() && out.len() < BATCH {
        // Only where the cut could not be moved does a piece begin with white
        // space, and only pieces after the first are cut.
        let escape = rest.chars().next().filter(|c| inside && python_space(*c));
        let room = if escape.is_some() { PIECE - 5 } else { PIECE };
        let (piece, after) = rest.split_at(cut(rest, room));
        out.push_str(if after.is_empty() { END } else { CHUNK });
        match escape {
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
                out.push_str(piece.get(c.len_utf8()..).unwrap_or_default());
            }
            None => out.push_str(piece),
        }
        out.push_str(BREAK);
        rest = after;
        inside = true;
    }
    (out, text.len() - rest.len())
}

/// The length in bytes of the piece that a text begins with: at most `room`
/// characters, fewer if the next piece would begin with white space.
fn cut(text: &str, room: usize) -> usize {
    let end = match text.as_bytes().get(..room) {
        Some(start) if start.is_ascii() => room,
        _ => match text.char_indices().nth(room) {
            Some((end, _)) => end,
            None => return text.len(),
        },
    };
    let (piece, after) = text.split_at(end);
    match after.chars().next() {
        None => end,
        Some(next) if !python_space(next) => end,
        Some(_) => piece
            .char_indices()
            .rev()
            .find(|(_, c)| !python_space(*c))
            .map(|(at, _)| at)
            .filter(|at| *at > 0)
            .unwrap_or(end),
    }
}

/// What Python calls white space.
fn python_space(c: char) -> bool {
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
    use super::super::text::json_string;
    use super::*;

    /// The events of a payload as a client reads them that strips all white
    /// space from the beginning of a data line.
    fn read(pieces: &mut Pieces) -> Vec<(String, String)> {
        let mut wire = Vec::new();
        while let Some(batch) = pieces.next() {
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
                data.trim_start_matches(python_space).to_owned(),
            ));
        }
        events
    }

    fn pieces(json: &str) -> Pieces {
        Pieces::new(|out| out.push_str(json))
    }

    #[test]
    fn an_event_has_a_data_line_for_each_line() {
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
            assert_eq!(event("e", data), expected, "{data:?}");
        }
    }

    #[test]
    fn lengths_of_pieces_of_plain_text() {
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
            short.next().as_deref(),
            Some(&b"event: end\r\ndata: {}\r\n\r\n"[..])
        );
        assert_eq!(short.next(), None);
    }

    #[test]
    fn white_space_at_a_cut_is_not_lost() {
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

    /// A small generator of numbers, so that a failure comes again.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) as usize % end
        }
    }

    #[test]
    fn any_text_reads_back() {
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
            let mut numbers = Numbers(seed);
            // A few letters of the alphabet, each in long runs or short.
            let longest = [1, 3, 50, 3000][numbers.below(4)];
            let letters = 1 + numbers.below(4);
            let chosen: Vec<&str> = (0..letters)
                .map(|_| ALPHABET[numbers.below(ALPHABET.len())])
                .collect();
            let mut text = String::new();
            let length = numbers.below(30_000);
            while text.len() < length {
                let letter = chosen[numbers.below(chosen.len())];
                text.push_str(&letter.repeat(1 + numbers.below(longest)));
            }
            assert_read_back(&text);
        }
    }

    fn assert_read_back(text: &str) {
        let mut json = String::from("{\"text\":");
        json_string(&mut json, text);
        json.push('}');
        let events = read(&mut pieces(&json));
        let joined: String = events.iter().map(|(_, data)| data.as_str()).collect();
        let value: serde_json::Value = serde_json::from_str(&joined).unwrap();
        assert_eq!(value["text"].as_str(), Some(text));
        for (_, data) in &events {
            assert!(!data.is_empty());
            assert!(data.chars().count() <= PIECE);
        }
        assert_eq!(events.iter().filter(|(name, _)| name == "end").count(), 1);
        assert_eq!(events.last().map(|(name, _)| name.as_str()), Some("end"));
    }
}
