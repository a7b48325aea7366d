//! Regular expressions that are matched by trying one way after the other: those with
//! back references, and Perl's with look-around. Only their number of tries is bounded,
//! for each line, and not what they take in all.

/// What an allocation of `sed` counts for a pattern with this number of repetitions that
/// can be tried in different ways. It allocates a few times a line, and may try a
/// million ways.
const WEIGHTS: [u64; 3] = [20, 400, 1500];

/// The same for a pattern that can be tried in more ways.
const HEAVIEST: u64 = 8000;

/// Repetitions of a pattern of `grep`, at most.
const MAX_REPETITIONS: usize = 3;

/// Repetitions that occur once or not, and alternatives, that count as one more.
const CHOICES: usize = 8;

/// Whether a pattern of `grep` is matched by trying.
pub(crate) fn is_tried(pattern: &str, is_perl: bool) -> bool {
    let mut characters = pattern.chars().peekable();
    let mut repeated = false;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match (character, next) {
            ('\\', Some('1'..='9')) => return true,
            ('\\', Some('K' | 'G' | 'g' | 'k' | 'R' | 'X')) if is_perl => return true,
            ('\\', _) => {
                characters.next();
            }
            ('(', Some('?')) if is_perl => {
                characters.next();
                if !matches!(characters.peek(), Some(':' | 'i' | 's' | 'm' | 'x' | '#')) {
                    return true;
                }
            }
            ('(', Some('*')) if is_perl => return true,
            ('+', _) if is_perl && repeated => return true,
            _ => {}
        }
        repeated = matches!(character, '*' | '+' | '?' | '}');
    }
    false
}

/// Writes a basic regular expression as an extended one.
pub(crate) fn extended(basic: &str) -> String {
    let mut extended = String::with_capacity(basic.len());
    let mut characters = basic.chars();
    let special = ['(', ')', '{', '}', '|', '+', '?'];
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(next) if special.contains(&next) => extended.push(next),
                Some(next) => extended.extend(['\\', next]),
                None => extended.push('\\'),
            },
            character if special.contains(&character) => extended.extend(['\\', character]),
            character => extended.push(character),
        }
    }
    extended
}

/// Returns how much each allocation of `sed` counts for these arguments.
pub(crate) fn weight_of_sed(arguments: &[String]) -> u64 {
    let is_extended = arguments.iter().any(|argument| {
        let letters = argument.strip_prefix('-').unwrap_or_default();
        matches!(argument.as_str(), "--regexp-extended")
            || (!letters.starts_with('-') && letters.contains(['E', 'r']))
    });
    // Which of the arguments are scripts matters little: names of files have no patterns.
    let patterns = arguments.iter().flat_map(|argument| patterns(argument));
    let tried = patterns.filter(|pattern| is_tried(pattern, false));
    let weights = tried.map(|pattern| match is_extended {
        true => weight(pattern),
        false => weight(&extended(pattern)),
    });
    weights.max().unwrap_or(1)
}

/// Returns the patterns of a script: those of addresses, and of `s`.
fn patterns(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = script;
    let mut before = ';';
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        let delimiter = after.chars().next();
        let begins = !before.is_alphabetic();
        let delimiter = match (character, delimiter) {
            ('s', Some(delimiter)) if begins && !delimiter.is_alphanumeric() => delimiter,
            ('/', _) => '/',
            ('\\', Some(delimiter)) if begins => delimiter,
            _ => {
                before = character;
                rest = after;
                continue;
            }
        };
        let from = match character {
            '/' => after,
            _ => after.get(delimiter.len_utf8()..).unwrap_or_default(),
        };
        let (pattern, mut next) = until(from, delimiter);
        found.push(pattern);
        if character == 's' {
            next = until(next, delimiter).1;
        }
        before = delimiter;
        rest = next;
    }
    found
}

/// Splits a text at the first delimiter that is not escaped.
fn until(text: &str, delimiter: char) -> (&str, &str) {
    let mut is_escaped = false;
    for (place, character) in text.char_indices() {
        if !is_escaped && character == delimiter {
            let (before, after) = text.split_at(place);
            return (
                before,
                after.get(delimiter.len_utf8()..).unwrap_or_default(),
            );
        }
        is_escaped = !is_escaped && character == '\\';
    }
    (text, "")
}

/// Returns how much an allocation counts for an extended regular expression.
fn weight(pattern: &str) -> u64 {
    let weight = ways(pattern).and_then(|ways| WEIGHTS.get(ways));
    weight.copied().unwrap_or(HEAVIEST)
}

/// Whether an argument of `grep` may be a pattern that is tried in very many ways.
pub(crate) fn is_heavy(pattern: &str, is_perl: bool) -> bool {
    let is_heavy = |pattern: &str| ways(pattern).is_none_or(|ways| ways > MAX_REPETITIONS);
    is_tried(pattern, is_perl) && (is_heavy(pattern) || is_heavy(&extended(pattern)))
}

/// Returns the number of repetitions of an extended regular expression that can be tried
/// in different ways, or none if one is inside another.
fn ways(pattern: &str) -> Option<usize> {
    let (mut repetitions, mut choices) = (0_usize, 0_usize);
    // For each open group, whether it repeats something or has alternatives.
    let mut groups = vec![false];
    let mut closed = false;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let was_closed = std::mem::take(&mut closed);
        let repeats = match character {
            '\\' => {
                characters.next();
                false
            }
            '(' => {
                // The sign of a kind of group is no repetition.
                characters.next_if_eq(&'?');
                groups.push(false);
                false
            }
            ')' => {
                closed = groups.pop().unwrap_or_default();
                closed
            }
            '*' | '+' | '{' if was_closed => return None,
            '*' | '+' | '{' => {
                repetitions += 1;
                true
            }
            '?' | '|' => {
                choices += 1;
                true
            }
            _ => false,
        };
        if let (true, Some(group)) = (repeats, groups.last_mut()) {
            *group = true;
        }
    }
    Some(repetitions + choices / CHOICES)
}

#[cfg(test)]
mod tests {
    use super::{HEAVIEST, extended, is_tried, weight_of_sed};

    #[test]
    fn back_references_and_look_around_are_tried() {
        for (pattern, is_perl, tried) in [
            (r"(a)\1", false, true),
            (r"a\\1", false, false),
            (r"(?=a)", false, false),
            (r"(?=a)", true, true),
            (r"(?<!a)b", true, true),
            (r"(?<name>a)", true, true),
            (r"(?:a|b)+\d{3}", true, false),
            (r"(?i)abc", true, false),
            (r"a++", true, true),
            (r"id=\K\d+", true, true),
            (r"\(\?=", true, false),
        ] {
            assert_eq!(is_tried(pattern, is_perl), tried, "{pattern}");
        }
    }

    #[test]
    fn basic_expressions_are_written_as_extended_ones() {
        assert_eq!(extended(r"\(a\|b\)\{2\}(x)+\1"), r"(a|b){2}\(x\)\+\1");
    }

    #[test]
    fn patterns_of_sed_weigh_by_the_ways_to_try_them() {
        for (script, weight) in [
            (r"s/(.*)-(.*)/\2-\1/", 1),
            (r"s/(.)\1/x/g", 20),
            (r"s|(.*)\1|x|", 400),
            (r"/^(.*)\n(.*)\1$/d", 1500),
            (r"5,/(.)\1/s,a,\1,", 20),
            (r"s/((a+)+)b\1/x/", HEAVIEST),
            (r"s/(a*)(a*)(a*)\1/x/", HEAVIEST),
            (r"s/(a|aa)+\1/x/", HEAVIEST),
        ] {
            let arguments = ["-E".to_owned(), script.to_owned()];
            assert_eq!(weight_of_sed(&arguments), weight, "{script}");
        }
        let basic = [r"s/\(\(a*\)*\)b\1/x/".to_owned()];
        assert_eq!(weight_of_sed(&basic), HEAVIEST);
    }
}
