//! JSON, parsed independently of the host.

use serde_json::Value;

/// Parses a text that the host accepts as a body: JSON, or JSON with `NaN`,
/// `Infinity` and `-Infinity`, which are read as `null`. None if only this parser
/// has a limit: depth, the size of a number, or escaped lone surrogates.
pub(crate) fn body(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(_) => value(&without_non_finite(text)),
    }
}

/// Replaces the numbers that Python writes and JSON lacks by `null`.
fn without_non_finite(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let word = ["NaN", "Infinity", "-Infinity"]
            .iter()
            .find(|word| from.starts_with(**word));
        let length = match word {
            Some(word) => {
                out.push_str("null");
                word.len()
            }
            None => {
                let length = string_length(from).unwrap_or(1);
                out.push_str(&from[..length]);
                length
            }
        };
        rest = &from[length..];
    }
    out + rest
}

/// Returns the length of the string that a text begins with, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    loop {
        match chars.next() {
            Some((_, '\\')) => {
                chars.next();
            }
            Some((at, '"')) => return Some(at + 2),
            Some(_) => {}
            None => return Some(text.len()),
        }
    }
}

/// Parses a text that the host accepts as JSON. None if only this parser has a
/// limit: depth, the size of a number, or escaped lone surrogates.
pub(crate) fn value(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let message = error.to_string();
            let own = [
                "recursion limit",
                "number out of range",
                "surrogate",
                "hex escape",
            ];
            assert!(
                own.iter().any(|limit| message.contains(limit)),
                "{message}: {text:?}"
            );
            None
        }
    }
}

/// Removes white space between tokens.
pub(crate) fn minified(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                out.push(c);
                while let Some(c) = chars.next() {
                    out.push(c);
                    match c {
                        '"' => break,
                        '\\' => out.extend(chars.next()),
                        _ => {}
                    }
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// Returns whether a text is a JSON object; none if the parser's own limits
/// prevent an answer.
pub(crate) fn is_object(text: &str) -> Option<bool> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Some(value.is_object()),
        Err(error) => {
            let message = error.to_string();
            let own = [
                "recursion limit",
                "number out of range",
                "surrogate",
                "hex escape",
            ];
            if own.iter().any(|limit| message.contains(limit)) {
                None
            } else {
                Some(false)
            }
        }
    }
}
