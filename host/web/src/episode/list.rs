//! The list of sessions.

use maud::{Markup, html};

use super::data::ShownSession;
use crate::layout::Frame;
use crate::pages::{EnvironmentHead, Tab, head};
use crate::parts::{duration, encode, moment_ms, pager, short};

/// A session in the list.
#[derive(Clone, Debug, Default)]
pub struct SessionRow {
    /// The session.
    pub summary: ShownSession,
    /// The address of its page.
    pub address: String,
}

/// A version whose sessions can be listed.
#[derive(Clone, Debug)]
pub struct VersionChoice {
    /// The id of the deployment.
    pub id: String,
    /// Its commit.
    pub commit: String,
    /// When it was deployed.
    pub at: String,
}

/// What the list of sessions shows.
#[derive(Clone, Debug, Default)]
pub struct SessionsPage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The versions, newest first.
    pub versions: Vec<VersionChoice>,
    /// The version whose sessions are listed.
    pub version: String,
    /// The open sessions.
    pub open: Vec<SessionRow>,
    /// The ended sessions of this page.
    pub ended: Vec<SessionRow>,
    /// What the next page of ended sessions begins after.
    pub next: Option<String>,
    /// Why there are none.
    pub problem: Option<String>,
}

/// Renders the list of sessions.
pub fn sessions(frame: &Frame, page: &SessionsPage) -> String {
    let name = page.head.full_name();
    let older = page.next.as_ref().map(|next| {
        format!(
            "/{name}/sessions?version={}&after={}",
            encode(&page.version),
            encode(next)
        )
    });
    let is_empty = page.open.is_empty() && page.ended.is_empty();
    let content = html! {
        (head(frame, &page.head, Tab::Sessions))
        @if page.versions.len() > 1 {
            form.row method="get" {
                label for="version" { "Version" }
                div { select #version name="version" { @for version in &page.versions {
                    option value=(version.id) selected[version.id == page.version] {
                        (short(&version.commit)) " – " (version.at.get(..10).unwrap_or_default())
                    }
                } } }
                button { "Show" }
            }
        }
        @if let Some(problem) = &page.problem { p.note.wait role="status" { (problem) } }
        @if is_empty && page.problem.is_none() {
            div.empty {
                h2 { "You have no sessions here yet" }
                p { "Your own sessions appear as soon as a client begins an episode with one of your keys." }
                a href={ "/" (name) "#use" } { "How to play" }
            }
        }
        (table("Live", &page.open))
        (table("Ended", &page.ended))
        (pager(None, older.as_deref()))
    };
    frame.page(&format!("Sessions of {name}"), &content)
}

fn table(title: &str, rows: &[SessionRow]) -> Markup {
    html! {
        @if !rows.is_empty() {
            section.stack.tight {
                h2 { (title) }
                div.scroll tabindex="0" role="region" aria-label={ (title) " sessions" } { table {
                    thead { tr {
                        th { "Session" } th { "State" } th { "Variant" } th { "Began (UTC)" }
                        th.number { "Lasted" }
                    } }
                    tbody { @for row in rows { tr {
                        td { a.mono href=(row.address) { (shown_id(&row.summary.session)) } }
                        td { (state(&row.summary.state)) }
                        td.mono { (row.summary.environment) }
                        td { (moment_ms(row.summary.created_ms)) }
                        td.number { @if let Some(ended) = row.summary.ended_ms {
                            (duration(ended.saturating_sub(row.summary.created_ms)))
                        } @else { "–" } }
                    } } }
                } }
            }
        }
    }
}

/// Returns an id, or the beginning of a long one.
pub(super) fn shown_id(id: &str) -> String {
    match id.char_indices().nth(40) {
        None => id.to_owned(),
        Some((end, _)) => format!("{}…", id.get(..end).unwrap_or_default()),
    }
}

/// A badge with the state of a session.
pub(super) fn state(state: &str) -> Markup {
    let class = match state {
        "ready" => "badge good",
        "starting" | "waking" => "badge wait",
        "setup_failed" | "faulted" | "lost" | "data_differs" => "badge bad",
        _ => "badge",
    };
    html! { span class=(class) { (state.replace('_', " ")) } }
}
