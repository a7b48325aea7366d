//! JSON, parsed independently of the host.

use serde_json::Value;

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
