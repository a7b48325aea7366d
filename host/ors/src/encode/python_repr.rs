//! Text as Python writes it.
//!
//! Some error texts of the protocol contain a list of names as a Python literal,
//! and the flattened prompt contains JSON with the spacing of Python's encoder.
//! The JSON is rewritten token by token: a JSON library would respell numbers.

use std::fmt::Write;

use orwd_model::python_repr;

use crate::json_text::string_length;

/// Returns a list of strings as a Python literal.
pub(crate) fn repr_list(items: &[&str]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| python_repr(item)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Returns compact JSON as Python's encoder writes it: `", "` and `": "` between
/// tokens, and only ASCII.
pub(crate) fn spaced_json(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() + compact.len() / 8);
    let mut rest = compact;
    while let Some(at) = rest.find(['"', ',', ':']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if from.starts_with('"') {
            let (token, after) = from.split_at(string_length(from.as_bytes()));
            match serde_json::from_str::<String>(token) {
                Ok(text) => append_ascii_string(&mut out, &text),
                // Half of a surrogate pair; such a token is ASCII already.
                Err(_) => out.push_str(token),
            }
            rest = after;
        } else {
            let (separator, after) = from.split_at(1);
            out.push_str(separator);
            out.push(' ');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn append_ascii_string(out: &mut String, text: &str) {
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
    fn writes_lists_of_strings() {
        assert_eq!(repr_list(&[]), "[]");
        assert_eq!(repr_list(&["a", "it's"]), "['a', \"it's\"]");
    }

    #[test]
    fn writes_spaced_ascii_json() {
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
