//! Characters above U+FFFF in the strings of programs, which JSON and
//! `jq` write as two escapes. The parser knows single escapes only.

use std::borrow::Cow;

/// Replaces each pair of escapes by its character.
pub(crate) fn join_pairs(program: &str) -> Cow<'_, str> {
    let mut joined = String::new();
    let mut rest = program;
    let mut done = 0;
    while let Some(at) = rest.find("\\u") {
        let begin = program.len() - rest.len() + at;
        let (before, escape) = (&program[..begin], &program[begin..]);
        // An escaped backslash begins no escape.
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        rest = &program[begin + 2..];
        if backslashes % 2 == 0
            && let Some(character) = pair(escape)
        {
            joined += &program[done..begin];
            joined.push(character);
            done = begin + PAIR;
            rest = &program[done..];
        }
    }
    if done == 0 {
        return Cow::Borrowed(program);
    }
    joined += &program[done..];
    Cow::Owned(joined)
}

/// Bytes of two escapes.
const PAIR: usize = 12;

fn pair(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let units = [unit(0)?, unit(6)?];
    let mut characters = char::decode_utf16(units);
    match (characters.next(), characters.next()) {
        (Some(Ok(character)), None) => Some(character),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_their_character_and_all_else_stays() {
        for (program, expected) in [
            (r#""\u00e9\ud83d\ude00.""#, r#""\u00e9😀.""#),
            (r#""\ud83d\ude00\ud83d\ude00""#, r#""😀😀""#),
            (r#""\ud83d""#, r#""\ud83d""#),
            (r#""\ud83d\u0041""#, r#""\ud83d\u0041""#),
            (r#""\\ud83d\ude00""#, r#""\\ud83d\ude00""#),
            (r#""\u12"#, r#""\u12"#),
            ("é | \"\\u\"", "é | \"\\u\""),
        ] {
            assert_eq!(join_pairs(program), expected);
        }
    }
}
