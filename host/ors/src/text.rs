//! JSON text, written piece by piece.
//!
//! The answers of the protocol have a fixed order of keys and carry large
//! texts, so they are written straight into the buffer that goes out. Nothing
//! here can fail.

use std::fmt::Write;

use orwd_model::Json;

/// Appends a string token. Escapes what JSON demands and nothing else: text
/// beyond ASCII stays as it is, and so does `/`.
pub(super) fn json_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(needs_escape) {
        // The bytes that need an escape are ASCII, so both cuts fall between
        // characters.
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = from.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends an object that is not ours, or `null`.
pub(super) fn json_or_null(out: &mut String, json: Option<&Json>) {
    out.push_str(json.map_or("null", Json::as_str));
}

/// Appends a string token, or `null`.
pub(super) fn string_or_null(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => json_string(out, text),
        None => out.push_str("null"),
    }
}

/// Appends a list, each item by `write`.
pub(super) fn json_list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_demands_and_no_further() {
        for (text, expected) in [
            ("", "\"\""),
            ("a/b", "\"a/b\""),
            ("\"\\", "\"\\\"\\\\\""),
            ("\n\r\t\u{8}\u{c}", "\"\\n\\r\\t\\b\\f\""),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("é\u{85}\u{2028}😀", "\"é\u{85}\u{2028}😀\""),
        ] {
            let mut out = String::new();
            json_string(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
