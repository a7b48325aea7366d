//! JSON that clients and authors own.
//!
//! orwd checks that it is JSON and never looks further: numbers keep their
//! spelling, keys their order, big integers all their digits. Text that comes
//! in with white space between its tokens is compacted, because the event
//! stream gives a result one line.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON object as text, valid and without white space between its tokens.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Json {
    text: Box<RawValue>,
    #[serde(skip)]
    depth: usize,
}

/// Why a text is not taken for a JSON object.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAnObject(String);

impl Json {
    /// Checks a text and keeps it, compacted if need be.
    pub fn object(text: String) -> Result<Json, NotAnObject> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if !text.starts_with('{') {
            let start: String = text.chars().take(40).collect();
            return Err(NotAnObject(format!(
                "expected a JSON object, got {start:?}"
            )));
        }
        let (text, depth) = compact(text);
        match RawValue::from_string(text) {
            Ok(text) => Ok(Json { text, depth }),
            Err(error) => Err(NotAnObject(format!("not valid JSON: {error}"))),
        }
    }

    /// Keeps what a parser has already found to be an object.
    pub fn from_raw(raw: &RawValue) -> Result<Json, NotAnObject> {
        Json::object(raw.get().to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.text.get()
    }

    /// How many objects and arrays lie within each other, this one counted.
    pub fn levels(&self) -> usize {
        self.depth
    }

    /// Reads the object as a type of ours.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.text.get())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Drops the white space between tokens, and counts levels. Works on any text:
/// what is not JSON is refused afterwards by the parser, which sees the same
/// tokens.
fn compact(text: &str) -> (String, usize) {
    let mut level = 0usize;
    let mut deepest = 0;
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let mut escaped = false;
    let mut after_space = false;
    for c in text.chars() {
        if in_string {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        if matches!(c, ' ' | '\t' | '\r' | '\n') {
            after_space = true;
            continue;
        }
        // Two bare tokens with a space between them are an error, and must not
        // grow together into one that is none: `[1 2]`.
        if after_space && is_bare(c) && out.chars().next_back().is_some_and(is_bare) {
            out.push(' ');
        }
        after_space = false;
        in_string = c == '"';
        match c {
            '{' | '[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            '}' | ']' => level = level.saturating_sub(1),
            _ => {}
        }
        out.push(c);
    }
    (out, deepest)
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_kept_as_written_but_for_white_space() {
        for (text, expected) in [
            ("{}", Some("{}")),
            (
                " {\"b\" : 1.50 ,\n \"a\":[1, 2]} ",
                Some("{\"b\":1.50,\"a\":[1,2]}"),
            ),
            (
                "{\"n\":123456789012345678901234567890}",
                Some("{\"n\":123456789012345678901234567890}"),
            ),
            (
                "{\"s\":\"a b\\\" c \\\\\" }",
                Some("{\"s\":\"a b\\\" c \\\\\"}"),
            ),
            ("[1]", None),
            ("{\"a\":1 2}", None),
            ("{\"a\":- 1}", None),
            ("{\"a\":}", None),
            ("{\"a\":\"line\nbreak\"}", None),
            ("", None),
        ] {
            let json = Json::object(text.to_owned()).ok();
            assert_eq!(json.as_ref().map(Json::as_str), expected, "{text}");
        }
    }

    #[test]
    fn levels_are_counted_outside_of_strings() {
        for (text, expected) in [
            ("{}", 1),
            ("{\"a\":{},\"b\":[1,[2]],\"c\":{}}", 3),
            ("{\"[[[{{\":\"]\\\"[[\"}", 1),
        ] {
            assert_eq!(Json::object(text.to_owned()).unwrap().levels(), expected);
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Json::object(deep).unwrap().levels(), 100_001);
    }
}
