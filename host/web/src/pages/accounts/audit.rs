//! The log of changes.

use maud::{Markup, html};

use crate::layout::Frame;
use crate::parts::{encode, moment, pager};

/// A change of an environment.
#[derive(Clone, Debug)]
pub struct ChangeRow {
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: String,
}

/// What the page of the log shows.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// The changes of this page, the newest first.
    pub rows: Vec<ChangeRow>,
    /// The text that they contain.
    pub search: String,
    /// What the next page is before.
    pub next: Option<i64>,
}

/// Renders the log of changes.
pub fn audit(frame: &Frame, page: &AuditPage) -> String {
    let older = page.next.map(|next| {
        let search = encode(&page.search);
        format!("/settings/audit?before={next}&search={search}")
    });
    let content = html! {
        h1 { "Changes" }
        form.row method="get" role="search" {
            div.search {
                input type="search" name="search" value=(page.search) placeholder="Who, what or which environment"
                    aria-label="Search in the changes";
                button { "Search" }
            }
        }
        @if page.rows.is_empty() {
            p.muted { @if page.search.is_empty() { "Nothing was changed yet." } @else { "No change has this text." } }
        } @else {
            (table(&page.rows))
        }
        (pager(None, older.as_deref()))
    };
    frame.page("Changes", &content)
}

/// A table of changes.
pub(super) fn table(rows: &[ChangeRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Changes" { table {
            thead { tr { th { "When" } th { "Who" } th { "What" } th { "Environment" } } }
            tbody { @for row in rows { tr {
                td { (moment(&row.created_at)) }
                td { (row.actor) }
                td { (row.action) }
                td.mono { (row.subject) }
            } } }
        } }
    }
}
