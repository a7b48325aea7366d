//! Coercion of scalars to integers, numbers and booleans.
//!
//! The rules are those of pydantic's lax mode, which agents and environments are
//! used to. No value is coerced to a string or to null.

use serde_json::{Number, Value};

/// Coerces a value to an integer.
pub(super) fn integer(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(truth) => Some(i64::from(*truth).into()),
        Value::Number(number) => whole(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            let text = text.strip_prefix('+').unwrap_or(text);
            // `3.0` is three, however many zeros it has.
            let digits = match text.split_once('.') {
                Some((digits, zeros)) if zeros.bytes().all(|byte| byte == b'0') => digits,
                Some(_) => return None,
                None => text,
            };
            let signed = digits.parse::<i64>().ok().map(Value::from);
            signed.or_else(|| digits.parse::<u64>().ok().map(Value::from))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Coerces a value to a number. It is finite, as in all JSON.
pub(super) fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(truth) => Some(f64::from(*truth).into()),
        Value::String(text) => {
            let number = text.trim().parse().ok()?;
            Number::from_f64(number).map(Value::Number)
        }
        _ => None,
    }
}

/// Coerces a value to a boolean.
pub(super) fn boolean(value: &Value) -> Option<Value> {
    let truth = match value {
        Value::Number(number) => match number.as_f64()? {
            0.0 => false,
            1.0 => true,
            _ => return None,
        },
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => true,
            "0" | "false" | "f" | "no" | "n" | "off" => false,
            _ => return None,
        },
        _ => return None,
    };
    Some(Value::Bool(truth))
}

fn whole(number: f64) -> Option<Value> {
    // 2^63 and 2^64, the first values that do not fit.
    const SIGNED_END: f64 = 9_223_372_036_854_775_808.0;
    const UNSIGNED_END: f64 = 18_446_744_073_709_551_616.0;
    if number.fract() != 0.0 {
        return None;
    }
    if (-SIGNED_END..SIGNED_END).contains(&number) {
        Some((number as i64).into())
    } else if (0.0..UNSIGNED_END).contains(&number) {
        Some((number as u64).into())
    } else {
        None
    }
}
