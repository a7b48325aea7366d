//! Parses the number in an answer, exactly.
//!
//! It accepts:
//!
//! - white space, words, brackets and units around the number: `$18`, `18 dollars`,
//!   `25%`, `The answer is **18**.`
//! - thousands separators, one kind in a number, every group of three digits:
//!   `1,234`, `1_234`, `1'234`, and no-break spaces
//! - leading zeros, and trailing zeros after the decimal point: `018.50`
//! - a sign, also before the unit: `+5`, `-$5`, `−5`
//! - the same number several times: `18 dollars, that is $18.00`
//!
//! Units are not converted: `25%` is 25, and `5 thousand` is 5. The grader does
//! not choose between different numbers, so it rejects such an answer. Data sets
//! mark a final answer with `####`: then only the text after the last mark
//! counts. Digits in any other form (`1.2.3`, `1e3`, `12,34`, `3/4`, `9-4`)
//! invalidate the answer; they are not parsed in part.
//!
//! Numbers are compared as decimal text: no rounding, no limit on digits.

use std::fmt;

/// A decimal number, of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// Without leading zeros; empty for 0.
    whole: String,
    /// Without trailing zeros; empty if there is no fraction.
    fraction: String,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        f.write_str(if self.whole.is_empty() {
            "0"
        } else {
            &self.whole
        })?;
        if !self.fraction.is_empty() {
            write!(f, ".{}", self.fraction)?;
        }
        Ok(())
    }
}

/// The result of parsing an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// This number.
    One(Number),
    /// No number in digits.
    Nothing,
    /// Several different numbers.
    Several,
    /// Digits in an unsupported form, such as `1e3`.
    Unclear,
}

const FINAL_MARK: &str = "####";

/// Parses an answer by the rules above.
pub(crate) fn read(answer: &str) -> Reading {
    let text = answer
        .rsplit_once(FINAL_MARK)
        .map_or(answer, |(_, last)| last);
    let mut found = None;
    for token in text.split(is_gap) {
        if !token.contains(is_digit) {
            continue;
        }
        let Some(number) = number_in(token) else {
            return Reading::Unclear;
        };
        match &found {
            None => found = Some(number),
            Some(first) if *first == number => {}
            Some(_) => return Reading::Several,
        }
    }
    found.map_or(Reading::Nothing, Reading::One)
}

/// Parses a token with digits as one plain number.
fn number_in(token: &str) -> Option<Number> {
    let from_first_digit = token.trim_start_matches(|c| !is_digit(c));
    let before = token.strip_suffix(from_first_digit)?;
    let core = from_first_digit.trim_end_matches(|c| !is_digit(c));

    let (before, whole, fraction) = match bare_fraction(before) {
        Some(before) => (before, "", core),
        None => match core.split_once('.') {
            Some((whole, fraction)) => (before, whole, fraction),
            None => (before, core, ""),
        },
    };
    if !fraction.chars().all(is_digit) {
        return None;
    }
    let whole = without_separators(whole)?
        .trim_start_matches('0')
        .to_owned();
    let fraction = fraction.trim_end_matches('0').to_owned();
    let is_zero = whole.is_empty() && fraction.is_empty();
    Some(Number {
        negative: !is_zero && ends_in_minus(before),
        whole,
        fraction,
    })
}

/// Returns the text before the point of a number without a whole part (`.5`,
/// `-$.5`), or `None` if the point is the full stop after a word.
fn bare_fraction(before: &str) -> Option<&str> {
    before
        .strip_suffix('.')
        .filter(|rest| !rest.ends_with(|c: char| c == '.' || c.is_alphanumeric()))
}

/// Returns whether a minus sign applies to the digits after this text. A unit
/// may be between them. A hyphen after a word or another hyphen is not a sign.
fn ends_in_minus(before: &str) -> bool {
    before
        .trim_end_matches(is_unit)
        .strip_suffix(is_minus)
        .is_some_and(|rest| !rest.ends_with(|c: char| is_minus(c) || c.is_alphanumeric()))
}

/// Returns the digits of a whole part, if its separators are valid.
fn without_separators(whole: &str) -> Option<String> {
    let Some(separator) = whole.chars().find(|c| !is_digit(*c)) else {
        return Some(whole.to_owned());
    };
    if !is_separator(separator) {
        return None;
    }
    let mut groups = whole.split(separator);
    let first = groups.next()?;
    let fits = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let digits = groups.try_fold(first.to_owned(), |digits, group| {
        (group.len() == 3).then(|| digits + group)
    })?;
    (fits && digits.chars().all(is_digit)).then_some(digits)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// No-break spaces, figure spaces and thin spaces group digits.
fn is_joining_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}')
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() && !is_joining_space(c)
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | '_' | '\'' | '’') || is_joining_space(c)
}

/// A letter or sign of a currency, as in `-US$5`; a backslash is how TeX
/// writes the dollar.
fn is_unit(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '$' | '€' | '£' | '¥' | '₹' | '₩' | '₽' | '¢' | '\\')
}

/// The hyphen, the minus sign and the dash that stands in for it.
fn is_minus(c: char) -> bool {
    matches!(c, '-' | '\u{2212}' | '\u{2013}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats the number, or the reason why none was parsed.
    fn said(answer: &str) -> String {
        match read(answer) {
            Reading::One(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn check(table: &[(&str, &str)]) {
        for (answer, expected) in table {
            assert_eq!(said(answer), *expected, "{answer:?}");
        }
    }

    #[test]
    fn plain_numbers_in_any_spelling() {
        check(&[
            ("18", "18"),
            (" 18\n", "18"),
            ("018", "18"),
            ("18.0", "18"),
            ("18.", "18"),
            ("18.50", "18.5"),
            ("0.05", "0.05"),
            (".5", "0.5"),
            ("0", "0"),
            ("-0.00", "0"),
            ("+7", "7"),
            ("-7", "-7"),
            ("\u{2212}7", "-7"),
            (
                "123456789012345678901234567890.1",
                "123456789012345678901234567890.1",
            ),
        ]);
    }

    #[test]
    fn thousands_separators() {
        check(&[
            ("1,234", "1234"),
            ("1,234,567.80", "1234567.8"),
            ("1_000", "1000"),
            ("1'000", "1000"),
            ("1\u{a0}000", "1000"),
            ("1\u{202f}000\u{202f}000", "1000000"),
            ("12,34", "Unclear"),
            ("1234,567", "Unclear"),
            ("0,500", "Unclear"),
            ("1,234_567", "Unclear"),
            ("1,,234", "Unclear"),
        ]);
    }

    #[test]
    fn units_and_words_around_the_number() {
        check(&[
            ("$18", "18"),
            ("18 dollars", "18"),
            ("US$1,200.00", "1200"),
            ("€ 5", "5"),
            ("25%", "25"),
            ("\\$18", "18"),
            ("-$5", "-5"),
            ("$-5", "-5"),
            ("-US$5", "-5"),
            ("-$.50", "-0.5"),
            ("The answer is 18.", "18"),
            ("**18**", "18"),
            ("\\boxed{18}", "18"),
            ("x=-3", "-3"),
            ("She earns $18 a day (18 dollars).", "18"),
            ("covid-19", "19"),
            ("the answer--18", "18"),
            ("No.5", "5"),
            ("18km/h", "18"),
        ]);
    }

    #[test]
    fn an_answer_without_one_plain_number_is_rejected() {
        check(&[
            ("", "Nothing"),
            ("eighteen", "Nothing"),
            ("18 or 19", "Several"),
            ("16 - 3 - 4 = 9", "Several"),
            ("18, 19", "Several"),
            ("18 -18", "Several"),
            ("1.2.3", "Unclear"),
            ("1e3", "Unclear"),
            ("3/4", "Unclear"),
            ("3*3", "Unclear"),
            ("9-4", "Unclear"),
            ("10:30", "Unclear"),
            ("$5-$10", "Unclear"),
            ("18 and 1e3", "Unclear"),
        ]);
    }

    #[test]
    fn only_the_text_after_the_final_mark_counts() {
        check(&[
            ("16 - 3 - 4 = 9\n#### 9", "9"),
            ("#### 1\n#### 2", "2"),
            ("9 ####", "Nothing"),
            ("####9", "9"),
        ]);
    }
}
