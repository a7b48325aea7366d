//! The lines of a transcript.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
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
    /// Seed of the session, as a number or in digits; the environment's default
    /// if omitted.
    #[serde(default, deserialize_with = "seed")]
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

/// Reads a number, or a text: some tools cannot write large numbers.
fn seed<'de, D: Deserializer<'de>>(seed: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Number(u64),
        Text(String),
    }

    let invalid = || -> D::Error {
        de::Error::custom("`seed` is a whole number from 0 to 18446744073709551615")
    };
    match Option::<Seed>::deserialize(seed).map_err(|_| invalid())? {
        None => Ok(None),
        Some(Seed::Number(number)) => Ok(Some(number)),
        Some(Seed::Text(text)) => {
            let (digits, radix) = match text.strip_prefix("0x") {
                Some(digits) => (digits, 16),
                None => (&*text, 10),
            };
            let plain = !digits.starts_with('+');
            let number = u64::from_str_radix(digits, radix).ok();
            number.filter(|_| plain).map(Some).ok_or_else(invalid)
        }
    }
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
    fn a_seed_is_a_number_or_its_digits() {
        for (seed, expected) in [
            ("7", Some(Some(7))),
            ("18446744073709551615", Some(Some(u64::MAX))),
            ("\"18446744073709551615\"", Some(Some(u64::MAX))),
            ("\"0xff\"", Some(Some(255))),
            ("null", Some(None)),
            ("-1", None),
            ("1.5", None),
            ("\"+1\"", None),
            ("\"seven\"", None),
            ("[7]", None),
        ] {
            let script = Script::parse(&format!("{{\"seed\": {seed}}}"));
            assert_eq!(
                script.ok().map(|script| script.start.seed),
                expected,
                "{seed}"
            );
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
