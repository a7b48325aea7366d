//! The formats of strings: `@csv`, `@sh` and others.

use super::convert::to_json;
use crate::jq::budget;
use crate::jq::operators::admit_text;
use crate::jq::value::{Failure, Value};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns a value in a format.
pub(crate) fn format(value: &Value, name: &str) -> Result<String, Failure> {
    let text = || match value {
        Value::Text(text) => Ok(text.as_str().to_owned()),
        other => to_json(other),
    };
    match name {
        "json" => to_json(value),
        "text" => text(),
        "csv" => row(value, "csv", ",", |text| {
            format!("\"{}\"", text.replace('"', "\"\""))
        }),
        "tsv" => row(value, "tsv", "\t", |text| {
            let text = text.replace('\\', "\\\\").replace('\t', "\\t");
            text.replace('\n', "\\n").replace('\r', "\\r")
        }),
        "html" => {
            let text = text()?;
            admit_text(text.len() as f64 * 6.0)?;
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let text = text.replace('>', "&gt;").replace('\'', "&#39;");
            Ok(text.replace('"', "&quot;"))
        }
        "uri" => Ok(uri(&text()?)),
        "sh" => match value {
            Value::Array(array) => {
                let words: Result<Vec<_>, _> = array.items.iter().map(word).collect();
                Ok(words?.join(" "))
            }
            other => word(other),
        },
        "base64" => Ok(encode(text()?.as_bytes())),
        "base64d" => decode(&text()?),
        _ => Err(Failure::str(format_args!("{name} is not a valid format"))),
    }
}

/// Returns a row of a table.
fn row(
    value: &Value,
    name: &str,
    separator: &str,
    quote: impl Fn(&str) -> String,
) -> Result<String, Failure> {
    let Value::Array(array) = value else {
        let named = value.named();
        let message = format_args!("{named} cannot be {name}-formatted, only an array can be");
        return Err(Failure::str(message));
    };
    let mut row = String::new();
    for (i, item) in array.items.iter().enumerate() {
        budget::spend(1)?;
        if i > 0 {
            row.push_str(separator);
        }
        match item {
            Value::Null => {}
            Value::Text(text) => {
                admit_text(row.len() as f64 + text.len() as f64 * 2.0)?;
                row.push_str(&quote(text));
            }
            Value::Array(_) | Value::Object(_) => {
                let named = item.named();
                let message = format_args!("{named} is not valid in a {name} row");
                return Err(Failure::str(message));
            }
            other => row.push_str(&to_json(other)?),
        }
    }
    Ok(row)
}

/// Returns a value as a word of a command line.
fn word(value: &Value) -> Result<String, Failure> {
    budget::spend(1)?;
    match value {
        Value::Text(text) => {
            admit_text(text.len() as f64 * 4.0)?;
            Ok(format!("'{}'", text.replace('\'', "'\\''")))
        }
        Value::Array(_) | Value::Object(_) => Err(Failure::str(format_args!(
            "{} can not be escaped for shell",
            value.named()
        ))),
        other => to_json(other),
    }
}

fn uri(text: &str) -> String {
    let mut out = String::new();
    budget::count(1 + text.len() as u64 / 64);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| {
            bits << 8 | u32::from(chunk.get(i).copied().unwrap_or(0))
        });
        for i in 0..4 {
            let digit = BASE64.get((bits >> (18 - 6 * i)) as usize & 63);
            let digit = digit.filter(|_| i <= chunk.len());
            out.push(char::from(digit.copied().unwrap_or(b'=')));
        }
    }
    out
}

fn decode(text: &str) -> Result<String, Failure> {
    let fail = || {
        let named = Value::text(text).named();
        Failure::str(format_args!("{named} is not valid base64 data"))
    };
    let digits = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let place = BASE64.iter().position(|known| *known == digit);
        let place = place.and_then(|place| u32::try_from(place).ok());
        bits = bits << 6 | place.ok_or_else(fail)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    if digits.len() % 4 == 1 {
        return Err(fail());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
