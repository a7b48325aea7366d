//! Text as a Python string literal, the way some messages of the protocol hold
//! a name; clients match on those.

use std::fmt::Write;

/// A string literal: single quotes, double ones where the text has a single
/// quote and no double one.
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            '\'' | '"' => out.push(c),
            // Rust escapes nearly what Python does: what does not print.
            c if c.escape_debug().len() == 1 => out.push(c),
            c => escape_number(&mut out, u32::from(c)),
        }
    }
    out.push(quote);
    out
}

fn escape_number(out: &mut String, code: u32) {
    // Writing to a string cannot fail.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_writes_it() {
        for (text, expected) in [
            ("nope", "'nope'"),
            ("", "''"),
            ("it's", "\"it's\""),
            ("a'b\"c", "'a\\'b\"c'"),
            ("l\n\u{1}\\", "'l\\n\\x01\\\\'"),
            ("é漢", "'é漢'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
