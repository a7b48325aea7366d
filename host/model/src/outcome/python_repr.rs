//! Python string literals. Some messages of the protocol contain a name in this
//! form, and clients match on them.

use std::fmt::Write;

/// Returns what Python's `repr` returns for the string. The quotes are single,
/// or double if the text has a single quote and no double quote.
pub fn python_repr(text: &str) -> String {
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
            // Rust and Python escape nearly the same characters: those that do not
            // print.
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
    fn quotes_and_escapes_as_python_does() {
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
            assert_eq!(python_repr(text), expected, "{text:?}");
        }
    }
}
