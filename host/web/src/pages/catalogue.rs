//! The list of environments.

use maud::html;

use crate::layout::Frame;
use crate::parts::{encode, moment, pager};

/// An environment in the list.
#[derive(Clone, Debug)]
pub struct CatalogueRow {
    /// The namespace.
    pub owner: String,
    /// The name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether only members see it.
    pub is_private: bool,
    /// Whether a version is served.
    pub is_deployed: bool,
    /// When it was changed last.
    pub updated_at: String,
}

/// What the list shows.
#[derive(Clone, Debug, Default)]
pub struct CataloguePage {
    /// The only namespace that is listed.
    pub owner: Option<String>,
    /// The text that was searched.
    pub search: String,
    /// The rows of this page.
    pub rows: Vec<CatalogueRow>,
    /// Environments on all pages.
    pub total: i64,
    /// The number of this page, from 1.
    pub number: i64,
    /// Whether there is a page after it.
    pub has_more: bool,
}

/// Renders the list of environments.
pub fn catalogue(frame: &Frame, page: &CataloguePage) -> String {
    let title = page.owner.as_deref().unwrap_or("Environments");
    let path = page
        .owner
        .as_ref()
        .map_or("/".to_owned(), |owner| format!("/{owner}"));
    let address = |number: i64| match page.search.as_str() {
        "" => format!("{path}?page={number}"),
        search => format!("{path}?search={}&page={number}", encode(search)),
    };
    let newer = (page.number > 1).then(|| address(page.number - 1));
    let older = page.has_more.then(|| address(page.number + 1));
    let content = html! {
        div.head {
            h1 { (title) }
            form.search role="search" action=(path) {
                label.sr for="search" { "Search in names and descriptions" }
                input #search type="search" name="search" value=(page.search)
                    placeholder="Search";
                button { "Search" }
            }
        }
        @if !page.rows.is_empty() {
            div.stack.tight {
                p.muted.small aria-live="polite" { (page.total) @if page.total == 1 { " environment" } @else { " environments" } }
                ul.list { @for row in &page.rows { li {
                    div.row {
                        a.title href={ "/" (row.owner) "/" (row.name) } { (row.owner) "/" (row.name) }
                        @if row.is_private { span.badge { "private" } }
                        @if !row.is_deployed { span.badge { "not deployed" } }
                    }
                    @if !row.description.is_empty() { p { (row.description) } }
                    div.muted.small { "changed " (moment(&row.updated_at)) }
                } } }
            }
            (pager(newer.as_deref(), older.as_deref()))
        } @else if !page.search.is_empty() {
            div.empty {
                h2 { "Nothing found for “" (page.search) "”" }
                a href=(path) { "Show all" }
            }
        } @else {
            div.empty {
                h2 { "No environments yet" }
                p { "An environment is a set of tasks, tools and rewards that an agent plays." }
                @if frame.user.is_some() { a.button.main href="/new" { "+ New environment" } }
                @else { a.button href="/login" { "Sign in" } }
            }
        }
    };
    frame.page(title, &content)
}
