//! Arguments of commands that would take too much: expressions of `find` and `test`,
//! which are evaluated recursively without a limit, and the lines of `xargs`.

/// Parentheses inside each other.
const MAX: usize = 100;

/// Operators of `test` that combine, and operators and tests of `find`.
const MAX_OPERATORS: usize = 1000;

/// Bytes of a command line that `xargs` makes, as of its own default.
const MAX_LINE: usize = 128 << 10;

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

/// Bounds the lines of `xargs`, whose replacements would make them any length.
fn bound_lines(arguments: &mut Vec<String>) {
    let is_too_long = |size: &str| size.parse().is_ok_and(|size: usize| size > MAX_LINE);
    let mut option = "";
    for argument in arguments.iter_mut() {
        match (option, argument.as_str()) {
            ("size", size) => {
                option = "";
                if is_too_long(size) {
                    *argument = MAX_LINE.to_string();
                }
            }
            ("other", _) => option = "",
            (_, "-s" | "--max-chars") => option = "size",
            (_, "-n" | "-I" | "-P" | "-L" | "-d" | "-a" | "-E") => option = "other",
            (_, word) if !word.starts_with('-') => break,
            (_, word) => {
                let size = word.strip_prefix("--max-chars=");
                if size.or(word.strip_prefix("-s")).is_some_and(is_too_long) {
                    *argument = format!("-s{MAX_LINE}");
                }
            }
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
