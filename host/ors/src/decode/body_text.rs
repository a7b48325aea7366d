//! A request body as text, from which [`JsonBody`] takes its parts.
//!
//! A body that is no JSON as it stands is parsed again without the words of
//! [`non_finite`](super::non_finite), so that other bodies cost nothing more.

use std::sync::OnceLock;

use bytes::Bytes;

use super::json_body::{BodyParseError, JsonBody};
use super::non_finite::Replaced;
use crate::connection::body::BodyCharge;

/// The text of a body.
#[derive(Debug)]
pub(crate) struct BodyText {
    sent: Bytes,
    /// Set if the body is no JSON as it stands.
    replaced: OnceLock<Option<Replaced>>,
    _charge: BodyCharge,
}

impl BodyText {
    pub(crate) fn new(sent: Bytes) -> BodyText {
        BodyText {
            sent,
            replaced: OnceLock::new(),
            _charge: None,
        }
    }

    /// Keeps the charge of the body as long as the text.
    pub(crate) fn with_charge(self, charge: BodyCharge) -> BodyText {
        BodyText {
            _charge: charge,
            ..self
        }
    }

    /// Returns the body as the client sent it.
    pub(crate) fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// Parses the body; `is_json` says whether its content type is JSON.
    pub(crate) fn parse(&self, is_json: bool) -> Result<JsonBody<'_>, BodyParseError> {
        let parsed = JsonBody::parse(&self.sent, is_json);
        let Err(BodyParseError::InvalidJson(_)) = &parsed else {
            return parsed;
        };
        match self.replaced.get_or_init(|| Replaced::new(&self.sent)) {
            Some(replaced) => {
                let body = JsonBody::parse(replaced.text(), is_json)?;
                Ok(body.with_non_finite(replaced.numbers()))
            }
            None => parsed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::requests::{CallRequest, CreateRequest, ScoreRequest, TaskRangeRequest};
    use super::*;

    fn text(body: &str) -> BodyText {
        BodyText::new(Bytes::from(body.to_owned()))
    }

    /// Returns the first error of a body.
    fn error<T: std::fmt::Debug>(
        body: &str,
        read: impl FnOnce(JsonBody<'_>) -> Result<T, super::super::validation_error::ValidationErrors>,
    ) -> String {
        let text = text(body);
        let errors = read(text.parse(true).unwrap()).unwrap_err();
        let list: Vec<serde_json::Value> = serde_json::from_str(&errors.to_json()).unwrap();
        format!("{} {}", list[0]["type"].as_str().unwrap(), list[0]["loc"])
    }

    #[test]
    fn an_object_names_its_number_that_json_cannot_express() {
        let call = text(r#"{"name":"t","input":{"a":[1,NaN],"b":"NaN"}}"#);
        let request = CallRequest::read(call.parse(true).unwrap()).unwrap();
        assert_eq!(request.input.as_str(), r#"{"a":[1,null],"b":"NaN"}"#);
        assert_eq!(request.input.non_finite(), Some("a[1]"));
        // The last of a repeated member counts.
        let call = text(r#"{"name":"t","input":{"a":NaN},"input":{"a":null}}"#);
        let request = CallRequest::read(call.parse(true).unwrap()).unwrap();
        assert_eq!(request.input.non_finite(), None);
    }

    #[test]
    fn a_field_of_another_kind_refuses_it() {
        for (body, expected) in [
            (
                r#"{"split":"a","index":NaN}"#,
                "finite_number [\"body\",\"index\"]",
            ),
            (
                r#"{"split":NaN,"index":0}"#,
                "string_type [\"body\",\"split\"]",
            ),
            (
                r#"{"task_spec":-Infinity}"#,
                "dict_type [\"body\",\"task_spec\"]",
            ),
        ] {
            assert_eq!(error(body, CreateRequest::read), expected, "{body}");
        }
        assert_eq!(
            error(r#"{"split":"a","start":Infinity}"#, TaskRangeRequest::read),
            "finite_number [\"body\",\"start\"]"
        );
        assert_eq!(
            error(r#"{"name":"t","input":NaN}"#, CallRequest::read),
            "dict_type [\"body\",\"input\"]"
        );
        assert_eq!(
            error(
                r#"{"candidates":[{"messages":[],"metadata":NaN}]}"#,
                ScoreRequest::read
            ),
            "dict_type [\"body\",\"candidates\",0,\"metadata\"]"
        );
        assert_eq!(
            error("NaN", CallRequest::read),
            "model_attributes_type [\"body\"]"
        );
    }

    #[test]
    fn what_is_no_json_otherwise_stays_refused() {
        for body in ["[NaN", "{\"a\":NaN,}", "[NaN NaN]", "{NaN:1}", "[-NaN]"] {
            assert!(
                matches!(text(body).parse(true), Err(BodyParseError::InvalidJson(_))),
                "{body}"
            );
        }
        // Another content type is not read as JSON.
        assert!(matches!(
            text("[NaN]").parse(false),
            Ok(JsonBody::Text(b"[NaN]"))
        ));
    }
}
