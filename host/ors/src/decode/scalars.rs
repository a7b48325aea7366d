//! Reads the values of fields: strings, integers, booleans, objects and lists.
//!
//! Coerces as the reference does
//! (`docs/src/reference/wire-contract.md#section-4`): an integer may be written as a
//! string, a float or a boolean, and a boolean as a word or a number.

use orwd_model::Json;
use serde_json::value::RawValue;

use super::field_value::FieldValue;
use super::validation_error::ValidationError;

/// An integer of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    /// It fits into 64 bits.
    Within(i64),
    /// It is less than [`i64::MIN`].
    Below,
    /// It is greater than [`i64::MAX`].
    Above,
}

impl Integer {
    /// Returns the value if it fits into 64 bits.
    pub(crate) fn exact(self) -> Option<i64> {
        match self {
            Integer::Within(value) => Some(value),
            Integer::Below | Integer::Above => None,
        }
    }

    /// Returns the nearest value that fits into 64 bits.
    pub(crate) fn saturated(self) -> i64 {
        match self {
            Integer::Within(value) => value,
            Integer::Below => i64::MIN,
            Integer::Above => i64::MAX,
        }
    }
}

/// Reads a string.
pub(crate) fn string(value: FieldValue<'_, '_>) -> Option<String> {
    if !value.text().starts_with('"') {
        return value.fail(&ValidationError::StringType);
    }
    match serde_json::from_str(value.text()) {
        Ok(text) => Some(text),
        Err(_) => value.fail(&ValidationError::StringUnicode),
    }
}

/// Reads an integer, also from a string, a float or a boolean.
pub(crate) fn integer(value: FieldValue<'_, '_>) -> Option<Integer> {
    if value.non_finite.is(value.text()) {
        return value.fail(&ValidationError::FiniteNumber);
    }
    let text = value.text();
    let read = match text.bytes().next() {
        Some(b't') => Ok(Integer::Within(1)),
        Some(b'f') => Ok(Integer::Within(0)),
        Some(b'-' | b'0'..=b'9') => integer_from_number(text),
        Some(b'"') => serde_json::from_str::<String>(text)
            .ok()
            .and_then(|text| integer_from_string(&text))
            .ok_or(ValidationError::IntParsing),
        _ => Err(ValidationError::IntType),
    };
    match read {
        Ok(integer) => Some(integer),
        Err(error) => value.fail(&error),
    }
}

fn integer_from_number(text: &str) -> Result<Integer, ValidationError> {
    if let Some(integer) = parse_digits(text) {
        return Ok(integer);
    }
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 => Ok(integer_from_float(value)),
        Ok(value) if value.is_infinite() => Ok(integer_from_float(value)),
        _ => Err(ValidationError::IntFromFloat),
    }
}

/// Converts a float without a fraction.
fn integer_from_float(value: f64) -> Integer {
    // The casts saturate, and the bounds are powers of two, hence exact.
    if value >= i64::MAX as f64 {
        Integer::Above
    } else if value < i64::MIN as f64 {
        Integer::Below
    } else {
        Integer::Within(value as i64)
    }
}

/// Parses an integer with optional white space around it, a sign, underscores
/// between digits, and a fraction of zeros.
fn integer_from_string(text: &str) -> Option<Integer> {
    let text = text.trim();
    let text = match text.split_once('.') {
        Some((integer, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => integer,
        Some(_) => return None,
        None => text,
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with('_') || unsigned.ends_with('_') || unsigned.contains("__") {
        return None;
    }
    parse_digits(&text.replace('_', ""))
}

/// Parses digits with an optional sign.
fn parse_digits(text: &str) -> Option<Integer> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match text.parse() {
        Ok(value) => Integer::Within(value),
        Err(_) if text.starts_with('-') => Integer::Below,
        Err(_) => Integer::Above,
    })
}

/// Reads a boolean, also from a word or a number.
pub(crate) fn boolean(value: FieldValue<'_, '_>) -> Option<bool> {
    let word = match value.text() {
        string if string.starts_with('"') => serde_json::from_str::<String>(string).ok(),
        bare => Some(bare.to_owned()),
    };
    let word = word.map(|word| word.to_ascii_lowercase());
    match word.as_deref() {
        Some("true" | "t" | "yes" | "y" | "on" | "1" | "1.0") => Some(true),
        Some("false" | "f" | "no" | "n" | "off" | "0" | "0.0") => Some(false),
        _ => value.fail(&ValidationError::BoolType),
    }
}

/// Reads an object of any content.
pub(crate) fn object(value: FieldValue<'_, '_>) -> Option<Json> {
    match Json::from_raw(value.raw) {
        Ok(json) => Some(match value.non_finite.place_in(value.text()) {
            Some(place) => json.with_non_finite(place),
            None => json,
        }),
        Err(_) => value.fail(&ValidationError::DictType),
    }
}

/// Reads a list, each item with `read`.
pub(crate) fn list<'a, T>(
    value: FieldValue<'_, 'a>,
    mut read: impl FnMut(FieldValue<'_, 'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let items: Option<Vec<&'a RawValue>> = value
        .text()
        .starts_with('[')
        .then(|| serde_json::from_str(value.text()).ok())
        .flatten();
    let Some(items) = items else {
        return value.fail(&ValidationError::ListType);
    };
    let length = items.len();
    let mut values = Vec::with_capacity(length);
    for (at, raw) in items.into_iter().enumerate() {
        values.extend(read(FieldValue {
            raw,
            location: &value.location.index(at),
            non_finite: value.non_finite,
            errors: value.errors,
        }));
    }
    (values.len() == length).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::non_finite::NonFinite;
    use crate::decode::validation_error::{Location, ValidationErrors};

    fn value<'s, 'a>(raw: &'a RawValue, errors: &'s mut ValidationErrors) -> FieldValue<'s, 'a> {
        FieldValue {
            raw,
            location: &Location::BODY,
            non_finite: NonFinite::default(),
            errors,
        }
    }

    fn types(errors: &ValidationErrors) -> Vec<String> {
        let list: Vec<serde_json::Value> = serde_json::from_str(&errors.to_json()).unwrap();
        list.iter()
            .map(|item| format!("{} {}", item["type"].as_str().unwrap(), item["loc"]))
            .collect()
    }

    #[test]
    fn reads_integers_of_many_forms() {
        use Integer::{Above, Below, Within};
        for (text, expected) in [
            ("2", Ok(Within(2))),
            ("-1", Ok(Within(-1))),
            ("-0", Ok(Within(0))),
            ("2.0", Ok(Within(2))),
            ("2e1", Ok(Within(20))),
            ("true", Ok(Within(1))),
            ("false", Ok(Within(0))),
            ("\"2\"", Ok(Within(2))),
            ("\" -2 \"", Ok(Within(-2))),
            ("\"+1_000\"", Ok(Within(1000))),
            ("\"2.00\"", Ok(Within(2))),
            ("9223372036854775807", Ok(Within(i64::MAX))),
            ("9223372036854775808", Ok(Above)),
            ("-9223372036854775808", Ok(Within(i64::MIN))),
            ("-9223372036854775809", Ok(Below)),
            ("1e30", Ok(Above)),
            ("-1e999", Ok(Below)),
            ("1.5", Err("int_from_float [\"body\"]")),
            ("\"x\"", Err("int_parsing [\"body\"]")),
            ("\"\"", Err("int_parsing [\"body\"]")),
            ("\"1.5\"", Err("int_parsing [\"body\"]")),
            ("\"1.\"", Err("int_parsing [\"body\"]")),
            ("\"_1\"", Err("int_parsing [\"body\"]")),
            ("\"1__0\"", Err("int_parsing [\"body\"]")),
            ("null", Err("int_type [\"body\"]")),
            ("[1]", Err("int_type [\"body\"]")),
            ("{}", Err("int_type [\"body\"]")),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let mut errors = ValidationErrors::new();
            let read = integer(value(raw, &mut errors));
            match expected {
                Ok(value) => {
                    assert_eq!(read, Some(value), "{text}");
                    assert!(!errors.any(), "{text}");
                }
                Err(wire_type) => {
                    assert_eq!(read, None, "{text}");
                    assert_eq!(types(&errors), [wire_type], "{text}");
                }
            }
        }
    }

    #[test]
    fn reads_booleans_of_many_forms() {
        for (text, expected) in [
            ("true", Some(true)),
            ("0", Some(false)),
            ("1.0", Some(true)),
            ("\"Yes\"", Some(true)),
            ("\"off\"", Some(false)),
            ("null", None),
            ("2", None),
            ("\"\"", None),
            ("[]", None),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let mut errors = ValidationErrors::new();
            assert_eq!(boolean(value(raw, &mut errors)), expected, "{text}");
            assert_eq!(errors.any(), expected.is_none());
        }
    }

    #[test]
    fn refuses_half_of_a_surrogate_pair() {
        for (text, expected) in [
            ("\"\\u00e9\"", None),
            ("\"\\ud800\"", Some("string_unicode [\"body\"]")),
            ("null", Some("string_type [\"body\"]")),
            ("3", Some("string_type [\"body\"]")),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let mut errors = ValidationErrors::new();
            string(value(raw, &mut errors));
            assert_eq!(types(&errors).first().map(String::as_str), expected);
        }
    }
}
