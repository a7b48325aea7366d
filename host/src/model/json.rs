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
pub struct Json(Box<RawValue>);

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
        match RawValue::from_string(compact(text)) {
            Ok(raw) => Ok(Json(raw)),
            Err(error) => Err(NotAnObject(format!("not valid JSON: {error}"))),
        }
    }

    /// Keeps what a parser has already found to be an object.
    pub fn from_raw(raw: &RawValue) -> Result<Json, NotAnObject> {
        Json::object(raw.get().to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads the object as a type of ours.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
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

/// Drops the white space between tokens. Works on any text: what is not JSON
/// is refused afterwards by the parser, which sees the same tokens.
fn compact(text: &str) -> String {
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
        out.push(c);
    }
    out
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
}
