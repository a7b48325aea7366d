//! Scripts: an episode as JSON lines, and what is expected of it.
//!
//! The first line says what is played, each further one calls a tool:
//!
//! ```text
//! {"split": "train", "index": 0}
//! {"tool": "add", "input": {"by": 2}, "expect": {"text": "2", "finished": false}}
//! ```
//!
//! What `expect` leaves out is not looked at, but for one thing: a call that is
//! refused or fails is as expected only where `error` says so. Comparing is
//! apart from calling, and knows no server.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::episode::{Outcome, Output};

/// A whole script.
#[derive(Debug)]
pub(super) struct Script {
    /// What is played.
    pub(super) start: Start,
    /// The calls.
    pub(super) steps: Vec<Step>,
}

/// The first line of a script.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The environment; the default one, if it is left out.
    pub(super) environment: Option<String>,
    /// A task of this split,
    pub(super) split: Option<String>,
    /// at this place;
    pub(super) index: Option<i64>,
    /// or one that is written out.
    pub(super) task: Option<Box<RawValue>>,
    /// The session's secrets.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
}

/// One call, with its line.
#[derive(Debug)]
pub(super) struct Step {
    /// The line that it stands on, from 1.
    pub(super) line: usize,
    /// The call.
    pub(super) call: Call,
}

/// Any further line of a script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    /// The tool.
    pub(super) tool: String,
    /// Its input; an empty object, if it is left out.
    pub(super) input: Option<Box<RawValue>>,
    /// What should come of it.
    #[serde(default)]
    pub(super) expect: Expect,
}

/// What should come of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// The text blocks, joined by line ends.
    text: Option<String>,
    /// A part of that text.
    text_contains: Option<String>,
    /// A number, or null for none.
    #[serde(default, deserialize_with = "even_null")]
    reward: Option<Option<f64>>,
    /// Whether this ends the episode.
    finished: Option<bool>,
    /// Why the call is refused: a reason of the protocol, or `failed` where
    /// the tool fails. The text is then that of the message.
    error: Option<String>,
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct ScriptError {
    line: usize,
    reason: String,
}

/// Tells null from a member that is left out.
fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Script {
    /// Reads a script; empty lines are skipped.
    pub(super) fn parse(text: &str) -> Result<Script, ScriptError> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty());
        let Some((line, first)) = lines.next() else {
            return Err(ScriptError {
                line: 1,
                reason: "the script is empty; it begins with {\"split\": …, \"index\": …}"
                    .to_owned(),
            });
        };
        let start: Start = read(line, first)?;
        let by_index = start.split.is_some() || start.index.is_some();
        if by_index && start.task.is_some() {
            return Err(ScriptError {
                line,
                reason: "say `split` and `index`, or `task`, and not both".to_owned(),
            });
        }
        let steps = lines
            .map(|(line, text)| {
                Ok(Step {
                    line,
                    call: read(line, text)?,
                })
            })
            .collect::<Result<_, ScriptError>>()?;
        Ok(Script { start, steps })
    }
}

fn read<'t, T: Deserialize<'t>>(line: usize, text: &'t str) -> Result<T, ScriptError> {
    serde_json::from_str(text).map_err(|error| {
        // The line that serde counts is always the first.
        let reason = error.to_string().replace(" at line 1 column", " at column");
        ScriptError { line, reason }
    })
}

/// One thing that came otherwise than expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// What it is about.
    pub(super) what: &'static str,
    /// What should have come.
    pub(super) expected: String,
    /// What came.
    pub(super) got: String,
}

impl Expect {
    /// Everything that came otherwise.
    pub(super) fn compare(&self, outcome: &Outcome) -> Vec<Mismatch> {
        let mut found = Vec::new();
        match (outcome, &self.error) {
            (Outcome::Output(output), None) => self.compare_output(output, &mut found),
            (Outcome::Output(_), Some(error)) => found.push(Mismatch {
                what: "outcome",
                expected: error.clone(),
                got: "an output".to_owned(),
            }),
            (Outcome::Refused { reason, message }, expected) => {
                self.compare_error(reason, message, expected.as_deref(), &mut found);
            }
            (Outcome::Failed(message), expected) => {
                self.compare_error("failed", message, expected.as_deref(), &mut found);
            }
        }
        found
    }

    fn compare_output(&self, output: &Output, found: &mut Vec<Mismatch>) {
        self.compare_text(&output.text(), found);
        if let Some(expected) = self.reward
            && expected != output.reward
        {
            let print = |reward: Option<f64>| reward.map_or("null".to_owned(), |r| r.to_string());
            found.push(Mismatch {
                what: "reward",
                expected: print(expected),
                got: print(output.reward),
            });
        }
        if let Some(expected) = self.finished
            && expected != output.finished
        {
            found.push(Mismatch {
                what: "finished",
                expected: expected.to_string(),
                got: output.finished.to_string(),
            });
        }
    }

    fn compare_error(
        &self,
        reason: &str,
        message: &str,
        expected: Option<&str>,
        found: &mut Vec<Mismatch>,
    ) {
        if expected == Some(reason) {
            self.compare_text(message, found);
        } else {
            found.push(Mismatch {
                what: "outcome",
                expected: expected.unwrap_or("an output").to_owned(),
                got: format!("{reason}: {message}"),
            });
        }
    }

    fn compare_text(&self, text: &str, found: &mut Vec<Mismatch>) {
        if let Some(expected) = &self.text
            && expected != text
        {
            found.push(Mismatch {
                what: "text",
                expected: format!("{expected:?}"),
                got: format!("{text:?}"),
            });
        }
        if let Some(part) = &self.text_contains
            && !text.contains(part)
        {
            found.push(Mismatch {
                what: "text",
                expected: format!("… {part:?} …"),
                got: format!("{text:?}"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scripts_that_cannot_be_read_name_the_line() {
        for (text, expected) in [
            (
                "\n",
                "line 1: the script is empty; it begins with {\"split\": …, \"index\": …}",
            ),
            (
                "{\"splt\": \"train\"}",
                "line 1: unknown field `splt`, expected one of `environment`, `split`, `index`, `task`, `secrets` at column 7",
            ),
            (
                "{\"split\": \"train\", \"task\": {}}",
                "line 1: say `split` and `index`, or `task`, and not both",
            ),
            (
                "{}\n\n{\"input\": {}}",
                "line 3: missing field `tool` at column 13",
            ),
            (
                "{}\n{\"tool\": \"t\", \"expect\": {\"reward\": \"1\"}}",
                "line 2: invalid type: string \"1\", expected f64 at column 38",
            ),
        ] {
            let error = Script::parse(text).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn inputs_and_tasks_are_kept_as_written() {
        let script =
            Script::parse("{\"task\": {\"n\": 1.50}}\n{\"tool\": \"t\", \"input\": {\"a\":1e2}}")
                .unwrap();
        assert_eq!(script.start.task.unwrap().get(), "{\"n\": 1.50}");
        assert_eq!(script.steps[0].line, 2);
        let call = &script.steps[0].call;
        assert_eq!(call.input.as_ref().unwrap().get(), "{\"a\":1e2}");
    }

    #[test]
    fn expectations() {
        let output = |reward, finished| {
            Outcome::Output(Output {
                blocks: vec![
                    json!({"type": "text", "text": "one"}),
                    json!({"type": "image", "data": ""}),
                    json!({"type": "text", "text": "two"}),
                ],
                metadata: None,
                reward,
                finished,
            })
        };
        let refused = || Outcome::Refused {
            reason: "not_found".to_owned(),
            message: "no such tool".to_owned(),
        };
        let failed = || Outcome::Failed("boom".to_owned());
        for (expect, outcome, expected) in [
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
                refused(),
                vec![],
            ),
            (
                "{}",
                refused(),
                vec!["outcome: expected an output, got not_found: no such tool"],
            ),
            (
                r#"{"error": "not_found"}"#,
                failed(),
                vec!["outcome: expected not_found, got failed: boom"],
            ),
            (r#"{"error": "failed", "text": "boom"}"#, failed(), vec![]),
        ] {
            let read: Expect = serde_json::from_str(expect).unwrap();
            let got: Vec<String> = read
                .compare(&outcome)
                .iter()
                .map(|m| format!("{}: expected {}, got {}", m.what, m.expected, m.got))
                .collect();
            assert_eq!(got, expected, "{expect}");
        }
    }
}
