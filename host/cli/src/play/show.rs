//! How an episode is shown: for people, or as JSON lines for programs.
//!
//! Both tell the same. Text of a guest's never reaches the terminal with its
//! control characters at work.

use std::fmt::Write;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::drive::Tally;
use super::episode::{Outcome, Task, Tools};
use super::script::Mismatch;
use crate::Failure;
use crate::terminal::{self, Paint, Style, harmless};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// People.
    Text(Paint),
    /// Programs.
    Json,
}

impl Show {
    /// For people, with colours if they see them.
    pub(super) fn text() -> Show {
        Show::Text(Paint::stdout())
    }

    /// What is played.
    pub(super) fn start(self, environment: &str, task: &Task) -> Result<(), Failure> {
        self.tell(
            |paint| {
                let title = format!("{environment}, {task}");
                format!("{}\n\n", paint.paint(Style::Bold, &harmless(&title)))
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

    /// The prompt.
    pub(super) fn prompt(self, blocks: &[Value]) -> Result<(), Failure> {
        self.tell(
            |_| format!("{}\n", blocks_text(blocks)),
            || json!({"event": "prompt", "blocks": blocks}),
        )
    }

    /// The tools and their arguments.
    pub(super) fn tools(self, tools: &Tools) -> Result<(), Failure> {
        self.tell(
            |paint| tools_text(tools, paint),
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

    /// How to play by hand.
    pub(super) fn hint(self) -> Result<(), Failure> {
        self.tell_people(|paint| {
            let hint = "Type TOOL {\"argument\": value}, or help.";
            format!("{}\n", paint.paint(Style::Dim, hint))
        })
    }

    /// What can be typed.
    pub(super) fn help(self) -> Result<(), Failure> {
        self.tell_people(|_| {
            "TOOL {\"argument\": value}   call a tool\n\
             TOOL                       call it without arguments\n\
             tools                      show the tools\n\
             prompt                     show the prompt\n\
             quit                       end the episode\n"
                .to_owned()
        })
    }

    /// Something was mistyped.
    pub(super) fn slip(self, message: &str) -> Result<(), Failure> {
        self.tell(
            |paint| format!("{}\n", paint.paint(Style::Yellow, &harmless(message))),
            || json!({"event": "slip", "message": message}),
        )
    }

    /// A call that is about to be made.
    pub(super) fn calling(self, tool: &str, input: &RawValue) -> Result<(), Failure> {
        self.tell(
            |paint| {
                let call = harmless(&format!("→ {tool} {input}"));
                format!("{}\n", paint.paint(Style::Bold, &call))
            },
            || json!({"event": "call", "tool": tool, "input": input}),
        )
    }

    /// What a call came to.
    pub(super) fn outcome(self, outcome: &Outcome) -> Result<(), Failure> {
        self.tell(
            |paint| outcome_text(outcome, paint),
            || match outcome {
                Outcome::Output(output) => json!({
                    "event": "output",
                    "blocks": output.blocks,
                    "metadata": output.metadata,
                    "reward": output.reward,
                    "finished": output.finished,
                }),
                Outcome::Refused { reason, message } => {
                    json!({"event": "error", "error": reason, "message": message})
                }
                Outcome::Failed(message) => {
                    json!({"event": "error", "error": "failed", "message": message})
                }
            },
        )
    }

    /// Something that came otherwise than the script expects.
    pub(super) fn mismatch(self, line: usize, mismatch: &Mismatch) -> Result<(), Failure> {
        let Mismatch {
            what,
            expected,
            got,
        } = mismatch;
        self.tell(
            |paint| {
                let label = format!("line {line}: {what} is not as expected");
                format!(
                    "{}\n  expected  {}\n  got       {}\n",
                    paint.paint(Style::Red, &label),
                    harmless(expected),
                    harmless(got)
                )
            },
            || json!({"event": "mismatch", "line": line, "what": what, "expected": expected, "got": got}),
        )
    }

    /// What the episode came to.
    pub(super) fn end(self, tally: &Tally) -> Result<(), Failure> {
        let Tally {
            calls,
            rewards,
            finished,
        } = tally;
        self.tell(
            |paint| {
                let (style, word) = if *finished {
                    (Style::Green, "finished")
                } else {
                    (Style::Yellow, "not finished")
                };
                let reward = match rewards.as_slice() {
                    [] => "no reward".to_owned(),
                    [one] => format!("reward {one:?}"),
                    many => format!("rewards {many:?}, {:?} in all", many.iter().sum::<f64>()),
                };
                let noun = if *calls == 1 { "call" } else { "calls" };
                let word = paint.paint(style, word);
                format!("\n{word} after {calls} {noun}, {reward}\n")
            },
            || json!({"event": "end", "finished": finished, "calls": calls, "rewards": rewards}),
        )
    }

    fn tell(
        self,
        text: impl FnOnce(Paint) -> String,
        value: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        match self {
            Show::Text(paint) => terminal::print(&text(paint)),
            Show::Json => terminal::print(&format!("{}\n", value())),
        }
    }

    fn tell_people(self, text: impl FnOnce(Paint) -> String) -> Result<(), Failure> {
        match self {
            Show::Text(paint) => terminal::print(&text(paint)),
            Show::Json => Ok(()),
        }
    }
}

fn blocks_text(blocks: &[Value]) -> String {
    let mut out = String::new();
    for block in blocks {
        let field = |name: &str| block.get(name).and_then(Value::as_str);
        match (field("text"), field("data")) {
            (Some(text), _) => out.push_str(&harmless(text)),
            (None, Some(data)) => {
                let kind = harmless(field("mimeType").unwrap_or("image"));
                // Base64 has four characters for three bytes.
                write!(out, "[{kind}, about {} bytes]", data.len() / 4 * 3).ok();
            }
            (None, None) => out.push_str(&harmless(&block.to_string())),
        }
        out.push('\n');
    }
    out
}

fn outcome_text(outcome: &Outcome, paint: Paint) -> String {
    match outcome {
        Outcome::Output(output) => {
            let mut out = blocks_text(&output.blocks);
            if let Some(metadata) = &output.metadata {
                let metadata = format!("metadata {metadata}");
                writeln!(out, "{}", paint.paint(Style::Dim, &harmless(&metadata))).ok();
            }
            if let Some(reward) = output.reward {
                let reward = format!("reward {reward:?}");
                writeln!(out, "{}", paint.paint(Style::Green, &reward)).ok();
            }
            out
        }
        Outcome::Refused { reason, message } => {
            let label = format!("refused ({reason}):");
            let label = harmless(&label);
            format!(
                "{} {}\n",
                paint.paint(Style::Yellow, &label),
                harmless(message)
            )
        }
        Outcome::Failed(message) => {
            format!(
                "{} {}\n",
                paint.paint(Style::Red, "failed:"),
                harmless(message)
            )
        }
    }
}

fn tools_text(tools: &Tools, paint: Paint) -> String {
    let mut out = String::new();
    for tool in &tools.tools {
        let arguments = arguments(tool.input_schema.as_ref());
        let heads: Vec<String> = arguments.iter().map(Argument::head).collect();
        let head = harmless(&format!("{}({})", tool.name, heads.join(", ")));
        writeln!(out, "{}", paint.paint(Style::Bold, &head)).ok();
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
        let head = harmless(&format!("{}({})", tool.name, arg.unwrap_or_default()));
        writeln!(out, "{} grades and ends", paint.paint(Style::Bold, &head)).ok();
        describe(&mut out, &tool.description);
    }
    out.push('\n');
    out
}

fn describe(out: &mut String, text: &str) {
    for line in harmless(text).lines() {
        writeln!(out, "    {line}").ok();
    }
}

/// One argument of a tool, as its schema has it.
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

/// A property's type in a word or two.
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

    #[test]
    fn tools_are_shown_with_their_arguments() {
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
            tools_text(&tools, Paint::Plain),
            "look()\n    Looks.\n\
             add(by: integer, mode?: \"a\" or \"b\", note?: string or null)\n    Adds.\n    Often.\n    by: How much.\n\
             submit(answer: string) grades and ends\n    Grades.\n\n"
        );
    }

    #[test]
    fn outcomes_are_shown_without_their_control_characters() {
        let output = |blocks: Value| {
            Outcome::Output(
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
                Outcome::Failed("boom\u{7}".to_owned()),
                "failed: boom\\u{7}\n",
            ),
            (
                Outcome::Refused {
                    reason: "not_found".to_owned(),
                    message: "no".to_owned(),
                },
                "refused (not_found): no\n",
            ),
        ] {
            assert_eq!(outcome_text(&outcome, Paint::Plain), expected);
        }
    }
}
