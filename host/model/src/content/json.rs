//! JSON that clients and environment authors own.
//!
//! orwd checks that it is JSON and does not interpret it: numbers keep their
//! spelling, keys their order, big integers all their digits. White space
//! between tokens is removed, because a result must fit on one line of the
//! event stream.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON object as text: valid, and without white space between its tokens.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Json {
    text: Box<RawValue>,
    #[serde(skip)]
    depth: usize,
    #[serde(skip)]
    non_finite: Option<Box<str>>,
}

/// The text is not a JSON object.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidJsonObject(String);

impl Json {
    /// Checks the text and removes white space between its tokens.
    pub fn object(text: String) -> Result<Json, InvalidJsonObject> {
        let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
        if !trimmed.starts_with('{') {
            let start: String = trimmed.chars().take(40).collect();
            return Err(InvalidJsonObject(format!(
                "expected a JSON object, got {start:?}"
            )));
        }
        let (compacted, depth) = compact(trimmed);
        let text = match compacted {
            Some(compacted) => compacted,
            None if trimmed.len() < text.len() => trimmed.to_owned(),
            None => text,
        };
        match RawValue::from_string(text) {
            Ok(text) => Ok(Json {
                text,
                depth,
                non_finite: None,
            }),
            Err(error) => Err(InvalidJsonObject(format!("not valid JSON: {error}"))),
        }
    }

    /// Takes a value that a parser returned unparsed.
    pub fn from_raw(raw: &RawValue) -> Result<Json, InvalidJsonObject> {
        Json::object(raw.get().to_owned())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.text.get()
    }

    /// Returns how deep objects and arrays nest, this object included.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Notes the place of a number that JSON cannot express, such as `a.b[2]`: a
    /// client wrote `NaN` or an infinity there, and the text has `null`.
    pub fn with_non_finite(mut self, place: String) -> Json {
        self.non_finite = Some(place.into());
        self
    }

    /// Returns the noted place of a number that JSON cannot express.
    pub fn non_finite(&self) -> Option<&str> {
        self.non_finite.as_deref()
    }

    /// Deserializes the object.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.text.get())
    }
}

/// Serde form of [`Json`] in journal records: its text.
pub mod json_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Json;

    /// Writes the text.
    pub fn serialize<S: Serializer>(json: &Json, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(json.as_str())
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        Json::object(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }

    /// The same for a value that may be absent.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

        use crate::content::Json;

        /// Writes the text, if there is one.
        pub fn serialize<S: Serializer>(
            json: &Option<Json>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            json.as_ref().map(Json::as_str).serialize(serializer)
        }

        /// Reads the text, if there is one.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Json>, D::Error> {
            Option::<String>::deserialize(deserializer)?
                .map(|text| Json::object(text).map_err(de::Error::custom))
                .transpose()
        }
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

/// Removes white space between tokens and returns the nesting depth; no text if there
/// is no white space. Accepts any text: the parser runs afterwards on the same tokens
/// and refuses invalid JSON.
fn compact(text: &str) -> (Option<String>, usize) {
    let bytes = text.as_bytes();
    let mut level = 0usize;
    let mut deepest = 0;
    let mut out = String::new();
    // Where the text begins that is not in `out`.
    let mut rest = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            // Most of a long text is in strings.
            b'"' => {
                at = string_end(bytes, at + 1);
                continue;
            }
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            byte if is_space(*byte) => {
                if out.is_empty() {
                    out.reserve(text.len());
                }
                out.push_str(text.get(rest..at).unwrap_or_default());
                let left = bytes.get(at..).unwrap_or_default();
                let spaces = left.iter().take_while(|byte| is_space(**byte)).count();
                rest = at + spaces;
                // Two bare tokens separated by a space are an error. Without the
                // space they would merge into a valid one: `[1 2]`.
                let last = out.as_bytes().last();
                if last.is_some_and(is_bare) && bytes.get(rest).is_some_and(is_bare) {
                    out.push(' ');
                }
                at = rest;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if rest == 0 {
        return (None, deepest);
    }
    out.push_str(text.get(rest..).unwrap_or_default());
    (Some(out), deepest)
}

/// Returns where a string ends whose content begins here.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            None => return bytes.len(),
            Some(length) => match rest.get(length) {
                Some(b'\\') => at += length + 2,
                _ => return at + length + 1,
            },
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_bare(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_text_except_for_white_space() {
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
            (
                "{\"é\\\\\":\t\"ü\\\"\\n  \\u0041\",\"b\":\r\n[ true , -1 ]}",
                Some("{\"é\\\\\":\"ü\\\"\\n  \\u0041\",\"b\":[true,-1]}"),
            ),
            ("\n{\"a\":\" \"}", Some("{\"a\":\" \"}")),
            ("{\"a\":1 2}", None),
            ("{\"a\":tr ue}", None),
            ("{\"a\":\"b", None),
            ("{\"a\":\"b\\", None),
            ("{\"a\":\"b\\\"", None),
            ("{\"a\":\u{a0}1}", None),
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
    fn depth_ignores_brackets_in_strings() {
        for (text, expected) in [
            ("{}", 1),
            ("{\"a\":{},\"b\":[1,[2]],\"c\":{}}", 3),
            ("{\"[[[{{\":\"]\\\"[[\"}", 1),
        ] {
            assert_eq!(Json::object(text.to_owned()).unwrap().depth(), expected);
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Json::object(deep).unwrap().depth(), 100_001);
    }
}
