//! Keeps the vocabulary: standard terms, one name for one type, small folders.
//!
//! `vocabulary.toml` beside this file holds the phrases, each with what to say
//! instead, and the few exceptions with their reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use toml::Table;

use crate::workspace::{Finding, Result, Workspace};

/// The rules, from the data file.
struct Rules {
    /// Words of the phrase, the phrase, and what to say instead.
    phrases: Vec<(Vec<String>, String, String)>,
    /// Phrases that a file may hold.
    kept: BTreeMap<PathBuf, Vec<String>>,
    shared_types: Vec<String>,
    folder_limit: usize,
}

/// The data file, which has to name what it bans.
const DATA: &str = "xtask/src/vocabulary.toml";

/// Extensions of the files whose text is checked.
const EXTENSIONS: [&str; 7] = ["rs", "md", "toml", "wit", "yml", "yaml", "service"];

/// Checks all tracked files.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let rules = Rules::load(include_str!("vocabulary.toml"))?;
    let mut findings = Vec::new();
    for extension in EXTENSIONS {
        for file in workspace
            .files(extension)
            .filter(|file| *file != Path::new(DATA))
        {
            findings.extend(rules.check_text(file, &workspace.read(file)?));
        }
    }
    findings.extend(duplicate_types(workspace, &rules.shared_types)?);
    let sources = workspace
        .files("rs")
        .filter(|file| file.starts_with("host"));
    findings.extend(crowded_folders(sources, rules.folder_limit));
    findings.sort();
    Ok(findings)
}

impl Rules {
    fn load(text: &str) -> Result<Self> {
        let table: Table = toml::from_str(text)?;
        let section = |name: &str| {
            table
                .get(name)
                .and_then(toml::Value::as_table)
                .ok_or_else(|| format!("vocabulary.toml has no [{name}]"))
        };
        let mut phrases = Vec::new();
        for (phrase, instead) in section("phrases")? {
            let words = words(phrase).into_iter().map(|word| word.text).collect();
            let instead = instead.as_str().unwrap_or_default();
            phrases.push((words, phrase.clone(), instead.to_owned()));
        }
        let mut kept = BTreeMap::new();
        for entry in table
            .get("kept")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
            if text("reason").is_none() {
                return Err("vocabulary.toml: an entry of [[kept]] has no reason".into());
            }
            kept.insert(
                PathBuf::from(text("file").unwrap_or_default()),
                strings(entry.get("phrases")),
            );
        }
        let limit = section("folders")?
            .get("limit")
            .and_then(toml::Value::as_integer);
        Ok(Self {
            phrases,
            kept,
            shared_types: strings(section("types")?.get("shared")),
            folder_limit: usize::try_from(limit.unwrap_or_default())?,
        })
    }

    /// Finds banned phrases in the name and the text of a file.
    fn check_text(&self, file: &Path, text: &str) -> Vec<Finding> {
        let kept = self.kept.get(file).map_or(&[][..], Vec::as_slice);
        let of_name = words(&file.to_string_lossy());
        let of_text = words(text);
        let mut findings = Vec::new();
        for (phrase, name, instead) in &self.phrases {
            if kept.contains(name) {
                continue;
            }
            let problem = format!("\"{name}\": say {instead}");
            if occurrences(&of_name, phrase).next().is_some() {
                findings.push(Finding::new(file, 0, problem.clone()));
            }
            for line in occurrences(&of_text, phrase) {
                findings.push(Finding::new(file, line, problem.clone()));
            }
        }
        findings
    }
}

fn strings(value: Option<&toml::Value>) -> Vec<String> {
    value
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// A word in lower case.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    text: String,
    line: usize,
    /// Whether only space, `_`, a new line or a comment sign is before it.
    joined: bool,
}

/// Splits a text into words. Identifiers are split where `_` or a capital
/// after a small letter is; signs that continue a comment or a string on the
/// next line join.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut joined = false;
    for (index, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let comment = ["///", "//!", "//", "*", ">", "#"]
            .iter()
            .find_map(|sign| code.strip_prefix(sign));
        let mut word = String::new();
        let mut small = false;
        for letter in comment.unwrap_or(code).chars().chain(['\n']) {
            let starts = letter.is_uppercase() && small;
            if (starts || !(letter.is_alphanumeric() || letter == '\'')) && !word.is_empty() {
                let text = std::mem::take(&mut word).to_lowercase();
                words.push(Word {
                    text,
                    line: index + 1,
                    joined,
                });
                joined = true;
            }
            if letter.is_alphanumeric() || letter == '\'' {
                word.push(letter);
            } else if !(letter.is_whitespace() || matches!(letter, '_' | '\\')) {
                joined = false;
            }
            small = letter.is_lowercase();
        }
    }
    words
}

/// Returns the line of each occurrence of a phrase.
fn occurrences<'a>(words: &'a [Word], phrase: &'a [String]) -> impl Iterator<Item = usize> + 'a {
    words
        .windows(phrase.len().max(1))
        .filter(move |window| {
            window.iter().map(|word| &word.text).eq(phrase)
                && window.iter().skip(1).all(|word| word.joined)
        })
        .filter_map(|window| window.first().map(|word| word.line))
}

/// Finds names that two public types share, among the host's crates and among
/// those for environments. The two sides share the names of the WIT package on
/// purpose: a block or a score is the same thing on both.
fn duplicate_types(workspace: &Workspace, shared: &[String]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for side in ["host", "guest-sdk"] {
        let mut places: BTreeMap<String, BTreeSet<(PathBuf, usize)>> = BTreeMap::new();
        for package in workspace.product() {
            let source = package.folder.join("src");
            let files = workspace
                .files("rs")
                .filter(|file| file.starts_with(&source));
            for file in files.filter(|file| file.starts_with(side)) {
                let text = workspace.read(file)?;
                if text.starts_with("// Generated") {
                    continue;
                }
                let stream: TokenStream = text
                    .parse()
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                for (name, line) in public_types(stream) {
                    places
                        .entry(name)
                        .or_default()
                        .insert((file.to_owned(), line));
                }
            }
        }
        places.retain(|name, places| places.len() > 1 && !shared.contains(name));
        for (name, places) in places {
            for (file, line) in &places {
                let others: Vec<String> = places
                    .iter()
                    .filter(|place| *place != &(file.clone(), *line))
                    .map(|(file, line)| format!("{}:{line}", file.display()))
                    .collect();
                let problem = format!(
                    "the public type `{name}` has the name of {}",
                    others.join(", ")
                );
                findings.push(Finding::new(file, *line, problem));
            }
        }
    }
    Ok(findings)
}

/// Returns types and traits that are declared `pub`, and their lines.
fn public_types(stream: TokenStream) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut tokens = stream.into_iter().peekable();
    // A module in braces, outside functions and implementations.
    let mut in_module = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "mod" => in_module = true,
            TokenTree::Ident(ident) if ident == "pub" => {
                let keyword = match tokens.peek() {
                    Some(TokenTree::Ident(ident)) => ident.to_string(),
                    // `pub(crate)`, or a field.
                    _ => continue,
                };
                if !matches!(
                    keyword.as_str(),
                    "struct" | "enum" | "union" | "trait" | "type"
                ) {
                    continue;
                }
                tokens.next();
                if let Some(TokenTree::Ident(name)) = tokens.next() {
                    found.push((name.to_string(), name.span().start().line));
                }
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                if in_module {
                    found.extend(public_types(group.stream()));
                }
                in_module = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => in_module = false,
            TokenTree::Ident(_)
            | TokenTree::Group(_)
            | TokenTree::Punct(_)
            | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Finds source folders with more files than the limit.
fn crowded_folders<'a>(sources: impl Iterator<Item = &'a Path>, limit: usize) -> Vec<Finding> {
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    for file in sources {
        let in_src = file.components().any(|part| part.as_os_str() == "src");
        if let (true, Some(folder)) = (in_src, file.parent()) {
            *counts.entry(folder).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count > limit)
        .map(|(folder, count)| {
            Finding::new(
                folder,
                0,
                format!("{count} files in one folder; the limit is {limit}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_the_vocabulary() {
        let findings = check(&Workspace::open().unwrap()).unwrap();
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    fn phrases(text: &str, expected: &[usize]) {
        let rules = Rules::load(
            "[phrases]\n\"whoever\" = \"who\"\n\"so many\" = \"a number\"\n[types]\n[folders]\nlimit = 2",
        )
        .unwrap();
        let lines: Vec<usize> = rules
            .check_text(Path::new("src/a.rs"), text)
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn finds_phrases_in_prose_and_in_identifiers() {
        phrases("nothing here", &[]);
        phrases("let a = 1;\n// Whoever it is", &[2]);
        phrases("fn so_many() {} struct SoMany;", &[1, 1]);
        phrases("/// There are so\n    /// many of them", &[1]);
        phrases("\"not so \\\n   many\"", &[1]);
        phrases("so, many", &[]);
        phrases("so.many soMany", &[1]);
        phrases("also many", &[]);
    }

    #[test]
    fn a_file_name_counts() {
        let rules = Rules::load(include_str!("vocabulary.toml")).unwrap();
        let findings = rules.check_text(Path::new("tests/so_many.rs"), "");
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn an_exception_is_for_its_file_only() {
        let rules = Rules::load(include_str!("vocabulary.toml")).unwrap();
        let own = Path::new("xtask/src/vocabulary.rs");
        assert!(rules.check_text(own, "so many").is_empty());
        assert_eq!(rules.check_text(Path::new("other.rs"), "so many").len(), 1);
    }

    #[test]
    fn reads_public_types_of_modules_only() {
        let text = "pub struct A; pub(crate) struct B; enum C {} pub trait D {} pub type E = A;
            mod f { pub enum G { A } } fn h() { pub struct I; } pub fn j() {} pub struct K<T> { pub a: T }
            mod l; impl A { pub type M = A; }";
        let names: Vec<String> = public_types(text.parse().unwrap())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["A", "D", "E", "G", "K"]);
    }

    #[test]
    fn counts_the_files_of_a_folder() {
        let files = [
            "host/a/src/a.rs",
            "host/a/src/b.rs",
            "host/a/src/c.rs",
            "host/a/src/d/e.rs",
        ];
        let findings = crowded_folders(files.iter().map(Path::new), 2);
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(lines, ["host/a/src: 3 files in one folder; the limit is 2"]);
    }
}
