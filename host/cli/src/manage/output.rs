//! Formats of results.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::console::CommandError;
use crate::console::terminal::{self, escape_control};

/// Flag for the format.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct OutputFlags {
    /// Output format
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// A format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for people
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// One JSON value a line
    Jsonl,
}

impl OutputFlags {
    /// Returns whether the output is for people.
    pub(super) fn is_table(self) -> bool {
        self.output == Format::Table
    }

    /// Prints a result: `text` for people, else the value.
    pub(super) fn print(
        self,
        value: &Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), CommandError> {
        terminal::print(&match self.output {
            Format::Table => escape_control(&text()),
            Format::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
            Format::Yaml => yaml(value, 0),
            Format::Jsonl => match value {
                Value::Array(rows) => rows.iter().map(|row| format!("{row}\n")).collect(),
                other => format!("{other}\n"),
            },
        })
    }
}

/// Formats a value as YAML. JSON of one line is YAML, so only objects and lists
/// are laid out.
fn yaml(value: &Value, indent: usize) -> String {
    let space = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => fields
            .iter()
            .map(|(key, value)| match value {
                Value::Object(inner) if !inner.is_empty() => {
                    format!("{space}{key}:\n{}", yaml(value, indent + 2))
                }
                Value::Array(inner) if !inner.is_empty() => {
                    format!("{space}{key}:\n{}", yaml(value, indent))
                }
                _ => format!("{space}{key}: {}\n", scalar(value)),
            })
            .collect(),
        Value::Array(rows) if !rows.is_empty() => rows
            .iter()
            .map(|row| {
                let text = yaml(row, indent + 2);
                format!("{space}- {}", text.trim_start())
            })
            .collect(),
        other => format!("{space}{}\n", scalar(other)),
    }
}

fn scalar(value: &Value) -> String {
    let plain = |text: &str| {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
        let rest = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let words = ["true", "false", "null", "yes", "no", "on", "off"];
        first && text.chars().all(rest) && !words.contains(&text.to_lowercase().as_str())
    };
    match value {
        Value::String(text) if plain(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_as_yaml() {
        let value = json!({
            "name": "me", "n": 1, "quoted": "a: b", "word": "yes", "empty": [], "none": null,
            "inner": { "x": 1.5 }, "rows": [{ "a": 1, "b": "c" }, 2],
        });
        let expected = "name: me\nn: 1\nquoted: \"a: b\"\nword: \"yes\"\nempty: []\nnone: null\n\
                        inner:\n  x: 1.5\nrows:\n- a: 1\n  b: c\n- 2\n";
        assert_eq!(yaml(&value, 0), expected);
    }
}
