//! The validation errors of a body: the array of a 422 response
//! (`docs/src/reference/wire-contract.md#section-4`).
//!
//! A response reports all errors of a body at once. Their number, and how much
//! of the body each repeats, are bounded, so that an invalid body cannot cause a
//! much larger response.

use std::borrow::Cow;
use std::fmt::Write;

use crate::encode::json::append_json;

/// The number of errors that a response reports.
const MAX_ERRORS: usize = 64;

/// The bytes up to which an error repeats its input in full.
const MAX_INPUT_LENGTH: usize = 2048;

/// A position in a body: the path from its root, linked so that a valid body
/// allocates nothing for it.
#[derive(Clone, Copy)]
pub(crate) struct Location<'p> {
    parent: Option<&'p Location<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

impl<'p> Location<'p> {
    /// The body itself.
    pub(crate) const BODY: Location<'static> = Location {
        parent: None,
        step: Step::Key("body"),
    };

    /// Returns the location of a field of the object at this location.
    pub(crate) fn key(&'p self, key: &'p str) -> Location<'p> {
        Location {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// Returns the location of an item of the list at this location.
    pub(crate) fn index(&'p self, index: usize) -> Location<'p> {
        Location {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    fn append_to(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.append_to(out);
            out.push(',');
        }
        match self.step {
            Step::Key(key) => append_json(out, key),
            Step::Index(index) => append_json(out, &index),
        }
    }
}

/// What is wrong with a value. The names are those of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ValidationError {
    /// A field is absent.
    Missing,
    /// A field is not declared.
    ExtraForbidden,
    /// Not a string.
    StringType,
    /// A string with half of a surrogate pair.
    StringUnicode,
    /// Not an integer.
    IntType,
    /// A number with a fraction.
    IntFromFloat,
    /// A string that is not an integer.
    IntParsing,
    /// `NaN` or an infinity, where an integer is expected.
    FiniteNumber,
    /// Not a boolean.
    BoolType,
    /// Not an object, where any object is valid.
    DictType,
    /// Not an object, where one with known fields is expected.
    ModelType,
    /// Not a list.
    ListType,
    /// Not one of the expected words, which are given as a readable list.
    Literal(&'static str),
    /// A rule between fields is violated; the text says which.
    Value(Cow<'static, str>),
}

impl ValidationError {
    fn wire_type(&self) -> &'static str {
        match self {
            ValidationError::Missing => "missing",
            ValidationError::ExtraForbidden => "extra_forbidden",
            ValidationError::StringType => "string_type",
            ValidationError::StringUnicode => "string_unicode",
            ValidationError::IntType => "int_type",
            ValidationError::IntFromFloat => "int_from_float",
            ValidationError::IntParsing => "int_parsing",
            ValidationError::FiniteNumber => "finite_number",
            ValidationError::BoolType => "bool_type",
            ValidationError::DictType => "dict_type",
            ValidationError::ModelType => "model_attributes_type",
            ValidationError::ListType => "list_type",
            ValidationError::Literal(_) => "literal_error",
            ValidationError::Value(_) => "value_error",
        }
    }

    fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            ValidationError::Missing => "Field required",
            ValidationError::ExtraForbidden => "Extra inputs are not permitted",
            ValidationError::StringType => "Input should be a valid string",
            ValidationError::StringUnicode => {
                "Input should be a valid string, unable to parse raw data as a unicode string"
            }
            ValidationError::IntType => "Input should be a valid integer",
            ValidationError::IntFromFloat => {
                "Input should be a valid integer, got a number with a fractional part"
            }
            ValidationError::IntParsing => {
                "Input should be a valid integer, unable to parse string as an integer"
            }
            ValidationError::FiniteNumber => "Input should be a finite number",
            ValidationError::BoolType => "Input should be a valid boolean",
            ValidationError::DictType => "Input should be a valid dictionary",
            ValidationError::ModelType => {
                "Input should be a valid dictionary or object to extract fields from"
            }
            ValidationError::ListType => "Input should be a valid list",
            ValidationError::Literal(expected) => {
                return Cow::Owned(format!("Input should be {expected}"));
            }
            ValidationError::Value(rule) => return Cow::Owned(format!("Value error, {rule}")),
        })
    }

    fn append_context(&self, out: &mut String) {
        match self {
            ValidationError::Literal(expected) => {
                out.push_str(",\"ctx\":{\"expected\":");
                append_json(out, expected);
                out.push('}');
            }
            ValidationError::Value(_) => out.push_str(",\"ctx\":{\"error\":{}}"),
            _ => {}
        }
    }
}

/// Returns whether every JSON parser accepts this text. Its syntax is valid, but
/// an escape may stand for half of a surrogate pair.
fn is_portable_json(json: &str) -> bool {
    !json.contains("\\u") || serde_json::from_str::<serde_json::Value>(json).is_ok()
}

/// The errors found so far, already as the text of the array. An error repeats
/// the client's own spelling, white space included, which a tree of values would
/// lose.
#[derive(Debug, Default)]
pub(crate) struct ValidationErrors {
    found: usize,
    items: String,
}

impl ValidationErrors {
    pub(crate) fn new() -> ValidationErrors {
        ValidationErrors::default()
    }

    /// Adds the error of the value at a location; `input` is its JSON text.
    pub(crate) fn push(&mut self, error: &ValidationError, location: &Location<'_>, input: &str) {
        self.found += 1;
        if self.found > MAX_ERRORS {
            return;
        }
        if !self.items.is_empty() {
            self.items.push(',');
        }
        let out = &mut self.items;
        let _ = write!(out, "{{\"type\":\"{}\",\"loc\":[", error.wire_type());
        location.append_to(out);
        out.push_str("],\"msg\":");
        append_json(out, &error.message());
        out.push_str(",\"input\":");
        if input.len() > MAX_INPUT_LENGTH {
            let start: String = input.chars().take(MAX_INPUT_LENGTH / 4).collect();
            append_json(out, &format!("{start}…"));
        } else if is_portable_json(input) {
            out.push_str(input);
        } else {
            append_json(out, input);
        }
        error.append_context(out);
        out.push('}');
    }

    /// Returns the error of a body that is not JSON: the offset of the syntax
    /// error, and its reason.
    pub(crate) fn invalid_json(offset: usize, reason: &str) -> ValidationErrors {
        let mut items = format!(
            "{{\"type\":\"json_invalid\",\"loc\":[\"body\",{offset}],\
             \"msg\":\"JSON decode error\",\"input\":{{}},\"ctx\":{{\"error\":"
        );
        append_json(&mut items, reason);
        items.push_str("}}");
        ValidationErrors { found: 1, items }
    }

    /// Returns the value that was read, if there are no errors. A reader returns
    /// `None` only if it has pushed an error.
    pub(crate) fn into_result<T>(self, value: Option<T>) -> Result<T, ValidationErrors> {
        match value {
            Some(value) if self.found == 0 => Ok(value),
            _ => Err(self),
        }
    }

    /// Returns whether there is any error.
    pub(crate) fn any(&self) -> bool {
        self.found > 0
    }

    /// Returns whether no further error will be reported.
    pub(crate) fn is_full(&self) -> bool {
        self.found >= MAX_ERRORS
    }

    /// Returns the array.
    pub(crate) fn to_json(&self) -> String {
        format!("[{}]", self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_errors_in_order_with_their_location() {
        let mut errors = ValidationErrors::new();
        let list = Location::BODY.key("candidates");
        let item = list.index(0);
        errors.push(&ValidationError::Missing, &item.key("messages"), "{}");
        errors.push(
            &ValidationError::Literal("'a' or 'b'"),
            &Location::BODY.key("é\""),
            "3",
        );
        assert_eq!(
            errors.to_json(),
            "[{\"type\":\"missing\",\"loc\":[\"body\",\"candidates\",0,\"messages\"],\
             \"msg\":\"Field required\",\"input\":{}},\
             {\"type\":\"literal_error\",\"loc\":[\"body\",\"é\\\"\"],\
             \"msg\":\"Input should be 'a' or 'b'\",\"input\":3,\
             \"ctx\":{\"expected\":\"'a' or 'b'\"}}]"
        );
    }

    #[test]
    fn an_invalid_body_cannot_cause_a_large_response() {
        let mut errors = ValidationErrors::new();
        let input = format!("\"{}\"", "x".repeat(100_000));
        for _ in 0..10_000 {
            errors.push(&ValidationError::IntType, &Location::BODY, &input);
        }
        assert_eq!(errors.found, 10_000);
        let json = errors.to_json();
        assert!(json.len() < 64 * 1024, "{} bytes", json.len());
        let read: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(read.len(), MAX_ERRORS);
    }
}
