//! Request bodies.
//!
//! Every body gives fields or validation errors. The errors are a list that
//! clients can parse, and each field equals what an independent parser finds
//! under its name.

use orwd_ors::fuzzing::{BodyRoute, ParsedBody, read_body};
use serde::Deserialize;
use serde_json::Value;

use crate::byte_reader::ByteReader;
use crate::json;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = ByteReader::new(bytes);
    let request = match input.below(6) {
        0 => BodyRoute::Split,
        1 => BodyRoute::Task,
        2 => BodyRoute::TaskRange,
        3 => BodyRoute::Create,
        4 => BodyRoute::Call,
        _ => BodyRoute::Score,
    };
    let body = input.rest();
    match read_body(request, body) {
        ParsedBody::NotUtf8 => assert!(std::str::from_utf8(body).is_err()),
        ParsedBody::Errors(problems) => are_problems(&problems),
        ParsedBody::Fields(fields) => {
            let text = std::str::from_utf8(body).expect("fields come from text");
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let Some(whole) = json::body(text) else {
                return;
            };
            for (name, said) in fields {
                is_said(&whole, name, &said);
            }
        }
    }
}

/// A validation error without its `input`, which may be a number that this
/// parser cannot represent.
#[derive(Deserialize)]
struct ValidationProblem {
    #[serde(rename = "type")]
    kind: String,
    loc: Vec<Value>,
    msg: String,
}

fn are_problems(problems: &str) {
    let list: Vec<ValidationProblem> = serde_json::from_str(problems).expect("problems are a list");
    assert!(!list.is_empty(), "a refusal without a reason");
    for problem in list {
        assert!(!problem.kind.is_empty() && !problem.msg.is_empty());
        assert_eq!(problem.loc.first(), Some(&Value::from("body")));
    }
}

/// Asserts that a field is unchanged. Numbers may have other spellings, and are
/// compared only if they were written as numbers.
fn is_said(whole: &Value, name: &str, said: &str) {
    let written = whole.get(name).unwrap_or(&Value::Null);
    let said: Value = serde_json::from_str(said).expect("a field is JSON");
    let is_same = match (written, said.as_i64()) {
        (Value::Number(number), Some(said)) => number.as_i64().is_none_or(|number| number == said),
        (_, Some(_)) => true,
        (written, None) => *written == said,
    };
    assert!(is_same, "{name} is {written} and was read as {said}");
}
