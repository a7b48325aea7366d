//! Files of one crate must not import each other in a circle.
//!
//! A reader can then learn a crate file by file, each one knowing only those
//! before it. An edge leads from the file that names an item to the file that
//! defines it, through all re-exports. So a module that only declares and
//! re-exports is not part of a circle. Code under `#[cfg(test)]` is ignored.

mod cycles;
mod source;
mod tree;

use std::collections::BTreeMap;

use crate::workspace::{Finding, Result, Workspace};
use tree::Tree;

/// Checks the named crates, or all except the fixtures of the tests.
pub(crate) fn check(workspace: &Workspace, crates: &[&str]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let wanted = match crates {
            [] => !package.folder.starts_with("tests/fixtures"),
            crates => crates.contains(&package.name.as_str()),
        };
        if !wanted {
            continue;
        }
        for root in &package.roots {
            let tree = Tree::read(&workspace.root, root)?;
            findings.extend(report(&package.name, &tree));
        }
    }
    Ok(findings)
}

/// Lists the imports that are part of a circle.
fn report(package: &str, tree: &Tree) -> Vec<Finding> {
    let edges = tree.edges();
    let mut graph: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for edge in &edges {
        graph.entry(edge.from).or_default().push(edge.to);
    }
    let mut findings = Vec::new();
    for circle in cycles::find(&graph) {
        for edge in &edges {
            if circle.contains(&edge.from) && circle.contains(&edge.to) {
                let named: Vec<String> =
                    edge.paths.iter().map(|path| format!("`{path}`")).collect();
                let problem = format!(
                    "{} of {}; circle of {} files in {package}",
                    named.join(", "),
                    tree.file(edge.to).display(),
                    circle.len(),
                );
                findings.push(Finding::new(tree.file(edge.from), edge.line, problem));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_no_circles() {
        let workspace = Workspace::open().unwrap();
        let findings = check(&workspace, &[]).unwrap();
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    #[test]
    fn a_circle_is_reported_at_its_imports() {
        let tree = Tree::of(&[
            ("src/lib.rs", "mod a; mod b; mod c; pub use a::A;"),
            ("src/a.rs", "use crate::b::B;\npub struct A(B);"),
            (
                "src/b.rs",
                "pub struct B;\nimpl B { fn a(self) -> crate::A { todo!() } }",
            ),
            ("src/c.rs", "use crate::{a::A, b::B};"),
        ]);
        let lines: Vec<String> = report("some", &tree)
            .iter()
            .map(Finding::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "src/a.rs:1: `crate::b::B` of src/b.rs; circle of 2 files in some",
                "src/b.rs:2: `crate::A` of src/a.rs; circle of 2 files in some",
            ]
        );
    }
}
