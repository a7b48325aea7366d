//! The tasks of an environment.

use maud::html;

use super::environment::{EnvironmentHead, Tab, head};
use crate::layout::Frame;
use crate::parts::{code, encode, pager};

/// A task.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// Its index in the split.
    pub index: u64,
    /// Its specification.
    pub spec: serde_json::Value,
}

/// What the page of tasks shows.
#[derive(Clone, Debug, Default)]
pub struct TasksPage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The splits.
    pub splits: Vec<String>,
    /// The split that is shown.
    pub split: String,
    /// The number of its tasks, if it is known.
    pub total: Option<u64>,
    /// The tasks of this page.
    pub rows: Vec<TaskRow>,
    /// Tasks of a page.
    pub size: u64,
    /// Why there are none.
    pub problem: Option<String>,
}

/// Renders the tasks of an environment.
pub fn tasks(frame: &Frame, page: &TasksPage) -> String {
    let name = page.head.full_name();
    let from = page.rows.first().map_or(0, |row| row.index);
    let address = |from: u64| format!("/{name}/tasks?split={}&from={from}", encode(&page.split));
    let newer = (from > 0).then(|| address(from.saturating_sub(page.size)));
    let after = from + page.rows.len() as u64;
    let has_more = page.total.is_some_and(|total| after < total);
    let older = (has_more && !page.rows.is_empty()).then(|| address(after));
    let content = html! {
        (head(frame, &page.head, Tab::Tasks))
        @if page.splits.len() > 1 {
            nav.row aria-label="Splits" { @for split in &page.splits {
                a.button href={ "/" (name) "/tasks?split=" (encode(split)) }
                    aria-current=[(*split == page.split).then_some("page")] { (split) }
            } }
        }
        @if let Some(problem) = &page.problem { p.note.wait role="status" { (problem) } }
        @if !page.rows.is_empty() {
            p.muted.small {
                "Tasks " (from) " to " (after - 1) " of the split " b { (page.split) }
                @if let Some(total) = page.total { ", which has " (total) }
            }
            ul.list { @for row in &page.rows { li.stack.tight {
                h2.mono.small #{ "task-" (row.index) } { "Task " (row.index) }
                (code(&serde_json::to_string_pretty(&row.spec).unwrap_or_default()))
            } } }
            (pager(newer.as_deref(), older.as_deref()))
        } @else if page.problem.is_none() {
            div.empty { h2 { "No tasks here" } }
        }
    };
    frame.page(&format!("Tasks of {name}"), &content)
}
