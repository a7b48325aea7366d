//! Why a manifest is refused.

use std::fmt;

/// Name of the file.
pub const FILE_NAME: &str = "orwd.toml";

/// Why a manifest is refused. It names the file, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// Line and column, both from 1; `None` if the whole file is meant.
    position: Option<(usize, usize)>,
    message: String,
}

impl ManifestError {
    /// Creates an error about the whole file.
    pub(super) fn whole_file(message: impl Into<String>) -> ManifestError {
        ManifestError {
            position: None,
            message: message.into(),
        }
    }

    /// Creates an error about a position in the text, in bytes.
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> ManifestError {
        ManifestError {
            position: Some(line_and_column(text, offset)),
            message: message.into(),
        }
    }
}

impl std::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FILE_NAME)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Returns the line and the column, in characters, of an offset.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count());
    (line, column + 1)
}
