//! Exact replacements in a text.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Result, bail, json::clipped};

/// One exact replacement.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Edit {
    /// The text to replace, exactly as it is in the file, with its indentation.
    pub old_string: String,
    /// The text to put in its place.
    pub new_string: String,
    /// Replaces every occurrence. Otherwise the text must be unique.
    #[serde(default)]
    pub replace_all: bool,
}

/// Applies replacements in order and returns the text, or the error of the first
/// that does not fit.
///
/// ```
/// use orwd_sdk::files::{Edit, apply_edits};
///
/// let edit = |old: &str, new: &str| Edit {
///     old_string: old.to_owned(),
///     new_string: new.to_owned(),
///     replace_all: false,
/// };
/// assert_eq!(apply_edits("a b", &[edit("b", "c"), edit("c", "d")]).unwrap(), "a d");
/// assert_eq!(
///     apply_edits("a a", &[edit("a", "b")]).unwrap_err().to_string(),
///     "old_string appears 2 times; add lines around it until it is unique, or set replace_all",
/// );
/// ```
pub fn apply_edits(text: &str, edits: &[Edit]) -> Result<String> {
    let mut text = text.to_owned();
    for (place, edit) in edits.iter().enumerate() {
        let which = match edits.len() {
            1 => String::new(),
            _ => format!("edit {}: ", place + 1),
        };
        if edit.old_string.is_empty() {
            bail!("{which}old_string is empty; to create a file, write it");
        }
        if edit.old_string == edit.new_string {
            bail!("{which}old_string and new_string are equal");
        }
        text = match text.matches(&edit.old_string).count() {
            0 => bail!(
                "{which}old_string is not in the file: {}",
                clipped(&edit.old_string)
            ),
            1 => text.replacen(&edit.old_string, &edit.new_string, 1),
            _ if edit.replace_all => text.replace(&edit.old_string, &edit.new_string),
            count => bail!(
                "{which}old_string appears {count} times; add lines around it until it is \
                 unique, or set replace_all"
            ),
        };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(old: &str, new: &str, all: bool) -> Edit {
        Edit {
            old_string: old.to_owned(),
            new_string: new.to_owned(),
            replace_all: all,
        }
    }

    #[test]
    fn a_replacement_is_exact_and_unique_unless_it_is_for_all() {
        let applied =
            |edits: &[Edit]| apply_edits("x = 1\ny = 1\n", edits).map_err(|e| e.to_string());
        assert_eq!(
            applied(&[edit("x = 1", "x = 2", false)]).unwrap(),
            "x = 2\ny = 1\n"
        );
        assert_eq!(
            applied(&[edit("= 1", "= $0", true)]).unwrap(),
            "x = $0\ny = $0\n"
        );
        assert!(
            applied(&[edit("= 1", "= 2", false)])
                .unwrap_err()
                .contains("2 times")
        );
        assert!(
            applied(&[edit("z", "", false)])
                .unwrap_err()
                .contains("not in the file")
        );
        assert!(
            applied(&[edit("", "a", false)])
                .unwrap_err()
                .contains("is empty")
        );
        assert!(
            applied(&[edit("x", "x", false)])
                .unwrap_err()
                .contains("are equal")
        );
    }

    #[test]
    fn of_several_edits_an_error_names_the_one() {
        let error = apply_edits("a", &[edit("a", "b", false), edit("a", "c", false)]);
        assert!(error.unwrap_err().to_string().starts_with("edit 2: "));
    }
}
