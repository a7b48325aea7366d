//! Numbers in braces, such as `{0001..9}`, whose width is more than the evaluator can
//! format: it would panic.

/// Digits of a number in braces.
const MAX: usize = 10_000;

/// Whether a text has a number in braces with too many digits.
pub(crate) fn are_too_many(text: &[u8]) -> bool {
    let mut before: &[u8] = &[];
    let mut rest = if text.len() > MAX { text } else { &[] };
    while let Some(start) = rest.iter().position(u8::is_ascii_digit) {
        let (skipped, from) = rest.split_at(start);
        if !skipped.is_empty() {
            before = skipped;
        }
        let count = from.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let unsigned = before.strip_suffix(b"-").unwrap_or(before);
        if count > MAX && (unsigned.ends_with(b"{") || unsigned.ends_with(b"..")) {
            return true;
        }
        rest = from.get(count..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::are_too_many;

    #[test]
    fn only_numbers_in_braces_are_refused() {
        let zeros = "0".repeat(70_000);
        for (text, refused) in [
            (format!("echo {{{zeros}1..2}}"), true),
            (format!("echo {{1..{zeros}2}}"), true),
            (format!("echo {{-{zeros}1..2}}"), true),
            (format!("echo {{1..-{zeros}2}}"), true),
            (format!("echo {zeros}"), false),
            (format!("echo 3.{zeros}"), false),
            ("echo {0001..2}".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(are_too_many(text.as_bytes()), refused, "{}", text.len());
        }
    }
}
