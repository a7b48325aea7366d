//! Values from texts and texts from values, as programs ask for them.

use super::json::{self, Reader, Style};
use super::number;
use crate::jq::budget;
use crate::jq::operators::admit_text;
use crate::jq::value::{Failure, Value};

/// Returns a value as JSON text.
pub(crate) fn to_json(value: &Value) -> Result<String, Failure> {
    // An escaped character may take six bytes.
    admit_text(value.weight() as f64)?;
    budget::spend_bytes(value.weight() as usize)?;
    let mut text = String::new();
    json::write(&mut text, value, &Style::COMPACT);
    Ok(text)
}

/// Reads the one value of a JSON text.
pub(crate) fn from_json(value: &Value) -> Result<Value, Failure> {
    let Some(text) = value.as_text() else {
        let message = format_args!("{} cannot be parsed as JSON", value.named());
        return Err(Failure::str(message));
    };
    let fail = |why: &str| {
        let start: String = text.chars().take(100).collect();
        Failure::str(format_args!("{why} (while parsing '{start}')"))
    };
    let mut values = Reader::new(text);
    let value = match values.next() {
        None => return Ok(Value::Null),
        Some(value) => value.map_err(|why| fail(&why))?,
    };
    match values.next() {
        None => Ok(value),
        Some(_) => Err(fail("Unexpected extra JSON values")),
    }
}

/// Reads a number from a text.
pub(crate) fn to_number(value: Value) -> Result<Value, Failure> {
    match &value {
        Value::Int(_) | Value::Float(_) => Ok(value),
        Value::Text(text) => number::parse(text.trim()).ok_or_else(|| {
            let start: String = text.chars().take(100).collect();
            Failure::str(format_args!(
                "Invalid numeric literal (while parsing '{start}')"
            ))
        }),
        other => Err(Failure::str(format_args!(
            "{} cannot be parsed as a number",
            other.named()
        ))),
    }
}
