//! Deployments and their build logs.

use maud::{Markup, html};

use super::environment::{EnvironmentHead, Tab, head};
use crate::layout::Frame;
use crate::parts::{moment, pager, short, status, token_field};

/// A deployment.
#[derive(Clone, Debug)]
pub struct DeploymentRow {
    /// The id.
    pub id: String,
    /// How far it is.
    pub status: &'static str,
    /// The branch; `upload` without a repository.
    pub branch: String,
    /// The commit, or the digest of an upload.
    pub commit: String,
    /// Who caused it.
    pub created_by: String,
    /// When it was queued.
    pub created_at: String,
    /// When its status changed last.
    pub updated_at: String,
    /// The digest of the components.
    pub digest: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether new sessions use it.
    pub is_served: bool,
}

/// What the list of deployments shows.
#[derive(Clone, Debug, Default)]
pub struct DeploymentsPage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The rows of this page.
    pub rows: Vec<DeploymentRow>,
    /// The number of this page, from 1.
    pub number: i64,
    /// Whether there is a page after it.
    pub has_more: bool,
}

/// Renders the list of deployments.
pub fn deployments(frame: &Frame, page: &DeploymentsPage) -> String {
    let name = page.head.full_name();
    let address = |number: i64| format!("/{name}/deployments?page={number}");
    let newer = (page.number > 1).then(|| address(page.number - 1));
    let older = page.has_more.then(|| address(page.number + 1));
    let content = html! {
        (head(frame, &page.head, Tab::Deployments))
        @if page.rows.is_empty() {
            div.empty { h2 { "Nothing was deployed yet" }
                        a href={ "/" (name) } { "How to deploy" } }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Deployments" { table {
                thead { tr {
                    th { "Deployment" } th { "State" } th { "Commit" } th { "By" } th { "Queued" }
                    th { span.sr { "Action" } }
                } }
                tbody { @for row in &page.rows { tr {
                    td { a.mono href={ "/" (name) "/deployments/" (row.id) } { (short(&row.id)) } }
                    td { (status(row.status)) @if row.is_served { " " span.badge.good { "served" } } }
                    td { span.mono { (short(&row.commit)) } " " span.muted { (row.branch) } }
                    td { (row.created_by) }
                    td { (moment(&row.created_at)) }
                    td.number { (roll_back(frame, &name, row)) }
                } } }
            } }
            (pager(newer.as_deref(), older.as_deref()))
        }
    };
    frame.page(&format!("Deployments of {name}"), &content)
}

fn roll_back(frame: &Frame, name: &str, row: &DeploymentRow) -> Markup {
    html! {
        @if row.status == "deployed" && !row.is_served {
            form method="post" action={ "/" (name) "/deployments/" (row.id) "/serve" } {
                (token_field(&frame.token))
                button aria-label={ "Roll back to this: " (short(&row.id)) } { "Roll back to this" }
            }
        }
    }
}

/// What the page of a deployment shows.
#[derive(Clone, Debug)]
pub struct DeploymentPage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The deployment.
    pub row: DeploymentRow,
    /// The build log so far.
    pub log: String,
}

/// Renders the page of a deployment.
pub fn deployment(frame: &Frame, page: &DeploymentPage) -> String {
    let (name, row) = (page.head.full_name(), &page.row);
    let is_open = matches!(row.status, "queued" | "building" | "deploying");
    let events = format!(
        "/{name}/deployments/{}/events?after={}",
        row.id,
        page.log.chars().count()
    );
    let content = html! {
        (head(frame, &page.head, Tab::Deployments))
        div.head {
            h2 { "Deployment " span.mono { (short(&row.id)) } }
            div.row {
                (status(row.status))
                @if row.is_served { span.badge.good { "served" } }
                @if row.status == "deployed" {
                    a.button href={ "/" (name) "/deployments/" (row.id) "/compare" } { "What changed" }
                }
                (roll_back(frame, &name, row))
            }
        }
        @if let Some(error) = &row.error { p.note.bad { (error) } }
        @if row.is_served {
            p.note { "New sessions use this version. " a href={ "/" (name) } { "Use it" } "." }
        }
        section.stack.tight {
            h3 { "Build log" }
            pre.log tabindex="0" aria-live="polite" data-log=[is_open.then_some(&events)] { (page.log) }
        }
        section.card {
            h3 { "Details" }
            dl.facts {
                dt { "Id" } dd.mono { (row.id) }
                dt { "Commit" } dd.mono { (row.commit) }
                dt { "Branch" } dd { (row.branch) }
                @if let Some(digest) = &row.digest { dt { "Component" } dd.mono { (digest) } }
                dt { "By" } dd { (row.created_by) }
                dt { "Queued" } dd { (moment(&row.created_at)) }
                dt { "Changed" } dd { (moment(&row.updated_at)) }
            }
        }
    };
    frame.page(
        &format!("Deployment {} of {name}", short(&row.id)),
        &content,
    )
}
