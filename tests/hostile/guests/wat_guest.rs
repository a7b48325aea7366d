//! Guests in text format, for what no toolchain emits.
//!
//! `environment.wat` is a whole environment with placeholders. An attack fills
//! some of them; the others are empty or get a harmless default. The components
//! are written below the target directory, under the guest's name.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use orwd_tests::artifacts;

const TEMPLATE: &str = include_str!("environment.wat");

/// The content of placeholders that no attack fills; the others stay empty.
const DEFAULTS: [(&str, &str); 3] = [
    ("pages", "2"),
    ("encoding", "string-encoding=utf8"),
    ("call-encoding", "string-encoding=utf8"),
];

/// A guest under construction.
#[derive(Clone, Debug)]
pub(crate) struct WatGuest {
    name: String,
    placeholders: BTreeMap<&'static str, String>,
}

/// Starts with a harmless guest of this name, to put an attack into.
pub(crate) fn wat_guest(name: &str) -> WatGuest {
    WatGuest {
        name: name.to_owned(),
        placeholders: BTreeMap::new(),
    }
}

impl WatGuest {
    /// Appends text to a placeholder.
    pub(crate) fn with(mut self, placeholder: &'static str, text: impl AsRef<str>) -> Self {
        assert!(
            TEMPLATE.contains(&format!("{{{placeholder}}}")),
            "no placeholder {placeholder}"
        );
        let content = self.placeholders.entry(placeholder).or_default();
        content.push_str(text.as_ref());
        content.push('\n');
        self
    }

    /// Appends to the body of the tool `act`; `$n` is the number in its input.
    pub(crate) fn act(self, text: impl AsRef<str>) -> Self {
        self.with("call", text)
    }

    /// Imports functions of one interface. `shape` is the content of the
    /// interface's instance type; each function is lowered with the main
    /// memory, and is named by the part after the last dot.
    pub(crate) fn import(
        mut self,
        interface: &str,
        shape: &str,
        functions: &[(&str, &str)],
    ) -> Self {
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

    /// Returns its name, which is that of its environment.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the component in text format.
    fn text(&self) -> String {
        let mut text = TEMPLATE.to_owned();
        let defaults = DEFAULTS.map(|(name, content)| (name, content.to_owned()));
        let filled: BTreeMap<&str, String> = defaults
            .into_iter()
            .chain(
                self.placeholders
                    .iter()
                    .map(|(name, text)| (*name, text.clone())),
            )
            .collect();
        for (name, content) in filled {
            text = text.replace(&format!("{{{name}}}"), &content);
        }
        without_placeholders(&text)
    }

    /// Returns the component in binary format.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Writes the component to its file.
    pub(crate) fn file(&self) -> PathBuf {
        write_component(&self.name, &self.bytes())
    }
}

/// Writes a component under this name.
pub(crate) fn write_component(name: &str, bytes: &[u8]) -> PathBuf {
    let directory = artifacts::target_dir().join("orwd-hostile");
    fs::create_dir_all(&directory).expect("a directory can be created");
    let path = directory.join(format!("{name}.wasm"));
    fs::write(&path, bytes).expect("a file can be written");
    path
}

/// Removes the placeholders that are still empty.
fn without_placeholders(text: &str) -> String {
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
