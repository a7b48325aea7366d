//! Guests written by hand, for what no toolchain emits.
//!
//! `world.wat` is a whole environment with holes; an attack fills one or a few
//! of them, and what it leaves open gets a harmless default. The files that
//! come of it are kept below the target folder, under the guest's name.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use orwd_tests::artifacts;

const WORLD: &str = include_str!("world.wat");

/// What holes that nobody fills contain; the others are left empty.
const DEFAULTS: [(&str, &str); 3] = [
    ("pages", "2"),
    ("encoding", "string-encoding=utf8"),
    ("call-encoding", "string-encoding=utf8"),
];

/// A guest in the making.
#[derive(Clone, Debug)]
pub struct Guest {
    name: String,
    holes: BTreeMap<&'static str, String>,
}

/// A harmless guest of this name, with holes to put an attack into.
pub fn guest(name: &str) -> Guest {
    Guest {
        name: name.to_owned(),
        holes: BTreeMap::new(),
    }
}

impl Guest {
    /// Adds to what a hole contains.
    pub fn with(mut self, hole: &'static str, text: impl AsRef<str>) -> Self {
        assert!(WORLD.contains(&format!("{{{hole}}}")), "no hole {hole}");
        let content = self.holes.entry(hole).or_default();
        content.push_str(text.as_ref());
        content.push('\n');
        self
    }

    /// What the tool `act` does; `$n` is the number in its input.
    pub fn act(self, text: impl AsRef<str>) -> Self {
        self.with("call", text)
    }

    /// Imports functions of one interface. `shape` is the content of the
    /// interface's instance type; each function is lowered with the main
    /// memory, and called by what follows the last dot of its name.
    pub fn import(mut self, interface: &str, shape: &str, functions: &[(&str, &str)]) -> Self {
        let id = interface
            .split('@')
            .next()
            .unwrap_or(interface)
            .replace([':', '/'], "-");
        self = self.with(
            "before",
            format!("(import \"{interface}\" (instance ${id} {shape}))"),
        );
        for (function, core) in functions {
            let alias = function.rsplit(['.', ']']).next().unwrap_or(function);
            self = self
                .with(
                    "before",
                    format!(
                        "(core func ${alias} (canon lower (func ${id} \"{function}\") \
                         (memory $memory) (realloc $spare)))"
                    ),
                )
                .with("lent", format!("(export \"{alias}\" (func ${alias}))"))
                .with(
                    "imports",
                    format!("(import \"host\" \"{alias}\" (func ${alias} {core}))"),
                );
        }
        self
    }

    /// Its name, which is that of its environment.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of the component.
    fn text(&self) -> String {
        let mut text = WORLD.to_owned();
        let defaults = DEFAULTS.map(|(hole, content)| (hole, content.to_owned()));
        let holes: BTreeMap<&str, String> = defaults
            .into_iter()
            .chain(self.holes.iter().map(|(hole, text)| (*hole, text.clone())))
            .collect();
        for (hole, content) in holes {
            text = text.replace(&format!("{{{hole}}}"), &content);
        }
        without_holes(&text)
    }

    /// The component.
    pub fn bytes(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Writes the component to its file.
    pub fn file(&self) -> PathBuf {
        file(&self.name, &self.bytes())
    }
}

/// Writes a component of this name.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = artifacts::target_dir().join("orwd-hostile");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let path = folder.join(format!("{name}.wasm"));
    fs::write(&path, bytes).expect("a file can be written");
    path
}

/// Leaves the holes that nobody filled empty.
fn without_holes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from[1..].find(|c: char| !(c.is_ascii_lowercase() || c == '-'));
        match end {
            Some(end) if end > 0 && from[1 + end..].starts_with('}') => {
                rest = &from[end + 2..];
            }
            _ => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}
