//! Names of environments, and paths inside of them.

use crate::error::HubStoreError;

/// Checks the name of an environment: 3 to 64 letters, digits, `-` and `_`.
pub fn check_name(name: &str) -> Result<(), HubStoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (3..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(HubStoreError::Invalid(format!(
        "{name:?} is not a valid name of an environment: use 3 to 64 letters, digits, '-' and '_'"
    )))
}

/// Checks a path below a folder, and returns it without a slash at its end.
pub fn check_relative_path(path: &str) -> Result<&str, HubStoreError> {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let is_valid = path.len() <= 1024
        && bare.split('/').all(plain)
        && !bare.contains('\\')
        && !bare.chars().any(char::is_control);
    if is_valid {
        return Ok(bare);
    }
    Err(HubStoreError::Invalid(format!(
        "{path:?} is not a valid path: use a relative path of at most 1024 bytes without empty \
         parts, '.', '..', backslashes and control characters"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_folder() {
        for path in ["a", "a/b", "a b/ü?.txt", "%2f", "folder/", ".git", "..."] {
            assert!(check_relative_path(path).is_ok(), "{path}");
        }
        for path in [
            "", "/", "/a", "a//b", "a/./b", "../a", "a/..", "a\\b", "a\u{7}", "a//",
        ] {
            assert!(check_relative_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn names_are_plain() {
        for name in ["abc", "a-b_C9", &"x".repeat(64)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["ab", &"x".repeat(65), "a b", "a.b", "../up", "ünï"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
