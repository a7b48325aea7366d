//! JSON, looked at by other means than the host's.

use serde_json::Value;

/// Reads a text that the host takes for JSON. None if it is right, and only
/// this reader has a limit there: depth, the size of a number, and halves of
/// characters written as escapes.
pub(crate) fn value(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let told = error.to_string();
            let own = [
                "recursion limit",
                "number out of range",
                "surrogate",
                "hex escape",
            ];
            assert!(
                own.iter().any(|limit| told.contains(limit)),
                "{told}: {text:?}"
            );
            None
        }
    }
}

/// The text without white space between its tokens.
pub(crate) fn squeezed(text: &str) -> String {
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

/// Whether a text is an object by its first and last character and by a reader
/// that knows JSON; none if that reader's own limits keep it from saying.
pub(crate) fn is_object(text: &str) -> Option<bool> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Some(value.is_object()),
        Err(error) => {
            let told = error.to_string();
            let own = [
                "recursion limit",
                "number out of range",
                "surrogate",
                "hex escape",
            ];
            if own.iter().any(|limit| told.contains(limit)) {
                None
            } else {
                Some(false)
            }
        }
    }
}
