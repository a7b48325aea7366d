//! Sums of `bc`, whose parser recurses for each parenthesis, sign and power.

/// Parentheses inside each other.
const MAX_LEVELS: usize = 100;

/// Signs and powers of a statement.
const MAX_OPERATORS: usize = 500;

/// Says why a program is nested too deeply.
pub(crate) fn check(program: &str) -> Result<(), &'static str> {
    match program.split(['\n', ';']).all(is_shallow) {
        true => Ok(()),
        false => Err("an expression nests too deeply: use fewer parentheses, signs and powers"),
    }
}

fn is_shallow(statement: &str) -> bool {
    let (mut level, mut operators) = (0_usize, 0_usize);
    let mut after_operand = false;
    for character in statement.chars() {
        match character {
            '(' => level += 1,
            ')' => level = level.saturating_sub(1),
            '^' => operators += 1,
            '-' | '!' if !after_operand => operators += 1,
            _ => {}
        }
        if !character.is_whitespace() {
            after_operand = character.is_alphanumeric() || matches!(character, '.' | ')' | '_');
        }
        if level > MAX_LEVELS || operators > MAX_OPERATORS {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn deep_expressions_are_refused() {
        for (open, close) in [("(", ")"), ("-", ""), ("- ", ""), ("2^", ""), ("s(", ")")] {
            let nested = |count: usize| open.repeat(count) + "1" + &close.repeat(count);
            assert!(check(&nested(100)).is_ok(), "{open}");
            assert!(check(&nested(600)).is_err(), "{open}");
        }
    }

    #[test]
    fn long_programs_are_not() {
        assert!(check(&"1-2+".repeat(5000)).is_ok());
        assert!(check(&"(1)-(2)-".repeat(5000)).is_ok());
        assert!(check(&"-(2^3)\n".repeat(5000)).is_ok());
    }
}
