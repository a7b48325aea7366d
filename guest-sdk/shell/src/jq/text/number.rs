//! Numbers: whole numbers are exact to 64 bits, all others are floats, written as `jq`
//! writes them.

use std::fmt::Write;

use crate::jq::value::Value;

/// Whole numbers up to here have one float each.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns a float as a value.
pub(crate) fn value(number: f64) -> Value {
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() < EXACT && !is_negative_zero {
        Value::Int(number as i64)
    } else {
        Value::Float(number)
    }
}

/// Reads a number.
pub(crate) fn parse(text: &str) -> Option<Value> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(if number == 0 && text.starts_with('-') {
            Value::Float(-0.0)
        } else {
            Value::Int(number)
        });
    }
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let number: f64 = text.parse().ok().filter(|_| is_number)?;
    Some(value(number))
}

/// Writes a float. There is no text for what is no number.
pub(crate) fn write(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str("null");
        return;
    }
    let number = number.clamp(f64::MIN, f64::MAX);
    if number.is_sign_negative() {
        out.push('-');
    }
    // The shortest digits that name the number, and the place of its point.
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = exponent + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    if number == 0.0 {
        out.push('0');
    } else if point <= -4 || point > count + 15 {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            let _ = write!(out, ".{rest}");
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    } else if point <= 0 {
        out.push_str("0.");
        out.extend((point..0).map(|_| '0'));
        out.push_str(&digits);
    } else {
        let place = usize::try_from(point).unwrap_or(0).min(digits.len());
        let (whole, fraction) = digits.split_at(place);
        out.push_str(whole);
        out.extend((count..point).map(|_| '0'));
        if !fraction.is_empty() {
            let _ = write!(out, ".{fraction}");
        }
    }
}
