//! Arguments of commands that would take too much: expressions of `find` and `test`,
//! which are evaluated recursively without a limit, the lines of `xargs`, and patterns
//! that are matched by trying.

use super::backtracking;

/// Parentheses inside each other.
const MAX: usize = 100;

/// Operators of `test` that combine, and operators and tests of `find`.
const MAX_OPERATORS: usize = 1000;

/// Bytes of a command line that `xargs` makes, as of its own default.
const MAX_LINE: usize = 128 << 10;

/// Bytes of the command of `xargs -I`, and how often the line is put in: all command
/// lines are made before the first one runs.
const MAX_TEMPLATE: usize = 1024;
const MAX_REPLACEMENTS: usize = 16;

/// Columns of a number of `nl`.
const MAX_WIDTH: usize = 20;

/// Replaces the arguments by some that fail and say why, if they nest too deeply.
pub(crate) fn guard(command: &str, arguments: &mut Vec<String>) {
    let refusal: &[&str] = match command {
        "find" => &["(the expression has more than 100 levels or 1000 parts)"],
        // The second of three arguments is said to be no operator.
        "test" => &["x", "(the expression nests too deeply)", "x"],
        "[" => &["x", "(the expression nests too deeply)", "x", "]"],
        "xargs" => return bound_lines(arguments),
        "nl" => return bound_width(arguments),
        "grep" | "egrep" | "fgrep" => return refuse_tried(arguments),
        "rg" => return refuse_engine(arguments),
        "date" => return space_signs(arguments),
        _ => return,
    };
    if nests_too_deeply(arguments) || has_too_many_operators(command, arguments) {
        *arguments = refusal.iter().map(ToString::to_string).collect();
    }
}

/// Whether a program of `awk` may loop.
pub(crate) fn may_loop(program: &str) -> bool {
    let words = ["while", "for", "do", "function", "func"];
    words.iter().any(|word| program.contains(word))
}

/// Replaces the arguments of `grep` by some that fail and say why, if one may be a
/// pattern that can be tried in very many ways: it bounds them for each line alone.
fn refuse_tried(arguments: &mut Vec<String>) {
    let is_perl = arguments.iter().any(|argument| {
        let letters = argument.strip_prefix('-').unwrap_or_default();
        argument.starts_with("--perl") || (!letters.starts_with('-') && letters.contains('P'))
    });
    if arguments
        .iter()
        .any(|argument| backtracking::is_heavy(argument, is_perl))
    {
        *arguments = vec!["--this-pattern-can-be-tried-in-too-many-ways".to_owned()];
    }
}

/// Writes `2024-02-28 +2 days` of `date` with a space after the sign: the evaluator takes
/// the number for a time zone otherwise.
fn space_signs(arguments: &mut [String]) {
    let is_date = |text: &str| {
        let shape = text
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c });
        shape.eq("0000-00-00".chars())
    };
    let mut is_value = false;
    for argument in arguments {
        let before = ["--date=", "-d", ""];
        let prefix = before
            .into_iter()
            .find(|prefix| argument.starts_with(prefix));
        let prefix = prefix.unwrap_or_default();
        let was_value = is_value;
        is_value = matches!(argument.as_str(), "-d" | "--date")
            || (argument.starts_with('-')
                && !argument.starts_with("--")
                && argument.ends_with('d'));
        if !was_value && prefix.is_empty() {
            continue;
        }
        let value = argument.strip_prefix(prefix).unwrap_or_default();
        if let Some((date, rest)) = value.split_once(' ')
            && is_date(date)
        {
            let rest = rest.replace('+', "+ ").replace('-', "- ");
            *argument = format!("{prefix}{date} {rest}");
        }
    }
}

/// Refuses the engine of `rg` that matches by trying.
fn refuse_engine(arguments: &mut Vec<String>) {
    let names = ["--pcre2", "--auto-hybrid-regex", "--engine"];
    let is_named = |argument: &String| {
        let is_short = !argument.starts_with("--") && argument.starts_with('-');
        (is_short && argument.contains('P')) || names.iter().any(|name| argument.starts_with(name))
    };
    if arguments.iter().any(is_named) {
        *arguments = vec!["--pcre2-is-not-here-use-grep-P".to_owned()];
    }
}

/// Bounds the lines of `xargs`, whose replacements would make them any length.
fn bound_lines(arguments: &mut Vec<String>) {
    let is_too_long = |size: &str| size.parse().is_ok_and(|size: usize| size > MAX_LINE);
    let mut option = "";
    let mut replaced: Option<String> = None;
    let mut command = 0;
    for argument in arguments.iter_mut() {
        command += 1;
        match (option, argument.as_str()) {
            ("size", size) => {
                option = "";
                if is_too_long(size) {
                    *argument = MAX_LINE.to_string();
                }
            }
            ("replace", text) => {
                option = "";
                replaced = Some(text.to_owned());
            }
            ("other", _) => option = "",
            (_, "-s" | "--max-chars") => option = "size",
            (_, "-I") => option = "replace",
            (_, "-n" | "-P" | "-L" | "-d" | "-a" | "-E") => option = "other",
            (_, word) if !word.starts_with('-') => {
                command -= 1;
                break;
            }
            (_, word) => {
                let text = word.strip_prefix("--replace").or(word.strip_prefix("-I"));
                if let Some(text) = text.or(word.strip_prefix("-i")) {
                    let text = text.strip_prefix('=').unwrap_or(text);
                    replaced = Some(if text.is_empty() { "{}" } else { text }.to_owned());
                }
                let size = word.strip_prefix("--max-chars=");
                if size.or(word.strip_prefix("-s")).is_some_and(is_too_long) {
                    *argument = format!("-s{MAX_LINE}");
                }
            }
        }
    }
    if let Some(replaced) = replaced.filter(|text| !text.is_empty()) {
        let template = arguments.get(command..).unwrap_or_default();
        let bytes: usize = template.iter().map(String::len).sum();
        let count: usize = template
            .iter()
            .map(|word| word.matches(&replaced).count())
            .sum();
        if bytes > MAX_TEMPLATE || count > MAX_REPLACEMENTS {
            let refusal = "(with -I, a command has at most 1024 bytes and 16 replacements)";
            *arguments = vec![refusal.to_owned()];
        }
    }
    arguments.insert(0, format!("-s{MAX_LINE}"));
}

/// Bounds the width of the numbers of `nl`, which come before each line.
fn bound_width(arguments: &mut [String]) {
    let is_wide = |width: &str| width.parse().is_ok_and(|width: usize| width > MAX_WIDTH);
    let mut is_value = false;
    for argument in arguments {
        let before = ["--number-width=", "-w", ""];
        let prefix = before
            .into_iter()
            .find(|prefix| argument.starts_with(prefix));
        let prefix = prefix.unwrap_or_default();
        let value = argument.strip_prefix(prefix).unwrap_or_default();
        if (is_value || !prefix.is_empty()) && is_wide(value) {
            *argument = format!("{prefix}{MAX_WIDTH}");
        }
        is_value = matches!(argument.as_str(), "-w" | "--number-width");
    }
}

fn nests_too_deeply(arguments: &[String]) -> bool {
    let mut level = 0_usize;
    arguments.iter().any(|argument| {
        match argument.as_str() {
            "(" => level += 1,
            ")" => level = level.saturating_sub(1),
            _ => {}
        }
        level > MAX
    })
}

fn has_too_many_operators(command: &str, arguments: &[String]) -> bool {
    let combines = |argument: &&String| match argument.as_str() {
        "-a" | "-o" | "!" => true,
        // Tests beside each other are combined as well.
        other => command == "find" && (other.starts_with('-') || other == ","),
    };
    arguments.iter().filter(combines).count() > MAX_OPERATORS
}

#[cfg(test)]
mod tests {
    use super::guard;

    fn nested(levels: usize) -> Vec<String> {
        let (open, close) = (vec!["("; levels], vec![")"; levels]);
        let all = [open, vec!["x"], close].concat();
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn deep_parentheses_are_refused() {
        for command in ["find", "test", "["] {
            for (levels, deep) in [(100, false), (101, true), (5000, true)] {
                let mut arguments = nested(levels);
                guard(command, &mut arguments);
                assert_eq!(arguments != nested(levels), deep, "{command} {levels}");
            }
        }
        let mut arguments = nested(5000);
        guard("echo", &mut arguments);
        assert_eq!(arguments, nested(5000));
    }

    #[test]
    fn long_chains_of_test_are_refused() {
        for operator in ["-a", "-o"] {
            let chain = |count: usize| -> Vec<String> {
                let words = ["x", operator].repeat(count);
                words.into_iter().map(str::to_owned).collect()
            };
            for (command, count, refused) in [
                ("test", 100, false),
                ("[", 3000, true),
                ("find", 3000, true),
            ] {
                let mut arguments = chain(count);
                guard(command, &mut arguments);
                assert_eq!(arguments != chain(count), refused, "{command} {operator}");
            }
        }
    }

    #[test]
    fn the_width_of_nl_is_bounded() {
        for (given, expected) in [
            ("-w 9999 f", "-w 20 f"),
            ("-ba -w9999", "-ba -w20"),
            ("--number-width=9999", "--number-width=20"),
            ("-w 3 -s 9999 9999", "-w 3 -s 9999 9999"),
        ] {
            let mut arguments = given.split(' ').map(str::to_owned).collect();
            guard("nl", &mut arguments);
            assert_eq!(arguments.join(" "), expected);
        }
    }

    #[test]
    fn the_lines_of_xargs_are_bounded() {
        for (given, expected) in [
            ("-n 1 echo", "-s131072 -n 1 echo"),
            ("-s 99999999 echo", "-s131072 -s 131072 echo"),
            ("-n 1 -s 99999999 echo", "-s131072 -n 1 -s 131072 echo"),
            ("-s99999999 echo", "-s131072 -s131072 echo"),
            (
                "-s 100 echo -s 99999999",
                "-s131072 -s 100 echo -s 99999999",
            ),
            ("--max-chars=99999999", "-s131072 -s131072"),
        ] {
            let mut arguments = given.split(' ').map(str::to_owned).collect();
            guard("xargs", &mut arguments);
            assert_eq!(arguments.join(" "), expected);
        }
    }

    #[test]
    fn the_replacements_of_xargs_are_bounded() {
        for (given, refused) in [
            ("-I{} echo {}{}".to_owned(), false),
            (format!("-I{{}} echo {}", "{}".repeat(17)), true),
            (format!("-I X sh -c {}", "y".repeat(2000)), true),
            (format!("-0 -n 1 sh -c {}", "y".repeat(2000)), false),
        ] {
            let mut arguments = given.split(' ').map(str::to_owned).collect();
            guard("xargs", &mut arguments);
            assert_eq!(arguments.join(" ").contains("at most"), refused, "{given}");
        }
    }

    #[test]
    fn patterns_that_can_be_tried_in_very_many_ways_are_refused() {
        for (command, given, refused) in [
            ("rg", "-nP a", true),
            ("rg", "--pcre2 a", true),
            ("rg", "-n a P", false),
            ("grep", r"-E ((a+)+)+b\1 f", true),
            ("grep", r"\(\(a*\)*\)*b\1", true),
            ("egrep", r"-e(a|aa)+\1", true),
            ("grep", r"-cP ^(?=(a+)+b)", true),
            ("grep", r"(a+)+b", false),
            ("grep", r"-oP (?<=code=)\d+", false),
            ("grep", r"-P ^(?=.*a)(?=.*b).*c", false),
            ("grep", r"-E (.)\1", false),
        ] {
            let mut arguments = given.split(' ').map(str::to_owned).collect();
            guard(command, &mut arguments);
            assert_eq!(arguments.join(" ") != given, refused, "{given}");
        }
    }

    #[test]
    fn signs_after_a_date_are_followed_by_a_space() {
        for (given, expected) in [
            (
                "-u|-d|2024-02-28 +2 days|+%F",
                "-u|-d|2024-02-28 + 2 days|+%F",
            ),
            ("-ud|2024-02-28 -1 day", "-ud|2024-02-28 - 1 day"),
            ("--date=2024-02-28 -1 day", "--date=2024-02-28 - 1 day"),
            ("-d|10:00 +0200", "-d|10:00 +0200"),
            ("+%F 2024-02-28 +2", "+%F 2024-02-28 +2"),
        ] {
            let mut arguments = given.split('|').map(str::to_owned).collect();
            guard("date", &mut arguments);
            assert_eq!(arguments.join("|"), expected);
        }
    }

    #[test]
    fn parentheses_beside_each_other_are_not() {
        let mut arguments: Vec<String> = ["(", "x", ")"]
            .repeat(1000)
            .iter()
            .map(ToString::to_string)
            .collect();
        guard("find", &mut arguments);
        assert_eq!(arguments.len(), 3000);
    }
}
