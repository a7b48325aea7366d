//! The differences between two versions.

use maud::{Markup, html};

use super::environment::{EnvironmentHead, Tab, head};
use crate::layout::Frame;
use crate::parts::{moment, short};

/// A version.
#[derive(Clone, Debug, Default)]
pub struct CompareVersion {
    /// The id of the deployment.
    pub id: String,
    /// Its commit.
    pub commit: String,
    /// When it was deployed.
    pub at: String,
}

/// A line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Both versions have it.
    Equal(String),
    /// Only the earlier version has it.
    Removed(String),
    /// Only the later version has it.
    Added(String),
    /// Lines that are left out.
    Gap,
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Aspect {
    /// What it is.
    pub title: &'static str,
    /// The differences, with the lines around them.
    pub lines: Vec<Line>,
}

/// What the comparison of two versions shows.
#[derive(Clone, Debug, Default)]
pub struct ComparePage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The versions with which it can be compared.
    pub choices: Vec<CompareVersion>,
    /// The version with which it is compared; none if there is no other.
    pub old: Option<CompareVersion>,
    /// The version.
    pub new: CompareVersion,
    /// The differences.
    pub aspects: Vec<Aspect>,
}

/// Renders the comparison of two versions.
pub fn compare(frame: &Frame, page: &ComparePage) -> String {
    let name = page.head.full_name();
    let old = page.old.as_ref().map(|old| old.id.as_str());
    let content = html! {
        (head(frame, &page.head, Tab::Deployments))
        div.head {
            h2 { "What changed in " a.mono href={ "/" (name) "/deployments/" (page.new.id) } { (short(&page.new.id)) } }
            span.muted { (short(&page.new.commit)) ", " (moment(&page.new.at)) }
        }
        @if page.choices.is_empty() && old.is_none() {
            p.note { "There is no other version." }
        } @else {
            form.row method="get" {
                label for="with" { "Since" }
                div { select #with name="with" { @for version in &page.choices {
                    option value=(version.id) selected[old == Some(version.id.as_str())] {
                        (short(&version.id)) " – " (short(&version.commit)) ", "
                        (version.at.get(..10).unwrap_or_default())
                    }
                } } }
                button { "Compare" }
            }
        }
        @for aspect in &page.aspects { section.stack.tight {
            h3 { (aspect.title) }
            @if aspect.lines.is_empty() { p.muted { "No difference." } } @else {
                div.log.diff tabindex="0" role="region" aria-label={ "Differences: " (aspect.title) } {
                    @for line in &aspect.lines { (line_of(line)) }
                }
            }
        } }
    };
    frame.page(&format!("Versions of {name}"), &content)
}

fn line_of(line: &Line) -> Markup {
    html! { @match line {
        Line::Equal(text) => div { "  " (text) },
        Line::Removed(text) => div.removed { span.sr { "removed: " } "− " (text) },
        Line::Added(text) => div.added { span.sr { "added: " } "+ " (text) },
        Line::Gap => div.muted { "…" },
    } }
}
