//! One step of a transcript. All of its text is the guest's or the agent's.

use maud::{Markup, html};
use serde_json::Value;

use super::data::{ShownBlock, ShownCandidate, ShownMessage, Step};
use crate::parts::{duration, reward, short, size};

/// Characters of a text that are shown at once; the rest is folded.
const FOLDED: usize = 2000;

/// Lines of a text that are shown at once.
const FOLDED_LINES: usize = 24;

/// Renders a step. `began` is when the session did, and `address` that of the step.
pub(super) fn step(step: &Step, began: u64, address: &str, actions: &Markup) -> Markup {
    let value = step.reward;
    let class = match value {
        Some(value) if value > 0.0 => "reward plus",
        Some(value) if value < 0.0 => "reward minus",
        _ => "reward",
    };
    let label = match step.step {
        Some(number) => number.to_string(),
        None => "·".to_owned(),
    };
    let named = match step.step {
        Some(number) => format!("Call {number}"),
        None => format!("Record {}", step.record),
    };
    html! {
        li.step #{ "r" (step.record) } {
            div.gutter { a href=(address) aria-label={ "Link to " (named) } { (label) } }
            div.body {
                div.what {
                    @match &step.tool { Some(tool) => b { (tool) }, None => b { (kind(&step.kind)) } }
                    span.muted.small {
                        "after " (duration(step.at_ms.saturating_sub(began)))
                        @if let Some(cpu) = step.cpu_us { ", " (cpu_time(cpu)) " of CPU" }
                    }
                    @if step.finished { span.badge.good { "finished" } }
                    (actions)
                }
                @if step.sealed { p.muted { "The session has secrets, so its content was not kept." } }
                (input(step))
                (output(step))
            }
            div class=(class) { @if let Some(value) = value {
                span.sr { "Reward " } @if value > 0.0 { "+" } (reward(value))
            } }
        }
    }
}

fn cpu_time(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{:.1} ms", microseconds as f64 / 1000.0),
        _ => duration(microseconds / 1000),
    }
}

/// Returns words for what was asked for.
fn kind(kind: &str) -> String {
    match kind {
        "setup" => "The session began".to_owned(),
        "prompt" | "messages" => "Prompt".to_owned(),
        "score" => "Scoring".to_owned(),
        "teardown" => "The session ended".to_owned(),
        "task tools" => "Tools of the task".to_owned(),
        other => other.replace('_', " "),
    }
}

fn input(step: &Step) -> Markup {
    let Some(input) = &step.input else {
        return html! {};
    };
    if step.tool.is_none()
        && let Ok(candidates) = serde_json::from_value::<Vec<ShownCandidate>>(input.clone())
    {
        return html! { @for (number, candidate) in (1..).zip(&candidates) {
            p.from { "ShownCandidate " (number) }
            (messages(&candidate.messages))
        } };
    }
    html! { (arguments(input)) }
}

/// The input of a tool: short arguments on a line, and a long text as it is read.
fn arguments(input: &Value) -> Markup {
    match input.as_object() {
        Some(members) if members.is_empty() => html! {},
        Some(members) => html! { dl.facts { @for (name, value) in members {
            dt.mono { (name) } dd { (argument(value)) }
        } } },
        None => said(&plain(input), "said"),
    }
}

/// A number or a word of an input is shown on its line.
fn argument(value: &Value) -> Markup {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            html! { span.mono { (value.to_string()) } }
        }
        other => said(&plain(other), "said"),
    }
}

/// Returns a text as it is, and any other value as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn output(step: &Step) -> Markup {
    let Some(output) = &step.output else {
        return html! { @if !step.sealed { p.muted { "No result yet." } } };
    };
    let class = match step.kind.as_str() {
        "prompt" | "messages" => "said prompt",
        _ => "said",
    };
    html! {
        (blocks(&output.blocks, class))
        (messages(&output.messages))
        @if !output.tools.is_empty() { p.mono.small { (output.tools.join(", ")) } }
        @for (number, score) in (1..).zip(&output.scores) {
            p { "ShownCandidate " (number) ": " b.mono { (reward(score.reward)) } }
        }
        @if let Some(error) = &output.error {
            div.note.bad { b.mono { (error.reason) } " " (error.message) }
        }
        @if let Some(metadata) = output.metadata.as_ref().filter(|metadata| !is_empty(metadata)) {
            details { summary.muted.small { "Metadata" } (said(&plain(metadata), "said")) }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(|members| members.is_empty())
}

fn messages(messages: &[ShownMessage]) -> Markup {
    html! { @for message in messages {
        div { p.from { (message.role) } (blocks(&message.blocks, "said")) }
    } }
}

fn blocks(blocks: &[ShownBlock], class: &str) -> Markup {
    html! { @for block in blocks { (one(block, class)) } }
}

fn one(block: &ShownBlock, class: &str) -> Markup {
    match block.kind.as_str() {
        "image" => html! {
            p { span.badge { "image" } " " span.mono.small {
                (block.mime_type) ", " (size(block.bytes)) ", " (short(&block.digest))
            } }
        },
        "reasoning" => {
            html! { details { summary.muted.small { "Reasoning" } (said(&block.text, class)) } }
        }
        "tool_call" => html! {
            p.from { "calls " b.mono { (block.name) } }
            @if let Some(input) = &block.input { (arguments(input)) }
        },
        "tool_result" => html! { p.from { "result" } (blocks(&block.blocks, class)) },
        _ => said(&block.text, class),
    }
}

/// A text, folded if it is long.
fn said(text: &str, class: &str) -> Markup {
    let by_lines = text.match_indices('\n').nth(FOLDED_LINES).map(|(at, _)| at);
    let by_length = text.char_indices().nth(FOLDED).map(|(at, _)| at);
    let cut = match (by_lines, by_length) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let Some((shown, rest)) = cut.and_then(|at| text.split_at_checked(at)) else {
        return html! { div class=(class) { (text) } };
    };
    html! {
        div class=(class) { (shown) "…" }
        details {
            summary.muted.small { (size(rest.len() as u64)) " more" }
            div class=(class) { (rest.trim_start_matches('\n')) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: Value) -> String {
        let parsed: Step = serde_json::from_value(json).unwrap();
        step(&parsed, 1000, "#r4", &html! {}).into_string()
    }

    #[test]
    fn a_call_shows_what_was_sent_and_returned() {
        let html = shown(serde_json::json!({
            "record": 4, "step": 2, "at_ms": 3500, "kind": "call", "tool": "add", "reward": 0.5,
            "finished": true, "cpu_us": 1500, "hash": "x", "input": {"by": 2},
            "output": {"blocks": [{"type": "text", "text": "now 2"},
                {"type": "image", "mime_type": "image/png", "bytes": 2048, "digest": "blake3:abcdefghij"}],
                "reward": 0.5, "finished": true}
        }));
        for part in [
            "id=\"r4\"",
            "<b>add</b>",
            "after 2.5 s",
            "1.5 ms of CPU",
            "finished",
            "now 2",
            "image/png, 2.0 KiB, abcdefgh",
            "+0.5",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let html = shown(serde_json::json!({
            "record": 1, "step": 1, "kind": "call", "tool": "<script>a</script>",
            "input": {"<script>b</script>": "<img src=x onerror=c>"},
            "output": {"blocks": [{"type": "text", "text": "<script>d</script>"},
                {"type": "image", "mime_type": "\"><script>e</script>", "bytes": 1, "digest": "<script>"}],
                "error": {"reason": "<script>", "message": "<script>f</script>"},
                "metadata": {"<script>": "<script>"}}
        }));
        assert!(
            !html.contains("<script") && !html.contains("<img"),
            "{html}"
        );
    }

    #[test]
    fn a_long_text_is_folded() {
        let html = shown(serde_json::json!({
            "record": 1, "kind": "prompt",
            "output": {"blocks": [{"type": "text", "text": "ü".repeat(3000)}]}
        }));
        assert!(
            html.contains("<details>") && html.contains("more</summary>"),
            "{html}"
        );
        assert_eq!(html.matches('ü').count(), 3000);
        let html = shown(serde_json::json!({
            "record": 1, "kind": "prompt",
            "output": {"blocks": [{"type": "text", "text": "a\n".repeat(100)}]}
        }));
        assert!(html.contains("<details>"), "{html}");
    }
}
