//! The lines of a transcript.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::expectation::Expectation;

/// A transcript.
#[derive(Debug)]
pub struct Script {
    /// What is played.
    pub start: ScriptStart,
    /// The calls.
    pub steps: Vec<ScriptStep>,
}

/// First line of a transcript.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptStart {
    /// Environment; the default one if omitted.
    pub environment: Option<String>,
    /// Split of the task.
    pub split: Option<String>,
    /// Index of the task in its split.
    pub index: Option<i64>,
    /// Task, in place of a split and an index.
    pub task: Option<Box<RawValue>>,
    /// Secrets of the session.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Seed of the session; the environment's default if omitted.
    pub seed: Option<u64>,
}

/// A call, with its line number.
#[derive(Debug)]
pub struct ScriptStep {
    /// Line number, from 1.
    pub line: usize,
    /// The call.
    pub call: Call,
}

/// Further line of a transcript.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Name of the tool.
    pub tool: String,
    /// Input of the tool; an empty object if omitted or null.
    #[serde(default = "empty_input", deserialize_with = "input_or_empty")]
    pub input: Box<RawValue>,
    /// Expected result.
    #[serde(default)]
    pub expect: Expectation,
}

/// A line that cannot be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    line: usize,
    reason: String,
}

fn empty_input() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}

fn input_or_empty<'de, D: Deserializer<'de>>(input: D) -> Result<Box<RawValue>, D::Error> {
    let input = Option::<Box<RawValue>>::deserialize(input)?;
    Ok(input.unwrap_or_else(empty_input))
}

impl Script {
    /// Parses a transcript. Empty lines are skipped.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
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
        let start: ScriptStart = parse_line(line, first)?;
        let by_index = start.split.is_some() || start.index.is_some();
        if by_index && start.task.is_some() {
            return Err(ScriptError {
                line,
                reason: "`task` excludes `split` and `index`; remove one of them".to_owned(),
            });
        }
        let steps = lines
            .map(|(line, text)| {
                Ok(ScriptStep {
                    line,
                    call: parse_line(line, text)?,
                })
            })
            .collect::<Result<_, ScriptError>>()?;
        Ok(Script { start, steps })
    }
}

fn parse_line<'t, T: Deserialize<'t>>(line: usize, text: &'t str) -> Result<T, ScriptError> {
    serde_json::from_str(text).map_err(|error| {
        // serde counts within the line, so its own line number is always 1.
        let reason = error.to_string().replace(" at line 1 column", " at column");
        ScriptError { line, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            (
                "\n",
                "line 1: the script is empty; it begins with {\"split\": …, \"index\": …}",
            ),
            (
                "{\"splt\": \"train\"}",
                "line 1: unknown field `splt`, expected one of `environment`, `split`, `index`, `task`, `secrets`, `seed` at column 7",
            ),
            (
                "{\"split\": \"train\", \"task\": {}}",
                "line 1: `task` excludes `split` and `index`; remove one of them",
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
    fn keeps_inputs_and_tasks_as_written() {
        let script = Script::parse(
            "{\"task\": {\"n\": 1.50}, \"seed\": 7}\n{\"tool\": \"t\", \"input\": {\"a\":1e2}}\n{\"tool\": \"t\"}",
        )
        .unwrap();
        assert_eq!(script.start.task.unwrap().get(), "{\"n\": 1.50}");
        assert_eq!(script.start.seed, Some(7));
        assert_eq!(script.steps[0].line, 2);
        assert_eq!(script.steps[0].call.input.get(), "{\"a\":1e2}");
        assert_eq!(script.steps[1].call.input.get(), "{}");
    }
}
