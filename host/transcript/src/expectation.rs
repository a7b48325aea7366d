//! What is expected of a call, compared with its result.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// Expected result of a call. Omitted fields are not compared.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Text blocks, joined by line ends.
    text: Option<String>,
    /// Part of that text.
    text_contains: Option<String>,
    /// Reward, or null for none.
    #[serde(default, deserialize_with = "present")]
    reward: Option<Option<f64>>,
    /// Whether the call finishes the episode.
    finished: Option<bool>,
    /// Reason of a refused call, or `failed` if the tool fails. `text` then
    /// applies to the message.
    error: Option<String>,
}

/// Result of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallResult {
    /// The tool returned an output.
    Output {
        /// Text blocks, joined by line ends.
        text: String,
        /// Reward, if any.
        reward: Option<f64>,
        /// Whether it finishes the episode.
        finished: bool,
    },
    /// The call was refused or failed.
    Error {
        /// Reason, such as `not_found` or `failed`.
        reason: String,
        /// Message for the agent.
        message: String,
    },
}

/// A difference between expectation and result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field that differs.
    pub field: &'static str,
    /// The expected value.
    pub expected: String,
    /// The actual value.
    pub actual: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch {
            field,
            expected,
            actual,
        } = self;
        write!(f, "{field}: expected {expected}, got {actual}")
    }
}

/// Distinguishes null from an omitted field.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Expectation {
    /// Returns the differences from the result.
    pub fn compare(&self, result: &CallResult) -> Vec<Mismatch> {
        let mut found = Vec::new();
        match (result, self.error.as_deref()) {
            (
                CallResult::Output {
                    text,
                    reward,
                    finished,
                },
                None,
            ) => {
                self.compare_text(text, &mut found);
                self.compare_ending(*reward, *finished, &mut found);
            }
            (CallResult::Output { .. }, Some(expected)) => found.push(Mismatch {
                field: "outcome",
                expected: expected.to_owned(),
                actual: "an output".to_owned(),
            }),
            (CallResult::Error { reason, message }, Some(expected)) if reason == expected => {
                self.compare_text(message, &mut found);
            }
            (CallResult::Error { reason, message }, expected) => found.push(Mismatch {
                field: "outcome",
                expected: expected.unwrap_or("an output").to_owned(),
                actual: format!("{reason}: {message}"),
            }),
        }
        found
    }

    fn compare_ending(&self, reward: Option<f64>, finished: bool, found: &mut Vec<Mismatch>) {
        if let Some(expected) = self.reward
            && expected != reward
        {
            let print = |reward: Option<f64>| reward.map_or("null".to_owned(), |r| r.to_string());
            found.push(Mismatch {
                field: "reward",
                expected: print(expected),
                actual: print(reward),
            });
        }
        if let Some(expected) = self.finished
            && expected != finished
        {
            found.push(Mismatch {
                field: "finished",
                expected: expected.to_string(),
                actual: finished.to_string(),
            });
        }
    }

    fn compare_text(&self, text: &str, found: &mut Vec<Mismatch>) {
        if let Some(expected) = &self.text
            && expected != text
        {
            found.push(Mismatch {
                field: "text",
                expected: format!("{expected:?}"),
                actual: format!("{text:?}"),
            });
        }
        if let Some(part) = &self.text_contains
            && !text.contains(part)
        {
            found.push(Mismatch {
                field: "text",
                expected: format!("… {part:?} …"),
                actual: format!("{text:?}"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_expectations() {
        let output = |reward, finished| CallResult::Output {
            text: "one\ntwo".to_owned(),
            reward,
            finished,
        };
        let error = |reason: &str, message: &str| CallResult::Error {
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        for (expect, result, expected) in [
            ("{}", output(None, false), vec![]),
            (
                r#"{"text": "one\ntwo", "reward": 0.5, "finished": true}"#,
                output(Some(0.5), true),
                vec![],
            ),
            (
                r#"{"text": "one", "text_contains": "three", "reward": 1, "finished": true}"#,
                output(None, false),
                vec![
                    r#"text: expected "one", got "one\ntwo""#,
                    r#"text: expected … "three" …, got "one\ntwo""#,
                    "reward: expected 1, got null",
                    "finished: expected true, got false",
                ],
            ),
            (
                r#"{"reward": null}"#,
                output(Some(0.0), false),
                vec!["reward: expected null, got 0"],
            ),
            (
                r#"{"error": "not_found"}"#,
                output(None, false),
                vec!["outcome: expected not_found, got an output"],
            ),
            (
                r#"{"error": "not_found", "text_contains": "such"}"#,
                error("not_found", "no such tool"),
                vec![],
            ),
            (
                "{}",
                error("not_found", "no such tool"),
                vec!["outcome: expected an output, got not_found: no such tool"],
            ),
            (
                r#"{"error": "not_found"}"#,
                error("failed", "boom"),
                vec!["outcome: expected not_found, got failed: boom"],
            ),
            (
                r#"{"error": "failed", "text": "boom"}"#,
                error("failed", "boom"),
                vec![],
            ),
        ] {
            let expectation: Expectation = serde_json::from_str(expect).unwrap();
            let mismatches = expectation.compare(&result);
            let got: Vec<String> = mismatches.iter().map(Mismatch::to_string).collect();
            assert_eq!(got, expected, "{expect}");
        }
    }
}
