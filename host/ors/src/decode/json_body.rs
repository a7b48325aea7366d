//! A request body before its fields are read.
//!
//! A syntax error is reported before the session is looked up, and a wrong field
//! afterwards (`docs/src/reference/wire-contract.md#section-4`), so a body is
//! read in these two steps.

use serde_json::value::RawValue;

use super::non_finite::NonFinite;
use super::object_reader::{ObjectMembers, ObjectReader};
use super::validation_error::{Location, ValidationError, ValidationErrors};

/// A body with valid syntax.
#[derive(Debug)]
pub(crate) enum JsonBody<'a> {
    /// The body is empty.
    Empty,
    /// A JSON object.
    Object(ObjectMembers<'a>),
    /// Another JSON value.
    Other(&'a RawValue),
    /// Text whose content type is not JSON.
    Text(&'a [u8]),
}

/// Why a body cannot be parsed.
#[derive(Debug)]
pub(crate) enum BodyParseError {
    /// The content type is JSON and the body is not.
    InvalidJson(ValidationErrors),
    /// The content type is JSON and the body is not UTF-8.
    NotUtf8,
}

impl<'a> JsonBody<'a> {
    /// Parses a body; `is_json` says whether its content type is JSON.
    pub(crate) fn parse(body: &'a [u8], is_json: bool) -> Result<JsonBody<'a>, BodyParseError> {
        if body.is_empty() {
            return Ok(JsonBody::Empty);
        }
        if !is_json {
            return Ok(JsonBody::Text(body));
        }
        let text = std::str::from_utf8(body).map_err(|_| BodyParseError::NotUtf8)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let start = text.trim_start_matches([' ', '\t', '\r', '\n']);
        let parsed = if start.starts_with('{') {
            ObjectMembers::parse(start).map(JsonBody::Object)
        } else {
            serde_json::from_str(start).map(JsonBody::Other)
        };
        parsed.map_err(|error| {
            let skipped = text.len() - start.len();
            let offset = skipped + byte_offset(start, error.line(), error.column());
            BodyParseError::InvalidJson(ValidationErrors::invalid_json(offset, &reason(&error)))
        })
    }

    /// Adds the numbers of the body that JSON cannot express.
    pub(crate) fn with_non_finite(self, non_finite: NonFinite<'a>) -> JsonBody<'a> {
        match self {
            JsonBody::Object(members) => JsonBody::Object(members.with_non_finite(non_finite)),
            other => other,
        }
    }

    /// Reads the fields of the object that the body should be.
    pub(crate) fn read<T>(
        self,
        read_fields: impl FnOnce(ObjectReader<'_, 'a>) -> Option<T>,
    ) -> Result<T, ValidationErrors> {
        let mut errors = ValidationErrors::new();
        let value = match self {
            JsonBody::Object(members) => {
                read_fields(ObjectReader::new(members, Location::BODY, &mut errors))
            }
            JsonBody::Empty => {
                errors.push(&ValidationError::Missing, &Location::BODY, "null");
                None
            }
            JsonBody::Other(raw) => {
                errors.push(&ValidationError::ModelType, &Location::BODY, raw.get());
                None
            }
            JsonBody::Text(bytes) => {
                let text = serde_json::Value::from(String::from_utf8_lossy(bytes));
                errors.push(
                    &ValidationError::ModelType,
                    &Location::BODY,
                    &text.to_string(),
                );
                None
            }
        };
        errors.into_result(value)
    }
}

/// Returns the parser's message without the position, which is reported apart.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// Converts a line and a column to an offset.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// Returns whether a content type is `application/json` or `application/…+json`,
/// with any parameters.
pub(crate) fn is_json_type(content_type: &[u8]) -> bool {
    // The usual spelling needs no copy.
    if content_type == b"application/json" {
        return true;
    }
    let Ok(text) = std::str::from_utf8(content_type) else {
        return false;
    };
    let media_type = text.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::super::scalars::string;
    use super::*;

    fn detail(text: &str, is_json: bool) -> String {
        let errors = match JsonBody::parse(text.as_bytes(), is_json) {
            Ok(body) => body
                .read(|mut reader| reader.required("split", string))
                .unwrap_err(),
            Err(BodyParseError::InvalidJson(errors)) => errors,
            Err(BodyParseError::NotUtf8) => return "not UTF-8".to_owned(),
        };
        errors.to_json()
    }

    #[test]
    fn recognises_json_content_types() {
        for (text, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/json", false),
            ("application/jsonx", false),
            ("application/octet-stream", false),
            ("", false),
        ] {
            assert_eq!(is_json_type(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn reports_bodies_that_are_not_objects() {
        for (body, json, expected) in [
            (
                "",
                true,
                r#"[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]"#,
            ),
            (
                "{}",
                true,
                r#"[{"type":"missing","loc":["body","split"],"msg":"Field required","input":{}}]"#,
            ),
            (
                " [1]",
                true,
                r#"[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]"#,
            ),
            (
                "{\"split\":\"a\"}",
                false,
                r#"[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"{\"split\":\"a\"}"}]"#,
            ),
            (
                " {bad",
                true,
                r#"[{"type":"json_invalid","loc":["body",2],"msg":"JSON decode error","input":{},"ctx":{"error":"key must be a string"}}]"#,
            ),
            (
                "{\"split\":\n  \"a\"} x",
                true,
                r#"[{"type":"json_invalid","loc":["body",17],"msg":"JSON decode error","input":{},"ctx":{"error":"trailing characters"}}]"#,
            ),
            (
                "{\"split\":NaN}",
                true,
                r#"[{"type":"json_invalid","loc":["body",9],"msg":"JSON decode error","input":{},"ctx":{"error":"expected value"}}]"#,
            ),
        ] {
            assert_eq!(detail(body, json), expected, "{body}");
        }
    }

    #[test]
    fn refuses_invalid_utf8() {
        assert!(matches!(
            JsonBody::parse(b"{\"a\":\"\xff\"}", true),
            Err(BodyParseError::NotUtf8)
        ));
    }

    #[test]
    fn skips_a_byte_order_mark() {
        let body = JsonBody::parse("\u{feff}{\"split\":\"a\"}".as_bytes(), true).unwrap();
        let split = body.read(|mut reader| reader.required("split", string));
        assert_eq!(split.unwrap(), "a");
    }
}
