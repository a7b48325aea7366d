//! Prints sessions and their steps for people.
//!
//! Control characters in a guest's or a client's text are escaped.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::types::{ListedSession, ShownOutput, ShownSession, ShownStep};
use crate::console::table::table;
use crate::console::terminal::{BOLD, DIM, GREEN, RED, YELLOW, escape_control, styled};
use crate::console::time::{age, date_time};

/// The width of the labels of a step.
const LABEL: usize = 10;

/// Formats a list of sessions.
pub(super) fn list(sessions: &[ListedSession]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let since = |millis: u64| age(now.saturating_sub(Duration::from_millis(millis)));
    let with_keys = sessions.iter().any(|session| session.key.is_some());
    let row = |listed: &ListedSession| {
        [
            listed.session.clone(),
            environment(&listed.environment, listed.imported_records),
            listed.state.clone(),
            since(listed.created_ms),
            listed.ended_ms.map_or_else(|| "-".to_owned(), since),
        ]
    };
    let heading = ["SESSION", "ENVIRONMENT", "STATE", "AGE", "ENDED"];
    if with_keys {
        let rows: Vec<[String; 6]> = sessions
            .iter()
            .map(|listed| {
                let [a, b, c, d, e] = row(listed);
                let key = listed.key.clone();
                [a, b, c, d, e, key.unwrap_or_else(|| "-".to_owned())]
            })
            .collect();
        let [a, b, c, d, e] = heading;
        table([a, b, c, d, e, "KEY"], &rows)
    } else {
        table(heading, &sessions.iter().map(row).collect::<Vec<_>>())
    }
}

/// Returns the name of an environment, which is the claim of a file if the session
/// was imported.
fn environment(name: &str, imported_records: Option<u64>) -> String {
    match imported_records {
        Some(_) => format!("imported:{name}"),
        None => name.to_owned(),
    }
}

/// Formats a session without its steps.
pub(super) fn session(shown: &ShownSession, key: Option<&str>) -> String {
    let mut out = String::new();
    let title = format!("session {}", shown.session);
    writeln!(out, "{}", styled(BOLD, &escape_control(&title))).ok();
    let mut field = |name: &str, value: &str| {
        writeln!(out, "{name:<13}{}", escape_control(value)).ok();
    };
    let name = environment(&shown.environment, shown.imported_records);
    field("environment", &name);
    field("component", &shown.component);
    field("episode", &shown.episode);
    if let Some(key) = key {
        field("key", key);
    }
    field("state", &shown.state);
    field("created", &format!("{} UTC", date_time(shown.created_ms)));
    if let Some(ended) = shown.ended_ms {
        field("ended", &format!("{} UTC", date_time(ended)));
    }
    field("seed", &shown.seed);
    field("replayable", if shown.replayable { "yes" } else { "no" });
    if let Some(records) = shown.imported_records {
        field(
            "imported",
            &format!("the first {records} records are of another server"),
        );
    }
    if let Some(parent) = &shown.parent {
        let mut text = format!("episode {}, record {}", parent.episode, parent.record);
        if parent.imported {
            text.push_str(", which this server did not run");
        }
        field("forked from", &text);
    }
    out
}

/// Formats a step with its input and output.
pub(super) fn step(step: &ShownStep) -> String {
    let mut out = String::from("\n");
    let mut title = match step.step {
        Some(number) => format!("step {number}: {}", step.kind),
        None => step.kind.clone(),
    };
    if let Some(tool) = &step.tool {
        write!(title, " {tool}").ok();
    }
    let mut about = format!("record {}, {}", step.record, date_time(step.at_ms));
    if let Some(cpu) = step.cpu_us {
        write!(about, ", {:.1} ms CPU", cpu as f64 / 1000.0).ok();
    }
    let title = styled(BOLD, &escape_control(&title));
    writeln!(out, "{title}  {}", styled(DIM, &about)).ok();
    if let Some(input) = &step.input {
        match serde_json::from_str::<Value>(input.get()) {
            Ok(Value::Array(candidates)) => {
                labelled(
                    &mut out,
                    "input",
                    &format!("{} candidates", candidates.len()),
                );
            }
            _ => labelled(&mut out, "input", input.get()),
        }
    }
    if step.sealed {
        let why = "not shown, since the session has secrets; its content is sealed";
        labelled(&mut out, "content", why);
    }
    match (&step.output, &step.outcome) {
        (Some(output), _) => output_text(&mut out, output),
        (None, None) => labelled(&mut out, "output", "none yet"),
        (None, Some(_)) => {}
    }
    out
}

/// Formats the totals of a session.
pub(super) fn totals(calls: u64, rewards: &[f64], finished: bool) -> String {
    let noun = if calls == 1 { "call" } else { "calls" };
    let reward = match rewards {
        [] => "no reward".to_owned(),
        rewards => format!("{:?} reward in total", rewards.iter().sum::<f64>()),
    };
    let end = if finished { "finished" } else { "not finished" };
    format!("\n{calls} {noun}, {reward}, {end}\n")
}

fn output_text(out: &mut String, output: &ShownOutput) {
    if !output.blocks.is_empty() {
        labelled(out, "output", &blocks(&output.blocks));
    }
    for message in &output.messages {
        labelled(out, &message.role, &blocks(&message.blocks));
    }
    if !output.tools.is_empty() {
        labelled(out, "tools", &output.tools.join(", "));
    }
    if let Some(metadata) = &output.metadata {
        labelled(out, "metadata", metadata.get());
    }
    if let Some(reward) = output.reward {
        coloured(out, "reward", GREEN, &format!("{reward:?}"));
    }
    if !output.scores.is_empty() {
        let scores: Vec<String> = output
            .scores
            .iter()
            .map(|score| format!("{:?}", score.reward))
            .collect();
        coloured(out, "scores", GREEN, &scores.join(", "));
    }
    if let Some(files) = output.published {
        labelled(out, "published", &format!("{files} files"));
    }
    if let Some(error) = &output.error {
        let style = if error.reason == "failed" {
            YELLOW
        } else {
            RED
        };
        coloured(
            out,
            "error",
            style,
            &format!("{}: {}", error.reason, error.message),
        );
    }
    if output.finished {
        coloured(out, "finished", GREEN, "yes");
    }
}

/// Returns the text of blocks, each in lines of its own.
fn blocks(blocks: &[Value]) -> String {
    let texts: Vec<String> = blocks.iter().map(block).collect();
    texts.join("\n")
}

fn block(block: &Value) -> String {
    let field = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    match field("type") {
        "text" => field("text").to_owned(),
        "image" => format!(
            "[{}, {} bytes]",
            field("mime_type"),
            block.get("bytes").unwrap_or(&Value::Null)
        ),
        "reasoning" => format!("[reasoning] {}", field("text")),
        "tool_call" => format!(
            "[calls {}] {}",
            field("name"),
            block.get("input").unwrap_or(&Value::Null)
        ),
        "tool_result" => {
            let inner = block.get("blocks").and_then(Value::as_array);
            let inner = inner.map(|inner| self::blocks(inner)).unwrap_or_default();
            format!("[result] {inner}")
        }
        _ => block.to_string(),
    }
}

fn labelled(out: &mut String, label: &str, text: &str) {
    lines(out, label, &escape_control(text), |line| line.to_owned());
}

fn coloured(out: &mut String, label: &str, style: anstyle::Style, text: &str) {
    lines(out, label, &escape_control(text), |line| {
        styled(style, line)
    });
}

/// Appends text with its label before the first line, and the others below it.
fn lines(out: &mut String, label: &str, text: &str, show: impl Fn(&str) -> String) {
    let label = escape_control(label);
    if text.is_empty() {
        writeln!(out, "  {}", styled(DIM, &label)).ok();
    }
    for (number, line) in text.lines().enumerate() {
        let head = if number == 0 { label.as_str() } else { "" };
        let head = styled(DIM, &format!("{head:<LABEL$}"));
        writeln!(out, "  {head}{}", show(line)).ok();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_step_shows_its_input_output_reward_and_end() {
        let text = r#"{
            "record": 3, "step": 1, "at_ms": 1700000000123, "kind": "call", "tool": "add",
            "outcome": "output", "cpu_us": 1500, "input": {"by": 12345678901234567890123},
            "output": {"blocks": [{"type": "text", "text": "one\ntwo\u001b"}],
                       "metadata": {"a": 1}, "reward": 1.0, "finished": true}
        }"#;
        let shown: ShownStep = serde_json::from_str(text).unwrap();
        assert_eq!(
            plain(&step(&shown)),
            "\nstep 1: call add  record 3, 2023-11-14 22:13:20.123, 1.5 ms CPU\n\
             \x20 input     {\"by\": 12345678901234567890123}\n\
             \x20 output    one\n            two\\u{1b}\n\
             \x20 metadata  {\"a\": 1}\n  reward    1.0\n  finished  yes\n"
        );
    }

    #[test]
    fn what_another_server_ran_is_marked() {
        let listed = |imported_records| ListedSession {
            session: "s".to_owned(),
            episode: "e".to_owned(),
            environment: "wordle".to_owned(),
            state: "ready".to_owned(),
            created_ms: 0,
            ended_ms: None,
            imported_records,
            key: None,
        };
        let shown = list(&[listed(None), listed(Some(4))]);
        assert_eq!(shown.matches("wordle").count(), 2, "{shown}");
        assert_eq!(shown.matches("imported:wordle").count(), 1, "{shown}");
        let mut json = json!({
            "session": "s", "episode": "e", "environment": "wordle", "component": "c",
            "state": "ready", "created_ms": 0, "seed": "1", "replayable": true,
            "parent": {"episode": "p", "record": 3, "imported": false},
        });
        let shown = |json: &Value| {
            plain(&session(
                &serde_json::from_value(json.clone()).unwrap(),
                None,
            ))
        };
        let own = shown(&json);
        assert!(
            !own.contains("imported") && !own.contains("did not run"),
            "{own}"
        );
        json["imported_records"] = json!(4);
        json["parent"]["imported"] = json!(true);
        let other = shown(&json);
        assert!(other.contains("imported:wordle"), "{other}");
        assert!(
            other.contains("record 3, which this server did not run"),
            "{other}"
        );
    }

    #[test]
    fn errors_missing_results_and_sealed_content_are_named() {
        let shown = |extra: Value| {
            let mut value = json!({
                "record": 5, "step": null, "at_ms": 0, "kind": "setup", "tool": null,
                "outcome": null,
            });
            for (name, field) in extra.as_object().unwrap() {
                value[name] = field.clone();
            }
            let shown: ShownStep = serde_json::from_str(&value.to_string()).unwrap();
            plain(&step(&shown))
        };
        assert!(shown(json!({})).contains("output    none yet"));
        let failed = shown(json!({
            "outcome": "failed",
            "output": {"error": {"reason": "failed", "message": "no file"}},
        }));
        assert!(failed.contains("error     failed: no file"), "{failed}");
        let sealed = shown(json!({"outcome": "not kept", "sealed": true}));
        assert!(sealed.contains("the session has secrets"), "{sealed}");
    }
}
