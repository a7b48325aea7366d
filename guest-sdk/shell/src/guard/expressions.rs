//! Expressions of `find` and `test`, which are evaluated recursively without a limit on
//! the parentheses.

/// Parentheses inside each other.
const MAX: usize = 100;

/// Replaces the arguments by some that fail and say why, if they nest too deeply.
pub(crate) fn guard(command: &str, arguments: &mut Vec<String>) {
    let refusal: &[&str] = match command {
        "find" => &["(parentheses nest more than 100 levels deep)"],
        // The second of three arguments is said to be no operator.
        "test" => &["x", "(parentheses nest too deeply)", "x"],
        "[" => &["x", "(parentheses nest too deeply)", "x", "]"],
        _ => return,
    };
    if nests_too_deeply(arguments) {
        *arguments = refusal.iter().map(ToString::to_string).collect();
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
