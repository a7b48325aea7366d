//! The log of changes.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use orwd_hub_store::audit::{AuditEntry, AuditQuery, latest};
use orwd_web::pages::{self, AuditPage, ChangeRow};

use crate::http::query::QueryParameters;
use crate::http::state::Shared;
use crate::web::page::Page;
use crate::web::viewer::Viewer;

/// Rows of a page.
const ROWS: i64 = 100;

/// Returns a change as pages show it.
pub(in crate::web) fn row(entry: AuditEntry) -> ChangeRow {
    ChangeRow {
        created_at: entry.created_at,
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
    }
}

/// Shows the changes in the namespaces that the viewer may change.
pub(in crate::web) async fn log(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    query: QueryParameters,
) -> Page {
    let caller = viewer.signed_in()?;
    let search = query.text("search");
    let wanted = AuditQuery {
        before: query.number("before")?,
        search: search.clone(),
        limit: ROWS,
    };
    let found = state
        .database
        .read(move |transaction| latest(transaction, &caller.changeable(), &wanted))
        .await?;
    let is_whole = found.len() as i64 == ROWS;
    let page = AuditPage {
        next: found.last().filter(|_| is_whole).map(|entry| entry.number),
        rows: found.into_iter().map(row).collect(),
        search: search.unwrap_or_default(),
    };
    Ok(Html(pages::audit(&viewer.frame(), &page)))
}
