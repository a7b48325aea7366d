//! Examples in comments are tests, except in a crate that turns them off.
//!
//! Looking for examples takes rustdoc a second or more for each crate, so crates
//! without any have `doctest = false`. An example that is added to such a crate
//! would be compiled nowhere, and is reported.

use crate::workspace::{Finding, Result, Workspace};

/// What may stand after the backquotes of an example that rustdoc runs.
const TESTED: [&str; 6] = [
    "",
    "rust",
    "no_run",
    "should_panic",
    "compile_fail",
    "edition",
];

/// Reports the examples that are not tested.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in workspace.packages.iter().filter(|one| one.skips_doctests) {
        let source = package.folder.join("src");
        for file in workspace.files("rs").filter(|one| one.starts_with(&source)) {
            for line in examples(&workspace.read(file)?) {
                let problem = format!(
                    "this example is not tested: remove `doctest = false` from the manifest of {}, \
                     or say in the first line what it is, such as ```text",
                    package.name
                );
                findings.push(Finding::new(file, line, problem));
            }
        }
    }
    Ok(findings)
}

/// Returns the lines where examples begin that rustdoc would run.
fn examples(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or(line.strip_prefix("//!"));
        let Some(kind) = comment.and_then(|text| text.trim_start().strip_prefix("```")) else {
            continue;
        };
        let first = kind.split(',').next().unwrap_or_default().trim();
        let is_tested = TESTED
            .iter()
            .any(|name| first == *name || (*name == "edition" && first.starts_with(name)));
        if !is_inside && is_tested {
            found.push(number);
        }
        is_inside = !is_inside;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_what_rustdoc_would_run() {
        let text = "//! ```text\n//! x\n//! ```\n/// ```\n/// f();\n/// ```\nfn f() {}\n\
                    /// ```no_run,edition2024\n/// ```\n/// ```json\n/// ```\n    /// ```edition2024\n";
        assert_eq!(examples(text), [4, 8, 12]);
    }

    #[test]
    fn every_example_is_tested() {
        let workspace = Workspace::open().unwrap();
        assert_eq!(check(&workspace).unwrap(), []);
        // What has examples keeps them as tests.
        let skips = |name: &str| {
            let package = workspace.packages.iter().find(|one| one.name == name);
            package.unwrap().skips_doctests
        };
        assert!(skips("orwd-model") && !skips("orwd-sdk") && !skips("xtask"));
    }
}
