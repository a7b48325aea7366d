//! TOML tables, read key by key, with the place of everything that is wrong.
//!
//! Every reader says what it expected, what came, and where; what a key means
//! is none of its affair.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::ManifestError;

/// A table of the manifest, with what is needed to speak of its places.
pub(super) struct Table<'a> {
    text: &'a str,
    /// The way here, with a full stop at its end; empty for the whole file.
    path: String,
    entries: &'a DeTable<'a>,
}

/// A string of the manifest.
pub(super) struct Text<'a> {
    document: &'a str,
    key: String,
    at: usize,
    pub(super) value: &'a str,
}

impl Text<'_> {
    pub(super) fn wrong(&self, message: &str) -> ManifestError {
        ManifestError {
            place: Some(place(self.document, self.at)),
            message: format!("`{}`: {message}", self.key),
        }
    }
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn root(text: &'a str, entries: &'a DeTable<'a>) -> Table<'a> {
        Table {
            text,
            path: String::new(),
            entries,
        }
    }

    /// Refuses the first key that is not among the known ones.
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
        let mut message = format!("`{}{written}` is no key here", self.path);
        match nearest(written, known) {
            Some(nearest) => message.push_str(&format!("; did you mean `{}{nearest}`?", self.path)),
            None => message.push_str(&format!("; there are {}", list(known))),
        }
        Err(ManifestError {
            place: Some(place(self.text, key.span().start)),
            message,
        })
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

    pub(super) fn path(&self, key: &str, what: &str) -> Result<Option<PathBuf>, ManifestError> {
        match self.text(key)? {
            None => Ok(None),
            Some(text) if text.value.is_empty() || text.value.contains('\0') => {
                Err(text.wrong(&format!("expected the path of {what}")))
            }
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
                at: value.span().start,
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
            "`{}{key}`: expected {expected}, got {}",
            self.path,
            kind(got)
        );
        self.error(Some(at), &message)
    }

    pub(super) fn error(&self, at: Option<&Spanned<DeValue<'_>>>, message: &str) -> ManifestError {
        ManifestError {
            place: at.map(|value| place(self.text, value.span().start)),
            message: message.to_owned(),
        }
    }
}

/// What a value is, in words.
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

/// The known key that a mistyped one is likely to stand for.
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
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Line and column, in characters, of a place in a text.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count());
    (line, column + 1)
}
