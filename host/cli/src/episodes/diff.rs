//! How two outcomes of a step differ: by field, and line by line.

use std::fmt::Write;
use std::time::Duration;

use orwd_journal::GuestOutcome;
use orwd_model::{Block, Digest, Json, Message, MessageBlock};
use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::console::terminal::{DIM, GREEN, RED, escape_control, styled};

/// Equal lines around a change.
const CONTEXT: usize = 3;

/// The most lines that are printed of one field.
const MAX_LINES: usize = 200;

/// Time for the comparison of one field. A larger difference is then coarser.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A field in which two outcomes differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FieldDifference {
    /// Its name, such as `reward` or `blocks[0].text`.
    pub(super) field: String,
    /// The recorded value; `None` if there is no such field.
    pub(super) expected: Option<String>,
    /// The value of the replay; `None` if there is no such field.
    pub(super) actual: Option<String>,
}

/// Returns the fields in which two outcomes differ, in the order of the fields.
pub(super) fn differences(expected: &GuestOutcome, actual: &GuestOutcome) -> Vec<FieldDifference> {
    let (expected, mut actual) = (fields(expected), fields(actual));
    let mut found = Vec::new();
    for (field, expected) in expected {
        let at = actual.iter().position(|(name, _)| *name == field);
        let actual = at.map(|at| actual.remove(at).1);
        if actual.as_ref() != Some(&expected) {
            found.push(FieldDifference::new(field, Some(expected), actual));
        }
    }
    let added = actual.into_iter();
    found.extend(added.map(|(field, actual)| FieldDifference::new(field, None, Some(actual))));
    found
}

impl FieldDifference {
    fn new(field: String, expected: Option<String>, actual: Option<String>) -> FieldDifference {
        // JSON is compared as written, and shown in lines if these differ too.
        let (before, after) = (pretty(expected.as_deref()), pretty(actual.as_deref()));
        if before != after && (before.is_some() || after.is_some()) {
            return FieldDifference {
                field,
                expected: before.or(expected),
                actual: after.or(actual),
            };
        }
        FieldDifference {
            field,
            expected,
            actual,
        }
    }

    /// Returns the difference for people, indented.
    pub(super) fn text(&self) -> String {
        let field = escape_control(&self.field);
        let shown = |value: &Option<String>| {
            let value = value.as_deref().map(escape_control);
            value.unwrap_or_else(|| "nothing".to_owned())
        };
        let (expected, actual) = (shown(&self.expected), shown(&self.actual));
        let short = |text: &str| !text.contains('\n') && text.chars().count() <= 60;
        if short(&expected) && short(&actual) {
            let expected = styled(RED, &expected);
            return format!(
                "        {field}: expected {expected}, got {}\n",
                styled(GREEN, &actual)
            );
        }
        let mut out = format!("        {field}: - expected, + got\n");
        let lines = line_diff(&expected, &actual);
        for line in lines.iter().take(MAX_LINES) {
            writeln!(out, "          {line}").ok();
        }
        if lines.len() > MAX_LINES {
            let more = format!("{} more lines", lines.len() - MAX_LINES);
            writeln!(out, "          {}", styled(DIM, &more)).ok();
        }
        out
    }
}

/// Returns the changed lines with their signs, and a few equal ones around them.
fn line_diff(expected: &str, actual: &str) -> Vec<String> {
    let diff = TextDiff::configure()
        .timeout(TIMEOUT)
        .diff_lines(expected, actual);
    let mut lines = Vec::new();
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if number > 0 {
            lines.push(styled(DIM, "…"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            lines.push(match change.tag() {
                ChangeTag::Equal => format!("  {line}"),
                ChangeTag::Delete => styled(RED, &format!("- {line}")),
                ChangeTag::Insert => styled(GREEN, &format!("+ {line}")),
            });
        }
    }
    lines
}

/// Returns a JSON object in lines; `None` for any other text.
fn pretty(text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| text.starts_with('{'))?;
    let value: Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

/// Returns the fields of an outcome.
fn fields(outcome: &GuestOutcome) -> Vec<(String, String)> {
    let mut fields = Fields(Vec::new());
    fields.add("outcome", outcome.as_str());
    match outcome {
        GuestOutcome::Done => {}
        GuestOutcome::Blocks(blocks) => fields.blocks("blocks", blocks),
        GuestOutcome::Messages(messages) => {
            for (n, message) in messages.iter().enumerate() {
                fields.message(&format!("messages[{n}]"), message);
            }
        }
        GuestOutcome::Tools(tools) => {
            for (n, tool) in tools.iter().enumerate() {
                fields.add(&format!("tools[{n}].name"), &tool.name);
                fields.add(&format!("tools[{n}].description"), &tool.description);
                fields.json(
                    &format!("tools[{n}].input_schema"),
                    tool.input_schema.as_ref(),
                );
            }
        }
        GuestOutcome::Output(output) => {
            fields.blocks("blocks", &output.blocks);
            fields.json("metadata", output.metadata.as_ref());
            if let Some(reward) = output.reward {
                fields.add("reward", &format!("{:?}", reward.get()));
            }
            fields.add("finished", &output.finished.to_string());
        }
        GuestOutcome::Scores(scores) => {
            for (n, score) in scores.iter().enumerate() {
                let reward = format!("{:?}", score.reward.get());
                fields.add(&format!("scores[{n}].reward"), &reward);
                fields.json(&format!("scores[{n}].metadata"), score.metadata.as_ref());
            }
        }
        GuestOutcome::Refused(refusal) => {
            fields.add("reason", refusal.reason.as_str());
            fields.add("error", &refusal.message);
        }
        GuestOutcome::Failed(message) => fields.add("error", message),
        GuestOutcome::Faulted(fault) => {
            fields.add("fault", fault.code.as_str());
            fields.add("error", &fault.to_string());
        }
        GuestOutcome::Published { files } => fields.add("published", &files.to_string()),
    }
    fields.0
}

/// Fields with their names.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn json(&mut self, name: &str, json: Option<&Json>) {
        if let Some(json) = json {
            self.add(name, json.as_str());
        }
    }

    fn blocks(&mut self, name: &str, blocks: &[Block]) {
        for (n, block) in blocks.iter().enumerate() {
            self.block(&format!("{name}[{n}]"), block);
        }
    }

    fn block(&mut self, name: &str, block: &Block) {
        let detail = match block {
            Block::Text { text, detail } => {
                self.add(&format!("{name}.text"), text);
                detail
            }
            Block::Image {
                data,
                mime_type,
                detail,
            } => {
                let value = format!("{mime_type}, {} bytes, {}", data.len(), Digest::of(data));
                self.add(&format!("{name}.image"), &value);
                detail
            }
        };
        self.json(&format!("{name}.detail"), detail.as_ref());
    }

    fn message(&mut self, name: &str, message: &Message) {
        self.add(&format!("{name}.role"), message.role.as_str());
        for (n, block) in message.blocks.iter().enumerate() {
            let name = format!("{name}.blocks[{n}]");
            match block {
                MessageBlock::Plain(block) => self.block(&name, block),
                MessageBlock::Reasoning { text, .. } => {
                    self.add(&format!("{name}.reasoning"), text);
                }
                MessageBlock::ToolCall {
                    id,
                    name: tool,
                    input,
                    ..
                } => {
                    let call = format!("{id}: {tool} {}", input.as_str());
                    self.add(&format!("{name}.tool_call"), &call);
                }
                MessageBlock::ToolResult {
                    tool_call_id,
                    blocks,
                    is_error,
                    ..
                } => {
                    let about = format!("{tool_call_id}, error: {is_error}");
                    self.add(&format!("{name}.tool_result"), &about);
                    self.blocks(&format!("{name}.blocks"), blocks);
                }
            }
        }
        self.json(&format!("{name}.detail"), message.detail.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use orwd_model::{Reward, ToolOutput};

    use super::*;

    fn output(texts: &[&str], metadata: Option<&str>, reward: Option<f64>) -> GuestOutcome {
        GuestOutcome::Output(ToolOutput {
            blocks: texts
                .iter()
                .map(|text| Block::Text {
                    text: (*text).to_owned(),
                    detail: None,
                })
                .collect(),
            metadata: metadata.map(|text| Json::object(text.to_owned()).unwrap()),
            reward: reward.map(|reward| Reward::new(reward).unwrap()),
            finished: false,
        })
    }

    fn plain(differences: &[FieldDifference]) -> String {
        let text: String = differences.iter().map(FieldDifference::text).collect();
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn equal_outcomes_have_no_difference() {
        let one = output(&["a"], Some("{\"a\":1}"), Some(1.0));
        assert_eq!(differences(&one, &one.clone()), []);
    }

    #[test]
    fn each_different_field_is_named_with_both_values() {
        let expected = output(&["same", "old"], None, Some(1.0));
        let actual = output(&["same", "new\u{1b}", "more"], None, None);
        assert_eq!(
            plain(&differences(&expected, &actual)),
            "        blocks[1].text: expected old, got new\\u{1b}\n\
             \x20       reward: expected 1.0, got nothing\n\
             \x20       blocks[2].text: expected nothing, got more\n"
        );
        let failed = GuestOutcome::Failed("no file".to_owned());
        let text = plain(&differences(&expected, &failed));
        assert!(
            text.contains("outcome: expected output, got failed"),
            "{text}"
        );
        assert!(
            text.contains("error: expected nothing, got no file"),
            "{text}"
        );
    }

    #[test]
    fn long_texts_and_json_are_compared_line_by_line() {
        let lines = |changed: &str| -> String {
            let line = |n: u32| {
                if n == 50 {
                    format!("{changed}\n")
                } else {
                    format!("line {n}\n")
                }
            };
            (0..100).map(line).collect()
        };
        let expected = output(&[&lines("before")], Some("{\"a\":1,\"b\":2}"), None);
        let actual = output(&[&lines("after")], Some("{\"a\":1,\"b\":3}"), None);
        assert_eq!(
            plain(&differences(&expected, &actual)),
            "        blocks[0].text: - expected, + got\n\
             \x20           line 47\n            line 48\n            line 49\n\
             \x20         - before\n          + after\n\
             \x20           line 51\n            line 52\n            line 53\n\
             \x20       metadata: - expected, + got\n\
             \x20           {\n              \"a\": 1,\n\
             \x20         -   \"b\": 2\n          +   \"b\": 3\n            }\n"
        );
        // Numbers that JSON readers take for equal are still told apart.
        let expected = output(&[], Some("{\"a\":123456789012345678901}"), None);
        let actual = output(&[], Some("{\"a\":123456789012345678902}"), None);
        let text = plain(&differences(&expected, &actual));
        assert!(text.contains("678901") && text.contains("678902"), "{text}");
    }
}
