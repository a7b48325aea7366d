//! The differences between two versions of an environment.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use orwd_hub_store::deployments::{DeploymentRecord, DeploymentStatus, page_of_environment};
use orwd_web::pages::{self, About, Aspect, ComparePage, CompareVersion, Line};
use similar::{ChangeTag, TextDiff};

use super::card::{about, head, manifests};
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;
use crate::layout::Layout;
use crate::web::deployments::{DeploymentName, found};
use crate::web::page::Page;
use crate::web::viewer::Viewer;

/// Equal lines that are shown around a difference.
const CONTEXT: usize = 3;

/// Lines of an aspect that are shown.
const MAX_LINES: usize = 2000;

/// Bytes of an aspect that are compared.
const MAX_TEXT: usize = 512 << 10;

/// The time for one comparison; then it is a coarser one.
const TIME: Duration = Duration::from_millis(200);

/// Versions that can be chosen.
const VERSIONS: i64 = 50;

/// Shows how a version differs from another one: the one that `with` names, or the one
/// that was deployed before it.
pub(in crate::web) async fn compare(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path((owner, name, id)): Path<DeploymentName>,
    query: QueryParameters,
) -> Page {
    let caller = viewer.signed_in()?;
    let path = (owner.clone(), name.clone(), id);
    let (environment, new, _) = found(&state, caller.clone(), path).await?;
    let of = environment.id.clone();
    let mut versions = state
        .database
        .read(move |transaction| page_of_environment(transaction, &of, VERSIONS, 0))
        .await?;
    versions.retain(|version| version.status == DeploymentStatus::Deployed);
    let old = match query.text("with") {
        Some(with) => Some(found(&state, caller.clone(), (owner, name, with)).await?.1),
        None => {
            let mut after = versions.iter().skip_while(|version| version.id != new.id);
            after.nth(1).cloned()
        }
    };
    for version in std::iter::once(&new).chain(&old) {
        if version.status != DeploymentStatus::Deployed {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                format!("{} is no version: it was not deployed", version.id),
            )
            .into());
        }
    }
    let (layout, before, after) = (state.layout.clone(), old.clone(), new.clone());
    let aspects = tokio::task::spawn_blocking(move || {
        let texts = |version: &DeploymentRecord| texts(&layout, &version.id);
        before.map(|before| differences(&texts(&before), &texts(&after)))
    })
    .await
    .map_err(|error| ApiError::internal("versions not compared", error))?;
    let shown = |version: &DeploymentRecord| CompareVersion {
        id: version.id.clone(),
        commit: version.commit.clone(),
        at: version.updated_at.clone(),
    };
    let page = ComparePage {
        head: head(&environment, Some(&caller)),
        choices: versions
            .iter()
            .filter(|version| version.id != new.id)
            .map(shown)
            .collect(),
        old: old.as_ref().map(shown),
        new: shown(&new),
        aspects: aspects.unwrap_or_default(),
    };
    Ok(Html(pages::compare(&viewer.frame(), &page)))
}

/// Returns the aspects of a version as texts. Blocks.
fn texts(layout: &Layout, deployment: &str) -> [(&'static str, String); 3] {
    let about = about(layout, deployment);
    [
        ("Manifest", manifests(layout, deployment)),
        ("Capabilities", about.iter().map(capabilities).collect()),
        ("Tools", about.iter().map(tools).collect()),
    ]
}

/// Lists what an environment is and may reach, a line each.
fn capabilities(about: &About) -> String {
    let mut lines = vec![format!("version {}", about.version)];
    let mut imports: Vec<String> = about
        .imports
        .iter()
        .map(|import| format!("import {}: {}", import.name, import.grant))
        .collect();
    imports.sort();
    lines.extend(imports);
    let network = &about.network;
    lines.extend(about.secrets.iter().map(|name| format!("secret {name}")));
    lines.extend(
        network
            .requested
            .iter()
            .map(|rule| format!("asks for {rule}")),
    );
    lines.extend(
        network
            .granted
            .iter()
            .map(|rule| format!("may reach {rule}")),
    );
    lines.extend(about.splits.iter().map(|split| match split.num_tasks {
        Some(count) => format!("split {}: {count} tasks", split.name),
        None => format!("split {}", split.name),
    }));
    let line = |line: String| format!("{}: {line}\n", about.name);
    lines.into_iter().map(line).collect()
}

/// Lists the tools of an environment with their schemas.
fn tools(about: &About) -> String {
    let mut text = String::new();
    for tool in &about.tools {
        text.push_str(&format!("{}: {}\n", about.name, tool.name));
        for line in tool.description.lines() {
            text.push_str(&format!("  {line}\n"));
        }
        let schema = tool.input_schema.as_ref();
        let schema = schema.and_then(|schema| serde_json::to_string_pretty(schema).ok());
        for line in schema.iter().flat_map(|schema| schema.lines()) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

fn differences(
    old: &[(&'static str, String); 3],
    new: &[(&'static str, String); 3],
) -> Vec<Aspect> {
    old.iter()
        .zip(new)
        .map(|((title, old), (_, new))| Aspect {
            title,
            lines: lines(beginning(old), beginning(new)),
        })
        .collect()
}

fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT))
        .unwrap_or(text)
}

/// Compares two texts by lines.
fn lines(old: &str, new: &str) -> Vec<Line> {
    let diff = TextDiff::configure()
        .deadline(Instant::now() + TIME)
        .diff_lines(old, new);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(CONTEXT) {
        if !lines.is_empty() {
            lines.push(Line::Gap);
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = change.value().trim_end_matches('\n').to_owned();
            lines.push(match change.tag() {
                ChangeTag::Equal => Line::Equal(text),
                ChangeTag::Delete => Line::Removed(text),
                ChangeTag::Insert => Line::Added(text),
            });
            if lines.len() >= MAX_LINES {
                lines.push(Line::Gap);
                return lines;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_with_the_lines_around_them() {
        let old: String = (0..20).map(|number| format!("line {number}\n")).collect();
        let new = old.replace("line 10\n", "line ten\nanother\n");
        let found = lines(&old, &new);
        let equal = |number: usize| Line::Equal(format!("line {number}"));
        let expected = [
            equal(7),
            equal(8),
            equal(9),
            Line::Removed("line 10".to_owned()),
            Line::Added("line ten".to_owned()),
            Line::Added("another".to_owned()),
            equal(11),
            equal(12),
            equal(13),
        ];
        assert_eq!(found, expected);
        assert!(lines(&old, &old).is_empty());
        let long: String = (0..10_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(lines("", &long).len(), MAX_LINES + 1);
    }

    #[test]
    fn capabilities_and_tools_are_listed_by_environment() {
        let about: About = serde_json::from_value(serde_json::json!({
            "name": "alpha",
            "version": "1",
            "imports": [{ "name": "b", "grant": "denied" }, { "name": "a", "grant": "granted" }],
            "secrets": ["K"],
            "network": { "requested": ["x.example"], "granted": [] },
            "splits": [{ "name": "train", "num_tasks": 3 }],
            "tools": [{ "name": "go", "description": "Goes.", "input_schema": { "type": "object" } }],
        }))
        .unwrap();
        assert_eq!(
            capabilities(&about),
            "alpha: version 1\nalpha: import a: granted\nalpha: import b: denied\nalpha: secret K\n\
             alpha: asks for x.example\nalpha: split train: 3 tasks\n"
        );
        assert_eq!(
            tools(&about),
            "alpha: go\n  Goes.\n  {\n    \"type\": \"object\"\n  }\n"
        );
    }
}
