//! Prints an episode as text for people, or as JSON lines for programs.
//!
//! Both contain the same. Control characters in a guest's text are escaped
//! before it reaches the terminal.

use std::fmt::Write;

use orwd_transcript::Mismatch;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::{CallOutcome, Task, Tools};
use super::summary::EpisodeSummary;
use crate::console::CommandError;
use crate::console::terminal::{self, BOLD, DIM, GREEN, RED, YELLOW, escape_control, styled};

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputMode {
    /// Text for people.
    Text,
    /// JSON lines for programs.
    Json,
}

impl OutputMode {
    /// Prints the environment and the task.
    pub(super) fn start(self, environment: &str, task: &Task) -> Result<(), CommandError> {
        self.print(
            || {
                let title = format!("{environment}, {task}");
                format!("{}\n\n", styled(BOLD, &escape_control(&title)))
            },
            || match task {
                Task::Index(split, index) => {
                    json!({"event": "start", "environment": environment, "split": split, "index": index})
                }
                Task::Spec(spec) => {
                    json!({"event": "start", "environment": environment, "task": spec})
                }
            },
        )
    }

    /// Prints the prompt.
    pub(super) fn prompt(self, blocks: &[Value]) -> Result<(), CommandError> {
        self.print(
            || format!("{}\n", blocks_text(blocks)),
            || json!({"event": "prompt", "blocks": blocks}),
        )
    }

    /// Prints the tools and their arguments.
    pub(super) fn tools(self, tools: &Tools) -> Result<(), CommandError> {
        self.print(
            || tools_text(tools),
            || {
                let listed: Vec<Value> = tools
                    .tools
                    .iter()
                    .map(|tool| {
                        json!({"name": tool.name, "description": tool.description, "input_schema": tool.input_schema})
                    })
                    .collect();
                let terminal = tools.terminal_tool.as_ref().map(|tool| {
                    json!({"name": tool.name, "arg": tool.arg, "description": tool.description})
                });
                json!({"event": "tools", "tools": listed, "terminal_tool": terminal})
            },
        )
    }

    /// Prints how to enter calls.
    pub(super) fn hint(self) -> Result<(), CommandError> {
        self.print_text(|| {
            let hint = "Type TOOL {\"argument\": value}, or help.";
            format!("{}\n", styled(DIM, hint))
        })
    }

    /// Prints the commands.
    pub(super) fn help(self) -> Result<(), CommandError> {
        self.print_text(|| {
            "TOOL {\"argument\": value}   call a tool\n\
             TOOL                       call it without arguments\n\
             tools                      show the tools\n\
             prompt                     show the prompt\n\
             quit                       end the episode\n"
                .to_owned()
        })
    }

    /// Prints why a typed line is invalid.
    pub(super) fn invalid_line(self, message: &str) -> Result<(), CommandError> {
        self.print(
            || format!("{}\n", styled(YELLOW, &escape_control(message))),
            || json!({"event": "invalid_line", "message": message}),
        )
    }

    /// Prints a call before it is made.
    pub(super) fn calling(self, tool: &str, input: &RawValue) -> Result<(), CommandError> {
        self.print(
            || {
                let call = escape_control(&format!("→ {tool} {input}"));
                format!("{}\n", styled(BOLD, &call))
            },
            || json!({"event": "call", "tool": tool, "input": input}),
        )
    }

    /// Prints the outcome of a call.
    pub(super) fn outcome(self, outcome: &CallOutcome) -> Result<(), CommandError> {
        self.print(
            || outcome_text(outcome),
            || match outcome {
                CallOutcome::Output(output) => json!({
                    "event": "output",
                    "blocks": output.blocks,
                    "metadata": output.metadata,
                    "reward": output.reward,
                    "finished": output.finished,
                }),
                CallOutcome::Refused { reason, message } => {
                    json!({"event": "error", "error": reason, "message": message})
                }
                CallOutcome::Failed(message) => {
                    json!({"event": "error", "error": "failed", "message": message})
                }
            },
        )
    }

    /// Prints a difference from the script's expectation.
    pub(super) fn mismatch(self, line: usize, mismatch: &Mismatch) -> Result<(), CommandError> {
        let Mismatch {
            field,
            expected,
            actual,
        } = mismatch;
        self.print(
            || {
                let label = format!("line {line}: {field} does not match");
                format!(
                    "{}\n  expected  {}\n  got       {}\n",
                    styled(RED, &label),
                    escape_control(expected),
                    escape_control(actual)
                )
            },
            || json!({"event": "mismatch", "line": line, "what": field, "expected": expected, "got": actual}),
        )
    }

    /// Prints the totals of the episode.
    pub(super) fn end(self, summary: &EpisodeSummary) -> Result<(), CommandError> {
        let EpisodeSummary {
            calls,
            rewards,
            finished,
        } = summary;
        self.print(
            || {
                let (style, word) = if *finished {
                    (GREEN, "finished")
                } else {
                    (YELLOW, "not finished")
                };
                let reward = match rewards.as_slice() {
                    [] => "no reward".to_owned(),
                    [one] => format!("reward {one:?}"),
                    many => format!("rewards {many:?}, {:?} in total", many.iter().sum::<f64>()),
                };
                let noun = if *calls == 1 { "call" } else { "calls" };
                let word = styled(style, word);
                format!("\n{word} after {calls} {noun}, {reward}\n")
            },
            || json!({"event": "end", "finished": finished, "calls": calls, "rewards": rewards}),
        )
    }

    fn print(
        self,
        text: impl FnOnce() -> String,
        value: impl FnOnce() -> Value,
    ) -> Result<(), CommandError> {
        match self {
            OutputMode::Text => terminal::print_styled(&text()),
            OutputMode::Json => terminal::print(&format!("{}\n", value())),
        }
    }

    fn print_text(self, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        match self {
            OutputMode::Text => terminal::print_styled(&text()),
            OutputMode::Json => Ok(()),
        }
    }
}

fn blocks_text(blocks: &[Value]) -> String {
    let mut out = String::new();
    for block in blocks {
        let field = |name: &str| block.get(name).and_then(Value::as_str);
        match (field("text"), field("data")) {
            (Some(text), _) => out.push_str(&escape_control(text)),
            (None, Some(data)) => {
                let kind = escape_control(field("mimeType").unwrap_or("image"));
                // Base64 has four characters for three bytes.
                write!(out, "[{kind}, about {} bytes]", data.len() / 4 * 3).ok();
            }
            (None, None) => out.push_str(&escape_control(&block.to_string())),
        }
        out.push('\n');
    }
    out
}

fn outcome_text(outcome: &CallOutcome) -> String {
    match outcome {
        CallOutcome::Output(output) => {
            let mut out = blocks_text(&output.blocks);
            if let Some(metadata) = &output.metadata {
                let metadata = format!("metadata {metadata}");
                writeln!(out, "{}", styled(DIM, &escape_control(&metadata))).ok();
            }
            if let Some(reward) = output.reward {
                let reward = format!("reward {reward:?}");
                writeln!(out, "{}", styled(GREEN, &reward)).ok();
            }
            out
        }
        CallOutcome::Refused { reason, message } => {
            let label = format!("refused ({reason}):");
            let label = escape_control(&label);
            format!("{} {}\n", styled(YELLOW, &label), escape_control(message))
        }
        CallOutcome::Failed(message) => {
            format!("{} {}\n", styled(RED, "failed:"), escape_control(message))
        }
    }
}

fn tools_text(tools: &Tools) -> String {
    let mut out = String::new();
    for tool in &tools.tools {
        let arguments = arguments(tool.input_schema.as_ref());
        let heads: Vec<String> = arguments.iter().map(Argument::head).collect();
        let head = escape_control(&format!("{}({})", tool.name, heads.join(", ")));
        writeln!(out, "{}", styled(BOLD, &head)).ok();
        describe(&mut out, &tool.description);
        for argument in &arguments {
            if !argument.description.is_empty() {
                describe(
                    &mut out,
                    &format!("{}: {}", argument.name, argument.description),
                );
            }
        }
    }
    if let Some(tool) = &tools.terminal_tool {
        let arg = tool.arg.as_deref().map(|arg| format!("{arg}: string"));
        let head = escape_control(&format!("{}({})", tool.name, arg.unwrap_or_default()));
        writeln!(out, "{} grades and ends the episode", styled(BOLD, &head)).ok();
        describe(&mut out, &tool.description);
    }
    out.push('\n');
    out
}

fn describe(out: &mut String, text: &str) {
    for line in escape_control(text).lines() {
        writeln!(out, "    {line}").ok();
    }
}

/// Argument of a tool, from its schema.
struct Argument {
    name: String,
    kind: String,
    required: bool,
    description: String,
}

impl Argument {
    fn head(&self) -> String {
        let optional = if self.required { "" } else { "?" };
        format!("{}{optional}: {}", self.name, self.kind)
    }
}

fn arguments(schema: Option<&Value>) -> Vec<Argument> {
    let Some(schema) = schema else {
        return Vec::new();
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    properties
        .iter()
        .map(|(name, property)| Argument {
            name: name.clone(),
            kind: kind(property),
            required: required.contains(&name.as_str()),
            description: property
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        })
        .collect()
}

/// Returns the type of a property, in words.
fn kind(property: &Value) -> String {
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        return values.join(" or ");
    }
    match property.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" or ")
        }
        _ => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn prints_tools_with_their_arguments() {
        let tools: Tools = serde_json::from_value(json!({
            "tools": [
                {"name": "look", "description": "Looks.", "input_schema": null},
                {"name": "add", "description": "Adds.\nOften.", "input_schema": {
                    "type": "object",
                    "properties": {
                        "by": {"type": "integer", "description": "How much."},
                        "mode": {"enum": ["a", "b"]},
                        "note": {"type": ["string", "null"]},
                    },
                    "required": ["by"],
                }},
            ],
            "terminal_tool": {"name": "submit", "arg": "answer", "description": "Grades."},
        }))
        .unwrap();
        assert_eq!(
            plain(&tools_text(&tools)),
            "look()\n    Looks.\n\
             add(by: integer, mode?: \"a\" or \"b\", note?: string or null)\n    Adds.\n    Often.\n    by: How much.\n\
             submit(answer: string) grades and ends the episode\n    Grades.\n\n"
        );
    }

    #[test]
    fn escapes_control_characters_of_outcomes() {
        let output = |blocks: Value| {
            CallOutcome::Output(
                serde_json::from_value(json!({"blocks": blocks, "reward": 1.0})).unwrap(),
            )
        };
        for (outcome, expected) in [
            (
                output(json!([
                    {"type": "text", "text": "a\u{1b}[2J"},
                    {"type": "image", "data": "aGVsbG8h", "mimeType": "image/png"},
                ])),
                "a\\u{1b}[2J\n[image/png, about 6 bytes]\nreward 1.0\n",
            ),
            (
                CallOutcome::Failed("boom\u{7}".to_owned()),
                "failed: boom\\u{7}\n",
            ),
            (
                CallOutcome::Refused {
                    reason: "not_found".to_owned(),
                    message: "no".to_owned(),
                },
                "refused (not_found): no\n",
            ),
        ] {
            assert_eq!(plain(&outcome_text(&outcome)), expected);
        }
    }
}
