//! Text as Python writes it.
//!
//! Some error texts of the protocol hold a list of names the way a Python
//! literal would; the flattened prompt holds JSON the way Python's encoder
//! spaces it.

use std::fmt::Write;

use orwd_model::quoted;

/// A list of strings.
pub(super) fn list(items: &[&str]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A JSON text without white space as Python's encoder would write it: `", "`
/// and `": "` between tokens, and nothing but ASCII.
pub(super) fn spaced_json(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() + compact.len() / 8);
    let mut rest = compact;
    while let Some(at) = rest.find(['"', ',', ':']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if from.starts_with('"') {
            let (token, after) = from.split_at(string_length(from));
            match serde_json::from_str::<String>(token) {
                Ok(text) => ascii_string(&mut out, &text),
                // Half of a surrogate pair is no text; it is ASCII already.
                Err(_) => out.push_str(token),
            }
            rest = after;
        } else {
            let (mark, after) = from.split_at(1);
            out.push_str(mark);
            out.push(' ');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The length of the string token that a text starts with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn ascii_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_strings() {
        assert_eq!(list(&[]), "[]");
        assert_eq!(list(&["a", "it's"]), "['a', \"it's\"]");
    }

    #[test]
    fn json_is_spaced_and_ascii() {
        for (compact, expected) in [
            ("{}", "{}"),
            (
                r#"{"expr":"2+2","n":[1,2.5,null]}"#,
                r#"{"expr": "2+2", "n": [1, 2.5, null]}"#,
            ),
            (r#"{"a":"b,c:d\"e,"}"#, r#"{"a": "b,c:d\"e,"}"#),
            (r#"{"k":"é😀"}"#, r#"{"k": "\u00e9\ud83d\ude00"}"#),
            (r#"{"k":"\/\u0041\ud800"}"#, r#"{"k": "\/\u0041\ud800"}"#),
            (r#"{"k":"\/\u0041\u007f"}"#, r#"{"k": "/A\u007f"}"#),
        ] {
            assert_eq!(spaced_json(compact), expected);
        }
    }
}
