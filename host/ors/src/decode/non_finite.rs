//! `NaN`, `Infinity` and `-Infinity` in a body
//! (`docs/src/reference/wire-contract.md#section-4`).
//!
//! Python writes these as bare words, and JSON has no number for them. The words
//! are replaced by `null`, and their places are kept, so that a field that needs
//! a number can say what it got.

use std::fmt::Write;

use crate::json_text::string_length;

/// The words, without their sign.
const WORDS: [&[u8]; 2] = [b"NaN", b"Infinity"];

const NULL: &[u8] = b"null";

/// The longest place, in characters, apart from an ellipsis.
const MAX_PLACE_CHARS: usize = 200;

/// A body with its words replaced.
#[derive(Debug)]
pub(super) struct Replaced {
    text: Vec<u8>,
    /// Where each `null` is, in order.
    places: Vec<u32>,
}

/// The numbers of a body that JSON cannot express.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NonFinite<'a> {
    text: &'a [u8],
    places: &'a [u32],
}

impl Replaced {
    /// Replaces the words outside strings; none if there is none.
    pub(super) fn new(body: &[u8]) -> Option<Replaced> {
        let mut text = Vec::with_capacity(body.len() + NULL.len());
        let mut places = Vec::new();
        let mut rest = body;
        let mut in_token = false;
        while let Some((&byte, after)) = rest.split_first() {
            if byte == b'"' {
                let (string, after) = rest.split_at_checked(string_length(rest))?;
                text.extend_from_slice(string);
                rest = after;
                in_token = false;
            } else if !in_token && let Some(after) = after_word(rest) {
                places.push(u32::try_from(text.len()).ok()?);
                text.extend_from_slice(NULL);
                rest = after;
            } else {
                in_token = is_bare(byte);
                text.push(byte);
                rest = after;
            }
        }
        (!places.is_empty()).then_some(Replaced { text, places })
    }

    /// Returns the text in which `null` stands for each word.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the numbers of the body that JSON cannot express.
    pub(super) fn numbers(&self) -> NonFinite<'_> {
        NonFinite {
            text: &self.text,
            places: &self.places,
        }
    }
}

impl NonFinite<'_> {
    /// Returns whether this value, a part of the body, is such a number.
    pub(crate) fn is(self, value: &str) -> bool {
        value.as_bytes() == NULL && self.first_in(value) == Some(0)
    }

    /// Returns the place of the first such number in this value, a part of the
    /// body: `a.b[2]` for an object.
    pub(crate) fn place_in(self, value: &str) -> Option<String> {
        let before = value.get(..self.first_in(value)?)?;
        Some(place_after(before))
    }

    /// Returns the offset of the first such number in a part of the body.
    fn first_in(self, part: &str) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let start = part
            .as_ptr()
            .addr()
            .checked_sub(self.text.as_ptr().addr())?;
        let offset = |place: &u32| usize::try_from(*place).ok()?.checked_sub(start);
        let next = self.places.partition_point(|place| offset(place).is_none());
        let at = offset(self.places.get(next)?)?;
        (at < part.len()).then_some(at)
    }
}

/// Returns what follows the word that a text begins with.
fn after_word(text: &[u8]) -> Option<&[u8]> {
    let unsigned = text.strip_prefix(b"-");
    let after = WORDS.iter().find_map(|word| match unsigned {
        // Python has no negative NaN.
        Some(_) if *word == b"NaN" => None,
        Some(unsigned) => unsigned.strip_prefix(*word),
        None => text.strip_prefix(*word),
    })?;
    let ends = !after.first().is_some_and(|byte| is_bare(*byte));
    ends.then_some(after)
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

/// A container that is open at some place.
enum Container<'t> {
    /// An object, with the key of its current member as JSON.
    Object(&'t str),
    /// A list, with the index of its current item.
    List(usize),
}

/// Returns the place that this beginning of a valid JSON value leads to.
fn place_after(before: &str) -> String {
    let mut open = Vec::new();
    let mut last_string = "";
    let mut rest = before;
    while let Some(at) = rest.find(['"', '{', '[', '}', ']', ':', ',']) {
        let (_, from) = rest.split_at(at);
        let length = match from.as_bytes() {
            [b'"', ..] => {
                let length = string_length(from.as_bytes());
                last_string = from.get(..length).unwrap_or_default();
                length
            }
            [b'{', ..] => {
                open.push(Container::Object(""));
                1
            }
            [b'[', ..] => {
                open.push(Container::List(0));
                1
            }
            [b'}' | b']', ..] => {
                open.pop();
                1
            }
            [b':', ..] => {
                if let Some(Container::Object(key)) = open.last_mut() {
                    *key = last_string;
                }
                1
            }
            _ => {
                if let Some(Container::List(index)) = open.last_mut() {
                    *index += 1;
                }
                1
            }
        };
        rest = from.get(length..).unwrap_or_default();
    }
    let mut place = String::new();
    for container in open {
        match container {
            Container::Object(key) => {
                let dot = if place.is_empty() { "" } else { "." };
                let key: String = serde_json::from_str(key).unwrap_or_else(|_| key.to_owned());
                place.push_str(dot);
                place.extend(key.chars().take(MAX_PLACE_CHARS));
            }
            Container::List(index) => {
                let _ = write!(place, "[{index}]");
            }
        }
        if let Some((end, _)) = place.char_indices().nth(MAX_PLACE_CHARS) {
            place.truncate(end);
            place.push('…');
            break;
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(body: &str) -> Option<String> {
        let replaced = Replaced::new(body.as_bytes())?;
        for place in &replaced.places {
            assert!(replaced.text[*place as usize..].starts_with(NULL), "{body}");
        }
        Some(String::from_utf8(replaced.text).unwrap())
    }

    #[test]
    fn only_the_words_of_python_are_replaced() {
        for (body, expected) in [
            ("{\"a\":NaN}", Some("{\"a\":null}")),
            ("[Infinity, -Infinity ,NaN]", Some("[null, null ,null]")),
            ("NaN", Some("null")),
            ("{\"NaN\":\"-Infinity\",\"b\":1}", None),
            (
                "{\"a\":\"\\\"NaN\",\"b\": NaN}",
                Some("{\"a\":\"\\\"NaN\",\"b\": null}"),
            ),
            ("{\"é\":[NaN]}", Some("{\"é\":[null]}")),
            ("[-NaN]", None),
            ("[+Infinity]", None),
            ("[nan]", None),
            ("[inf]", None),
            ("[NaNs]", None),
            ("[NaN1]", None),
            ("[1NaN]", None),
            ("[--Infinity]", None),
            ("[Infinity.0]", None),
            ("[NaN", Some("[null")),
            ("\"NaN", None),
            ("", None),
        ] {
            assert_eq!(replaced(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn the_place_of_the_first_is_named() {
        for (body, expected) in [
            ("{\"a\":NaN}", "a"),
            ("{\"a\":1,\"b\":{\"c\":[1,{\"d\":2},[3,NaN]]}}", "b.c[2][1]"),
            (
                "{\"a\":{\"x\":[1]},\"b\":{\"c\":Infinity,\"d\":NaN}}",
                "b.c",
            ),
            ("{\"x,y\":\"{[\",\"a\\u0020b\" : -Infinity}", "a b"),
            ("{\"\":NaN}", ""),
        ] {
            let replaced = Replaced::new(format!("{{\"input\":{body}}}").as_bytes()).unwrap();
            let whole = std::str::from_utf8(&replaced.text).unwrap();
            let input = &whole["{\"input\":".len()..whole.len() - 1];
            let numbers = replaced.numbers();
            assert_eq!(numbers.place_in(input).as_deref(), Some(expected));
            assert_eq!(numbers.place_in("{\"a\":null}"), None, "another text");
        }
        let deep = format!("{}NaN", "{\"key\":".repeat(10_000));
        assert!(place_after(&deep).chars().count() <= 2 * MAX_PLACE_CHARS + 2);
    }

    #[test]
    fn a_null_beside_such_a_number_is_a_null() {
        let replaced = Replaced::new(b"[null,NaN,null]").unwrap();
        let items: Vec<&serde_json::value::RawValue> =
            serde_json::from_slice(&replaced.text).unwrap();
        let found: Vec<bool> = items
            .iter()
            .map(|item| replaced.numbers().is(item.get()))
            .collect();
        assert_eq!(found, [false, true, false]);
    }
}
