//! Reads TOML tables key by key.
//!
//! Each error names the key, what was expected, what was found, and the
//! position. The meaning of keys is checked elsewhere.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::ManifestError;
use crate::files::stays_below;

/// Entries of each list in a manifest. Sessions compare them with each other.
pub(super) const MAX_LIST: usize = 256;

/// Table of the manifest, with its text for positions.
pub(super) struct Table<'a> {
    text: &'a str,
    /// Path of the table, with a full stop at its end; empty for the root.
    path: String,
    entries: &'a DeTable<'a>,
}

/// String of the manifest, with its position.
pub(super) struct Text<'a> {
    document: &'a str,
    key: String,
    offset: usize,
    pub(super) value: &'a str,
}

impl Text<'_> {
    /// Creates an error about this value.
    pub(super) fn error(&self, message: &str) -> ManifestError {
        let message = format!("`{}`: {message}", self.key);
        ManifestError::at(self.document, self.offset, message)
    }
}

impl<'a> Table<'a> {
    /// Creates the root table.
    pub(super) fn root(text: &'a str, entries: &'a DeTable<'a>) -> Table<'a> {
        Table {
            text,
            path: String::new(),
            entries,
        }
    }

    /// Refuses the first unknown key.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ManifestError> {
        let unknown = self
            .entries
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        let Some(key) = unknown else {
            return Ok(());
        };
        let written = key.get_ref();
        let mut message = format!("unknown key `{}{written}`", self.path);
        match nearest(written, known) {
            Some(nearest) => message.push_str(&format!("; did you mean `{}{nearest}`?", self.path)),
            None => message.push_str(&format!("; expected {}", list(known))),
        }
        Err(ManifestError::at(self.text, key.span().start, message))
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    pub(super) fn table(&self, key: &str) -> Result<Option<Table<'a>>, ManifestError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Some(Table {
                text: self.text,
                path: format!("{}{key}.", self.path),
                entries,
            })),
            other => Err(self.mistyped(key, value, "a table", other)),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<Text<'a>>, ManifestError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        self.as_text(key, value, "a string").map(Some)
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<Text<'a>>>, ManifestError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let expected = "a list of strings";
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.mistyped(key, value, expected, value.get_ref()));
        };
        items
            .iter()
            .map(|item| self.as_text(key, item, expected))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ManifestError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match value.get_ref() {
                DeValue::Boolean(flag) => Ok(Some(*flag)),
                other => Err(self.mistyped(key, value, "true or false", other)),
            },
        }
    }

    /// Reads a path, which stays below the folder of the manifest.
    pub(super) fn path(
        &self,
        key: &str,
        what: &str,
        otherwise: &str,
    ) -> Result<Option<PathBuf>, ManifestError> {
        match self.text(key)? {
            None => Ok(None),
            Some(text) if text.value.is_empty() || text.value.contains('\0') => {
                Err(text.error(&format!("expected the path of {what}")))
            }
            Some(text) if !stays_below(Path::new(text.value)) => Err(text.error(&format!(
                "expected the path of {what} in this folder; {otherwise}"
            ))),
            Some(text) => Ok(Some(PathBuf::from(text.value))),
        }
    }

    fn as_text(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
        expected: &str,
    ) -> Result<Text<'a>, ManifestError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(Text {
                document: self.text,
                key: format!("{}{key}", self.path),
                offset: value.span().start,
                value: text,
            }),
            other => Err(self.mistyped(key, value, expected, other)),
        }
    }

    fn mistyped(
        &self,
        key: &str,
        at: &Spanned<DeValue<'_>>,
        expected: &str,
        got: &DeValue<'_>,
    ) -> ManifestError {
        let message = format!(
            "`{}{key}`: expected {expected}, found {}",
            self.path,
            kind(got)
        );
        self.error(Some(at), &message)
    }

    /// Creates an error about a value, or about the whole file.
    pub(super) fn error(&self, at: Option<&Spanned<DeValue<'_>>>, message: &str) -> ManifestError {
        match at {
            Some(value) => ManifestError::at(self.text, value.span().start, message),
            None => ManifestError::whole_file(message),
        }
    }
}

/// Returns the type of a value, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns the known key that is most similar to a mistyped one.
fn nearest<'k>(written: &DeString<'_>, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    known
        .iter()
        .map(|key| (strsim::jaro_winkler(&plain(key), &plain(written)), *key))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, key)| key)
}

fn list(keys: &[&str]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
