//! The graph of the product's crates, and its drawing in the documentation.
//!
//! The compiler keeps the arrows of `Cargo.toml`; this keeps the page that
//! shows them. A drawing is a fenced block after the comment `crate-graph`,
//! with a line for each crate.

use std::path::Path;

use crate::workspace::{Finding, Result, Workspace};

/// The comment that stands before a drawing.
const MARK: &str = "<!-- crate-graph -->";

/// Returns each product crate that depends on others, with its dependencies.
pub(crate) fn edges(workspace: &Workspace) -> Vec<(String, Vec<String>)> {
    let in_host: Vec<&str> = workspace
        .packages
        .iter()
        .filter(|package| package.folder.starts_with("host"))
        .map(|package| package.name.as_str())
        .collect();
    let mut edges: Vec<(String, Vec<String>)> = workspace
        .packages
        .iter()
        .filter(|package| in_host.contains(&package.name.as_str()))
        .map(|package| (package.name.clone(), package.dependencies.clone()))
        .collect();
    // A crate is above all that it depends on, directly or not.
    let order = |name: &str| depth(&edges, name);
    let mut sorted = edges.clone();
    sorted.sort_by_key(|(name, _)| (std::cmp::Reverse(order(name)), name.clone()));
    edges = sorted;
    edges
}

/// Returns the length of the longest path down from a crate.
fn depth(edges: &[(String, Vec<String>)], name: &str) -> usize {
    edges
        .iter()
        .find(|(from, _)| from == name)
        .into_iter()
        .flat_map(|(_, to)| to)
        .map(|to| depth(edges, to) + 1)
        .max()
        .unwrap_or(0)
}

/// Writes the graph as the drawing has it.
pub(crate) fn draw(edges: &[(String, Vec<String>)]) -> String {
    let width = edges.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    edges
        .iter()
        .map(|(name, to)| {
            let line = format!(
                "{name:width$} → {}",
                if to.is_empty() {
                    "–".to_owned()
                } else {
                    to.join(", ")
                }
            );
            line + "\n"
        })
        .collect()
}

/// Compares every drawing with the manifests; there has to be one.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let drawn = draw(&edges(workspace));
    let mut findings = Vec::new();
    let mut found = false;
    for file in workspace.files("md") {
        let text = workspace.read(file)?;
        if let Some((start, end)) = drawing(&text) {
            found = true;
            let line = text.get(..start).unwrap_or_default().lines().count() + 1;
            if text.get(start..end) != Some(drawn.as_str()) {
                let problem =
                    "the drawing differs from the manifests; run cargo xtask graph --write";
                findings.push(Finding::new(file, line, problem));
            }
        }
    }
    if !found {
        let problem = format!("no page has a drawing of the crates, a fenced block after {MARK}");
        findings.push(Finding::new(Path::new("docs"), 0, problem));
    }
    Ok(findings)
}

/// Writes the graph into every drawing.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let drawn = draw(&edges(workspace));
    for file in workspace.files("md") {
        let mut text = workspace.read(file)?;
        if let Some((start, end)) = drawing(&text) {
            text.replace_range(start..end, &drawn);
            std::fs::write(workspace.root.join(file), text)?;
        }
    }
    Ok(())
}

/// Returns where the inside of a drawing starts and ends.
fn drawing(text: &str) -> Option<(usize, usize)> {
    let after = text.find(&format!("\n{MARK}\n"))? + MARK.len() + 2;
    let rest = text.get(after..)?;
    let fence = rest.find("```")?;
    let start = after + fence + rest.get(fence..)?.find('\n')? + 1;
    let end = start + text.get(start..)?.find("```")?;
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_line_for_each_crate_from_the_top() {
        let edges = vec![
            ("cli".to_owned(), vec!["ors".to_owned(), "model".to_owned()]),
            ("model".to_owned(), Vec::new()),
        ];
        assert_eq!(draw(&edges), "cli   → ors, model\nmodel → –\n");
    }

    #[test]
    fn a_crate_is_above_its_dependencies() {
        let workspace = Workspace::open().unwrap();
        let edges = edges(&workspace);
        let place = |name: &str| edges.iter().position(|(from, _)| from == name);
        for (name, to) in &edges {
            for below in to {
                assert!(
                    place(below).is_none_or(|below| place(name).is_some_and(|own| own < below))
                );
            }
        }
    }

    #[test]
    fn finds_the_inside_of_a_drawing() {
        let text = "# A\n\n<!-- crate-graph -->\n\n```text\na → b\n```\nrest";
        let (start, end) = drawing(text).unwrap();
        assert_eq!(&text[start..end], "a → b\n");
        assert_eq!(drawing("# A\n```\n```"), None);
    }
}
