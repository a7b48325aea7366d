//! Searches in a tree: by names and by content.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::{Regex, RegexBuilder};

use super::glob::Glob;
use super::read::text_of;
use crate::{Context, Result};

/// Files that one search looks at.
const MAX_FILES: usize = 20_000;

/// Results of one search that are shown.
const MAX_RESULTS: usize = 500;

/// Bytes of a line that are shown.
const MAX_LINE: usize = 400;

/// What a search by content shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// The lines, with this number of lines around each.
    Lines(usize),
    /// The names of the files.
    Files,
    /// The number of lines in each file.
    Counts,
}

/// A search by content.
pub(crate) struct Query<'a> {
    pub(crate) pattern: &'a str,
    pub(crate) glob: Option<&'a str>,
    pub(crate) ignore_case: bool,
    pub(crate) show: Show,
}

/// Returns the files below a folder, in order, with their paths relative to it.
/// Links are not followed, since they may lead in circles.
fn files(folder: &Path) -> Result<(Vec<(String, PathBuf)>, bool)> {
    let mut found = Vec::new();
    let mut folders = VecDeque::from([folder.to_owned()]);
    while let Some(next) = folders.pop_front() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push_back(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let relative = path.strip_prefix(folder).unwrap_or(&path);
                found.push((relative.to_string_lossy().into_owned(), path.clone()));
            }
            if found.len() + folders.len() > MAX_FILES {
                found.sort();
                return Ok((found, true));
            }
        }
    }
    found.sort();
    Ok((found, false))
}

/// Returns the files whose paths match a pattern.
pub(crate) fn by_name(folder: &Path, pattern: &str) -> Result<String> {
    let glob = Glob::new(pattern)?;
    let (files, cut) = files(folder)?;
    let matching = files.iter().map(|(name, _)| name);
    let results = matching.filter(|name| glob.matches(name)).cloned();
    Ok(listed(results.collect(), cut, "no file matches"))
}

/// Returns the lines that match a regular expression.
pub(crate) fn by_content(path: &Path, query: &Query<'_>) -> Result<String> {
    let regex = RegexBuilder::new(query.pattern)
        .case_insensitive(query.ignore_case)
        .build()
        .with_context(|| format!("the pattern {:?}", query.pattern))?;
    let glob = query.glob.map(Glob::new).transpose()?;
    let (files, cut) = if path.is_dir() {
        files(path)?
    } else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (vec![(name.into_owned(), path.to_owned())], false)
    };
    let mut results = Vec::new();
    for (name, path) in &files {
        if glob.as_ref().is_some_and(|glob| !glob.matches(name)) {
            continue;
        }
        // What is no text, or is too large, is not searched.
        let Ok(content) = text_of(path) else { continue };
        in_file(name, &content, &regex, query.show, &mut results);
        if results.len() > MAX_RESULTS {
            break;
        }
    }
    Ok(listed(results, cut, "no line matches"))
}

fn in_file(name: &str, content: &str, regex: &Regex, show: Show, results: &mut Vec<String>) {
    let lines: Vec<&str> = content.lines().collect();
    let matching = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| regex.is_match(line))
        .map(|(place, _)| place);
    match show {
        Show::Files => results.extend(matching.take(1).map(|_| name.to_owned())),
        Show::Counts => match matching.count() {
            0 => {}
            count => results.push(format!("{name}:{count}")),
        },
        Show::Lines(around) => {
            let mut next = 0;
            for place in matching {
                let first = place.saturating_sub(around).max(next);
                let last = place.saturating_add(around);
                if around > 0 && next > 0 && first > next {
                    results.push("--".to_owned());
                }
                for (number, line) in lines.iter().enumerate().take(last + 1).skip(first) {
                    let mark = if number == place { ':' } else { '-' };
                    let line: String = line.chars().take(MAX_LINE).collect();
                    results.push(format!("{name}{mark}{}{mark}{line}", number + 1));
                }
                next = last + 1;
                if results.len() > MAX_RESULTS {
                    return;
                }
            }
        }
    }
}

fn listed(mut results: Vec<String>, cut: bool, none: &str) -> String {
    if results.is_empty() && !cut {
        return none.to_owned();
    }
    if results.len() > MAX_RESULTS {
        results.truncate(MAX_RESULTS);
        results.push("[more results are left out; use a narrower pattern or path]".to_owned());
    } else if cut {
        results.push(format!("[only the first {MAX_FILES} files were searched]"));
    }
    results.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TempFolder;

    fn tree(name: &str) -> TempFolder {
        let temp = TempFolder::new(name);
        for (name, content) in [
            ("a.txt", "alpha\nbeta\ngamma\nalpha again\n"),
            ("src/b.rs", "fn alpha() {}\n"),
            ("src/deep/c.rs", "nothing\n"),
            ("src/bin", "al\0pha\n"),
        ] {
            let path = temp.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        temp
    }

    #[test]
    fn files_are_found_by_name() {
        let temp = tree("search-names");
        let found = |pattern| by_name(temp.path(), pattern).unwrap();
        assert_eq!(found("*.rs"), "src/b.rs\nsrc/deep/c.rs");
        assert_eq!(found("src/*.rs"), "src/b.rs");
        assert_eq!(found("*.py"), "no file matches");
    }

    #[test]
    fn lines_are_found_by_content() {
        let temp = tree("search-content");
        let found = |pattern, show, glob| {
            let query = Query {
                pattern,
                glob,
                ignore_case: false,
                show,
            };
            by_content(temp.path(), &query).unwrap()
        };
        assert_eq!(
            found("^alpha", Show::Lines(0), None),
            "a.txt:1:alpha\na.txt:4:alpha again"
        );
        assert_eq!(
            found("^alpha$", Show::Lines(1), None),
            "a.txt:1:alpha\na.txt-2-beta"
        );
        assert_eq!(found("alpha", Show::Files, None), "a.txt\nsrc/b.rs");
        assert_eq!(found("alpha", Show::Counts, Some("*.txt")), "a.txt:2");
        assert_eq!(found("zeta", Show::Files, None), "no line matches");
        let query = Query {
            pattern: "(",
            glob: None,
            ignore_case: false,
            show: Show::Files,
        };
        assert!(by_content(temp.path(), &query).is_err());
    }
}
