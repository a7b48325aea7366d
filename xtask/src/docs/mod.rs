//! Checks the documentation: pages are listed, links and anchors resolve, code
//! cites sections that exist, commands and flags are those of the binary, and
//! TOML snippets parse.

mod commands;
mod markdown;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::workspace::{Finding, Result, Workspace};
use commands::Commands;
use markdown::Page;

/// The list of the book's pages.
const SUMMARY: &str = "docs/src/SUMMARY.md";
/// The folder of the book's pages.
const BOOK: &str = "docs/src";

/// Checks all tracked pages, and the source files that cite them.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut pages = BTreeMap::new();
    for file in workspace.files("md") {
        pages.insert(file.to_owned(), Page::read(&workspace.read(file)?));
    }
    let exists = |path: &Path| workspace.root.join(path).exists();
    let mut findings = summary(&pages);
    for (file, page) in &pages {
        findings.extend(links(file, page, &pages, &exists));
        findings.extend(snippets(file, page));
    }
    // The tests below cite pages that do not exist.
    let own = Path::new("xtask/src/docs");
    for file in workspace.files("rs").filter(|file| !file.starts_with(own)) {
        findings.extend(citations(file, &workspace.read(file)?, &pages));
    }
    let commands = Commands::ask(workspace)?;
    for (file, page) in &pages {
        findings.extend(commands.check(file, page));
    }
    findings.sort();
    Ok(findings)
}

/// Compares the book's table of contents with its pages.
fn summary(pages: &BTreeMap<PathBuf, Page>) -> Vec<Finding> {
    let list = Path::new(SUMMARY);
    let Some(summary) = pages.get(list) else {
        // Before there is a book there is nothing to compare.
        return Vec::new();
    };
    // Links to missing pages are found with all other links.
    let listed: Vec<PathBuf> = summary
        .links
        .iter()
        .map(|link| join(Path::new(BOOK), &link.target))
        .collect();
    pages
        .keys()
        .filter(|file| file.starts_with(BOOK) && *file != list && !listed.contains(file))
        .map(|file| Finding::new(file, 0, "the page is not in SUMMARY.md"))
        .collect()
}

/// Finds relative links to files or anchors that do not exist.
fn links(
    file: &Path,
    page: &Page,
    pages: &BTreeMap<PathBuf, Page>,
    exists: &dyn Fn(&Path) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for link in &page.links {
        let target = link.target.as_str();
        let elsewhere = target.contains("://") || target.starts_with("mailto:");
        if elsewhere {
            continue;
        }
        let (path, anchor) = match target.split_once('#') {
            Some((path, anchor)) => (path, Some(anchor)),
            None => (target, None),
        };
        let path = match path {
            "" => file.to_owned(),
            path => join(file.parent().unwrap_or(Path::new("")), path),
        };
        if !exists(&path) && !pages.contains_key(&path) {
            let problem = format!("the link {target} leads to no file");
            findings.push(Finding::new(file, link.line, problem));
        } else if let (Some(anchor), Some(page)) = (anchor, pages.get(&path))
            && !page.anchors.contains(anchor)
        {
            let problem = format!(
                "the link {target} leads to no heading of {}",
                path.display()
            );
            findings.push(Finding::new(file, link.line, problem));
        }
    }
    findings
}

/// Joins a relative link to the folder of its page, without `.` and `..`.
fn join(folder: &Path, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in folder.join(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

/// Finds TOML snippets that do not parse.
fn snippets(file: &Path, page: &Page) -> Vec<Finding> {
    page.fences
        .iter()
        .filter(|fence| fence.language == "toml")
        .filter_map(|fence| {
            let error = toml::from_str::<toml::Table>(&fence.text).err()?;
            let problem = format!("the TOML snippet does not parse: {}", error.message());
            Some(Finding::new(file, fence.line, problem))
        })
        .collect()
}

/// Finds citations of pages or sections that do not exist.
fn citations(file: &Path, text: &str, pages: &BTreeMap<PathBuf, Page>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let prefix = format!("{BOOK}/");
    for (index, line) in text.lines().enumerate() {
        for (start, _) in line.match_indices(&prefix) {
            let cited: &str = line
                .get(start..)
                .unwrap_or_default()
                .split(|letter: char| !(letter.is_alphanumeric() || "/._-#".contains(letter)))
                .next()
                .unwrap_or_default()
                .trim_end_matches('.');
            let (path, anchor) = match cited.split_once('#') {
                Some((path, anchor)) => (path, Some(anchor)),
                None => (cited, None),
            };
            if !path.ends_with(".md") {
                continue;
            }
            let problem = match (pages.get(Path::new(path)), anchor) {
                (None, _) => format!("{cited} is cited, and there is no such page"),
                (Some(page), Some(anchor)) if !page.anchors.contains(anchor) => {
                    format!("{cited} is cited, and the page has no such heading")
                }
                (Some(_), _) => continue,
            };
            findings.push(Finding::new(file, index + 1, problem));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(pages: &[(&str, &str)]) -> BTreeMap<PathBuf, Page> {
        pages
            .iter()
            .map(|(name, text)| (PathBuf::from(name), Page::read(text)))
            .collect()
    }

    fn lines(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_page_has_to_be_listed() {
        let pages = book(&[
            (SUMMARY, "- [A](a.md)\n- [B](b/b.md)"),
            ("docs/src/a.md", ""),
            ("docs/src/b/b.md", ""),
            ("docs/src/c.md", ""),
            ("README.md", ""),
        ]);
        assert_eq!(
            lines(&summary(&pages)),
            ["docs/src/c.md: the page is not in SUMMARY.md"]
        );
    }

    #[test]
    fn links_have_to_resolve() {
        let pages = book(&[
            (
                "docs/src/a.md",
                "[x](../../README.md#it-is) [y](#here)\n\n[z](b.md#no) [w](c.md) [v](https://a.b/#c)\n# Here",
            ),
            ("docs/src/b.md", ""),
            ("README.md", "# It is"),
        ]);
        let file = Path::new("docs/src/a.md");
        let found = links(file, &pages[file], &pages, &|_| false);
        assert_eq!(
            lines(&found),
            [
                "docs/src/a.md:3: the link b.md#no leads to no heading of docs/src/b.md",
                "docs/src/a.md:3: the link c.md leads to no file",
            ]
        );
    }

    #[test]
    fn citations_have_to_resolve() {
        let pages = book(&[("docs/src/wire.md", "# Runs")]);
        let text = concat!(
            "// See docs",
            "/src/wire.md#runs.\n",
            "// See docs",
            "/src/wire.md#walks, and docs",
            "/src/other.md.",
        );
        let found = citations(Path::new("a.rs"), text, &pages);
        assert_eq!(
            lines(&found),
            [
                "a.rs:2: docs/src/wire.md#walks is cited, and the page has no such heading"
                    .to_owned(),
                format!(
                    "a.rs:2: docs{} is cited, and there is no such page",
                    "/src/other.md"
                ),
            ]
        );
    }

    #[test]
    fn toml_has_to_parse() {
        let page = Page::read("```toml\n[a]\nb = 1\n```\n```toml\n[a\n```");
        let found = snippets(Path::new("a.md"), &page);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 5);
    }
}
