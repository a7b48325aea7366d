//! Deleted environments, and the log of changes.

use maud::html;

use super::audit::{ChangeRow, table};
use crate::layout::Frame;
use crate::parts::{moment, token_field};

/// A deleted environment.
#[derive(Clone, Debug)]
pub struct DeletedRow {
    /// The id.
    pub id: String,
    /// The name with the owner.
    pub name: String,
    /// When it was deleted.
    pub deleted_at: String,
    /// When it will be removed.
    pub remove_at: String,
}

/// What the page of deleted environments shows.
#[derive(Clone, Debug, Default)]
pub struct DeletedPage {
    /// The deleted environments.
    pub rows: Vec<DeletedRow>,
    /// The newest changes.
    pub changes: Vec<ChangeRow>,
}

/// Renders the page of deleted environments.
pub fn deleted(frame: &Frame, page: &DeletedPage) -> String {
    let content = html! {
        h1 { "Deleted environments" }
        @if page.rows.is_empty() {
            p.muted { "There is none that you can restore." }
        } @else {
            p.muted { "Nobody sees them, and their names stay taken. They count for the quota until they are \
                       removed with their repositories, versions and files." }
            div.scroll tabindex="0" role="region" aria-label="Deleted environments" { table {
                thead { tr { th { "Name" } th { "Deleted" } th { "Removed after" } th { span.sr { "Action" } } } }
                tbody { @for row in &page.rows { tr {
                    td.mono { (row.name) }
                    td { (moment(&row.deleted_at)) }
                    td { (moment(&row.remove_at)) }
                    td.number { div.row.end {
                        form method="post" action={ "/settings/deleted/" (row.id) "/restore" } {
                            (token_field(&frame.token))
                            button.main aria-label={ "Restore " (row.name) } { "Restore" }
                        }
                        form method="post" action={ "/settings/deleted/" (row.id) "/remove" } {
                            (token_field(&frame.token))
                            button.danger aria-label={ "Remove for good: " (row.name) } { "Remove for good" }
                        }
                    } }
                } } }
            } }
        }
        section.stack.tight aria-labelledby="changes" {
            h2 #changes { "Changes" }
            @if page.changes.is_empty() {
                p.muted { "Nothing was changed yet." }
            } @else {
                (table(&page.changes))
                div { a href="/settings/audit" { "All changes" } }
            }
        }
    };
    frame.page("Deleted environments", &content)
}
