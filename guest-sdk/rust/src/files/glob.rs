//! Patterns of paths: `*` and `?` within a part, `**` across parts, `[…]` and
//! `{a,b}`.

use regex_lite::Regex;

use crate::{Context, Result};

/// A pattern that is matched against whole relative paths.
pub(crate) struct Glob(Regex);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Result<Self> {
        let written = expression(pattern);
        let regex = Regex::new(&written).with_context(|| format!("the pattern {pattern:?}"))?;
        Ok(Self(regex))
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// Returns the regular expression of a pattern. Without a slash it matches the
/// name of a file in any folder.
fn expression(pattern: &str) -> String {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let mut out = String::from("^");
    if !pattern.contains('/') {
        out.push_str("(?:.*/)?");
    }
    let mut braces = 0_usize;
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.peek() == Some(&'*') => {
                rest.next();
                // `**/` also stands for no folder at all.
                if rest.next_if_eq(&'/').is_some() {
                    out.push_str("(?:.*/)?");
                } else {
                    out.push_str(".*");
                }
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '[' => {
                out.push('[');
                if rest.next_if(|next| matches!(next, '!' | '^')).is_some() {
                    out.push('^');
                }
                for inner in rest.by_ref() {
                    if matches!(inner, '\\' | '[') {
                        out.push('\\');
                    }
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '\\' => {
                let next = rest.next().unwrap_or('\\');
                out.push_str(&regex_lite::escape(next.encode_utf8(&mut [0; 4])));
            }
            other => out.push_str(&regex_lite::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.extend(std::iter::repeat_n(')', braces));
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("*.rs", "lib.rs", true),
            ("*.rs", "src/a/lib.rs", true),
            ("*.rs", "lib.rsx", false),
            ("src/*.rs", "src/lib.rs", true),
            ("src/*.rs", "src/a/lib.rs", false),
            ("src/**/*.rs", "src/lib.rs", true),
            ("src/**/*.rs", "src/a/b/lib.rs", true),
            ("**/test?.txt", "a/test1.txt", true),
            ("*.{js,ts}", "x/y.ts", true),
            ("*.{js,ts}", "x/y.rs", false),
            ("[!a]*.md", "b.md", true),
            ("[!a]*.md", "a.md", false),
            ("./a+b.txt", "a+b.txt", true),
            ("a.c", "abc", false),
            ("{a", "a", true),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.matches(path), expected, "{pattern} {path}");
        }
        assert!(Glob::new("[a").is_err());
    }
}
