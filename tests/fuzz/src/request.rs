//! Bodies of requests.
//!
//! Whatever the body, the answer is fields or problems; problems are a list as
//! clients read it, and a field is what another reader finds under its name.

use orwd_ors::fuzzing::{BodyRoute, ParsedBody, read_body};
use serde::Deserialize;
use serde_json::Value;

use crate::input::Input;
use crate::json;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
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
            let Some(whole) = json::value(text) else {
                return;
            };
            for (name, said) in fields {
                is_said(&whole, name, &said);
            }
        }
    }
}

/// A problem, without the value that it repeats: that is the client's, and may
/// be a number beyond what this reader can hold.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    loc: Vec<Value>,
    msg: String,
}

fn are_problems(problems: &str) {
    let list: Vec<Problem> = serde_json::from_str(problems).expect("problems are a list");
    assert!(!list.is_empty(), "a refusal without a reason");
    for problem in list {
        assert!(!problem.kind.is_empty() && !problem.msg.is_empty());
        assert_eq!(problem.loc.first(), Some(&Value::from("body")));
    }
}

/// A string or object is the same; a number may have been written in other
/// ways, and is the same where it was written as one.
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
