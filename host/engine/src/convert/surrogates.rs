//! Unpaired surrogates in JSON escapes.
//!
//! The grammar of JSON allows half of a surrogate pair, `"\ud800"`. Some
//! parsers accept it; others reject the whole text, and with it the reward
//! beside it. So output of a guest may not contain one.

/// Returns whether every `\u` escape of this valid JSON text is a character,
/// alone or with the escape after it.
pub(crate) fn are_paired(json: &str) -> bool {
    // In valid JSON a backslash occurs only within a string, and begins an
    // escape.
    let mut rest = json;
    while let Some((_, escape)) = rest.split_once('\\') {
        rest = match code_unit(escape) {
            Some(0xd800..=0xdbff) => {
                let second = escape.get(5..).and_then(|more| more.strip_prefix('\\'));
                match second.map(|second| (code_unit(second), second.get(5..))) {
                    Some((Some(0xdc00..=0xdfff), Some(behind))) => behind,
                    _ => return false,
                }
            }
            Some(0xdc00..=0xdfff) => return false,
            // The escaped character may be a backslash, which begins nothing
            // then.
            _ => escape.get(1..).unwrap_or_default(),
        };
    }
    true
}

/// Returns the UTF-16 code unit of an escape, given without its backslash.
fn code_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unpaired_surrogates_are_found() {
        for (json, expected) in [
            (r#"{"a":"plain é 😀"}"#, true),
            (r#"{"a":"\n\"\\\/\u0041"}"#, true),
            (r#"{"a":"\ud83d\ude00"}"#, true),
            (r#"{"\uD83D\uDE00":"\uD83D\uDE00\ud83d\ude00"}"#, true),
            (r#"{"a":"\\ud800"}"#, true),
            (r#"{"a":"\\\\ud800"}"#, true),
            (r#"{"a":"\ud800"}"#, false),
            (r#"{"a":"\\\ud800"}"#, false),
            (r#"{"a":"\udc00"}"#, false),
            (r#"{"a":"\ude00\ud83d"}"#, false),
            (r#"{"a":"\ud83dx\ude00"}"#, false),
            (r#"{"a":"\ud83d\n"}"#, false),
            (r#"{"\udfff":1}"#, false),
        ] {
            assert_eq!(are_paired(json), expected, "{json}");
        }
    }
}
