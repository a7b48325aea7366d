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
    fn strings_are_quoted_as_python_quotes_them() {
        for (text, expected) in [
            ("nope", "'nope'"),
            ("", "''"),
            ("it's", "\"it's\""),
            ("say \"hi\"", "'say \"hi\"'"),
            ("'\"", "'\\'\"'"),
            ("a\\b\n\t\r", "'a\\\\b\\n\\t\\r'"),
            ("\u{1b}[0m\u{7f}", "'\\x1b[0m\\x7f'"),
            ("é漢😀", "'é漢😀'"),
            ("\u{2028}", "'\\u2028'"),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }
}
