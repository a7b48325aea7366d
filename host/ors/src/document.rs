//! A request body as a document: what can be said of it before its fields are
//! looked at (wire contract section 4).
//!
//! Whether a body is JSON is told before the session is looked up; what its
//! fields are, afterwards. So reading a body has these two steps.

use serde_json::value::RawValue;

use super::fields::{Members, Reader};
use super::problems::{Loc, Mistake, Problems};

/// A body whose syntax is known to be right.
#[derive(Debug)]
pub(super) enum Document<'a> {
    /// Nothing was sent.
    Empty,
    /// An object.
    Object(Members<'a>),
    /// Another JSON value.
    Other(&'a RawValue),
    /// Text that does not claim to be JSON.
    Text(&'a [u8]),
}

/// Why a body is no document.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It claims to be JSON and is not.
    NotJson(Problems),
    /// It claims to be JSON and is not UTF-8.
    NotText,
}

impl<'a> Document<'a> {
    /// Reads a body; `json` says whether it claims to be JSON.
    pub(super) fn parse(body: &'a [u8], json: bool) -> Result<Document<'a>, Unreadable> {
        if body.is_empty() {
            return Ok(Document::Empty);
        }
        if !json {
            return Ok(Document::Text(body));
        }
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let start = text.trim_start_matches([' ', '\t', '\r', '\n']);
        let parsed = if start.starts_with('{') {
            Members::parse(start).map(Document::Object)
        } else {
            serde_json::from_str(start).map(Document::Other)
        };
        parsed.map_err(|error| {
            let skipped = text.len() - start.len();
            let offset = skipped + offset(start, error.line(), error.column());
            Unreadable::NotJson(Problems::not_json(offset, &reason(&error)))
        })
    }

    /// Reads the fields of the object that the body should be.
    pub(super) fn read<T>(
        self,
        fields: impl FnOnce(Reader<'_, 'a>) -> Option<T>,
    ) -> Result<T, Problems> {
        let mut problems = Problems::new();
        let value = match self {
            Document::Object(members) => fields(Reader::new(members, Loc::BODY, &mut problems)),
            Document::Empty => {
                problems.push(&Mistake::Missing, &Loc::BODY, "null");
                None
            }
            Document::Other(raw) => {
                problems.push(&Mistake::Model, &Loc::BODY, raw.get());
                None
            }
            Document::Text(bytes) => {
                let text = serde_json::Value::from(String::from_utf8_lossy(bytes));
                problems.push(&Mistake::Model, &Loc::BODY, &text.to_string());
                None
            }
        };
        problems.or(value)
    }
}

/// What a parser says, without the place, which is told apart.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// Where a line and a column are in a text.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// Whether a content type claims JSON: `application/json` or
/// `application/…+json`, whatever its parameters.
pub(super) fn claims_json(content_type: &[u8]) -> bool {
    // The usual spelling first, without a copy.
    if content_type == b"application/json" {
        return true;
    }
    let Ok(text) = std::str::from_utf8(content_type) else {
        return false;
    };
    let kind = text.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::super::fields::string;
    use super::*;

    fn detail(body: &str, json: bool) -> String {
        let problems = match Document::parse(body.as_bytes(), json) {
            Ok(document) => document
                .read(|mut reader| reader.required("split", string))
                .unwrap_err(),
            Err(Unreadable::NotJson(problems)) => problems,
            Err(Unreadable::NotText) => return "not text".to_owned(),
        };
        problems.to_json()
    }

    #[test]
    fn content_types() {
        for (text, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/json", false),
            ("application/jsonx", false),
            ("application/octet-stream", false),
            ("", false),
        ] {
            assert_eq!(claims_json(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn bodies_that_are_no_object() {
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
    fn bytes_that_are_no_text() {
        assert!(matches!(
            Document::parse(b"{\"a\":\"\xff\"}", true),
            Err(Unreadable::NotText)
        ));
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let document = Document::parse("\u{feff}{\"split\":\"a\"}".as_bytes(), true).unwrap();
        let split = document.read(|mut reader| reader.required("split", string));
        assert_eq!(split.unwrap(), "a");
    }
}
