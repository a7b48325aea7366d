//! Programs of `jq`, changed so that they end.
//!
//! `jq` is evaluated to its end in one go: an endless loop would run until the CPU
//! limit of the session, and a deep recursion would exceed the stack. So a program
//! that nests too deeply is refused. In a program with a recursive definition or an
//! endless builtin each turn takes a step, which fails when the time is over; in a
//! recursive definition also when the evaluator has seen too many levels. All other
//! programs run as they are.

use std::fmt::Write;

use super::lexer::{Kind, Lexer, Token};

/// The time of one program. Each step looks at the clock once, which takes a
/// microsecond of the session's time.
pub(crate) const SECONDS: f64 = 1.0;

/// The cost of the longest path from the outside of a program to its innermost
/// term. The parser and the evaluator go one level deeper with each token.
const MAX_COST: usize = 1200;

/// The cost of a block, such as parentheses.
const BLOCK_COST: usize = 12;

/// Builtins that may run without end, with their parameters, and with the call that
/// takes a step at each turn.
const ENDLESS: [(&str, &str, &str); 10] = [
    ("range", "(a)", "(a) | _orwd_step"),
    ("range", "(a; b)", "(a; b) | _orwd_step"),
    ("range", "(a; b; c)", "(a; b; c) | _orwd_step"),
    ("repeat", "(f)", "(_orwd_step | f)"),
    ("recurse", "(f)", "(_orwd_step | f)"),
    ("recurse", "(f; c)", "(_orwd_step | f; c)"),
    ("while", "(c; f)", "(c; _orwd_step | f)"),
    ("until", "(c; f)", "(c; _orwd_step | f)"),
    ("combinations", "", " | _orwd_step"),
    ("combinations", "(n)", "(n) | _orwd_step"),
];

/// A program as it is to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// As it is.
    AsIs,
    /// Changed so that it ends.
    Changed(String),
    /// Not at all: it nests too deeply.
    Refused,
}

/// Returns a program that prints why another is refused.
pub(crate) fn refusal() -> String {
    r#""jq: error: the program nests too deeply; split it into several calls of jq\n" | halt_error(3)"#
        .to_owned()
}

/// Returns a program as it is to run, until this time.
pub(crate) fn guarded(program: &str, until: f64) -> Guarded {
    let tokens: Vec<Token<'_>> = Lexer::new(program).collect();
    if is_too_deep(&tokens) {
        return Guarded::Refused;
    }
    let places = recursive_definitions(&tokens);
    let names = |name: &str| {
        let mut words = tokens.iter().filter(|token| token.kind == Kind::Word);
        words.any(|token| token.text == name)
    };
    let endless: Vec<_> = ENDLESS.iter().filter(|(name, ..)| names(name)).collect();
    if places.is_empty() && endless.is_empty() {
        return Guarded::AsIs;
    }
    // The time is compared as small whole numbers, which is several times faster. The
    // sum of a level fails after the evaluator has seen too many.
    let (second, rest) = (until.floor(), until.fract() * 1000.0);
    let mut changed = format!(
        "def _orwd_step: if (now - {second:.0}) * 1000 > {rest:.0} then \
         error(\"stopped: the program did not end\") else . end; \
         def _orwd_level: (\"-\" + \"-\") as $_orwd | _orwd_step; "
    );
    // Names of builtins are resolved where they are defined, so first all have
    // another name, and then the guarded ones take theirs.
    for (name, parameters, _) in &endless {
        let _ = write!(
            changed,
            "def _orwd_{name}{parameters}: {name}{parameters}; "
        );
    }
    for (name, parameters, call) in &endless {
        let _ = write!(changed, "def {name}{parameters}: _orwd_{name}{call}; ");
    }
    let mut from = 0;
    for place in places {
        changed.push_str(program.get(from..place).unwrap_or_default());
        changed.push_str(" _orwd_level |");
        from = place;
    }
    changed.push_str(program.get(from..).unwrap_or_default());
    Guarded::Changed(changed)
}

fn is_too_deep(tokens: &[Token<'_>]) -> bool {
    // The cost where each open block begins, and whether commas separate its terms.
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut cost = 0;
    for token in tokens {
        cost += 1;
        match token.kind {
            Kind::Open => {
                cost += BLOCK_COST;
                open.push((cost, token.text == "{"));
            }
            // A block is one term of what is around it.
            Kind::Close => cost = open.pop().map_or(0, |(cost, _)| cost - BLOCK_COST),
            Kind::Semicolon => cost = open.last().map_or(0, |(cost, _)| *cost),
            Kind::Comma => {
                if let Some((start, true)) = open.last() {
                    cost = *start;
                }
            }
            _ => {}
        }
        if cost > MAX_COST {
            return true;
        }
    }
    false
}

/// A definition whose body is being read.
struct Definition<'a> {
    name: &'a str,
    level: usize,
    /// Where its body begins, once its colon has been seen.
    body: Option<usize>,
    is_recursive: bool,
}

/// Returns where the bodies of definitions begin that call themselves.
fn recursive_definitions(tokens: &[Token<'_>]) -> Vec<usize> {
    let mut open: Vec<Definition<'_>> = Vec::new();
    let mut places = Vec::new();
    let mut level = 0;
    let mut before = "";
    for token in tokens {
        match token.kind {
            Kind::Open => level += 1,
            Kind::Close => level -= usize::from(level > 0),
            Kind::Word if before == "def" => open.push(Definition {
                name: token.text,
                level,
                body: None,
                is_recursive: false,
            }),
            Kind::Word => {
                let called = open.iter_mut().filter(|open| open.body.is_some());
                for definition in called.filter(|open| open.name == token.text) {
                    definition.is_recursive = true;
                }
            }
            Kind::Colon => {
                if let Some(last) = open.last_mut()
                    && last.level == level
                {
                    last.body.get_or_insert(token.end);
                }
            }
            Kind::Semicolon => {
                let ended = open.pop_if(|last| last.level == level);
                places.extend(
                    ended
                        .filter(|ended| ended.is_recursive)
                        .and_then(|ended| ended.body),
                );
            }
            _ => {}
        }
        before = token.text;
    }
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::{Guarded, guarded};

    /// Returns the program behind the definitions of the guard.
    fn changed(program: &str) -> Option<String> {
        match guarded(program, 5.0) {
            Guarded::AsIs => None,
            Guarded::Changed(changed) => {
                let (_, rest) = changed.split_once("$_orwd | _orwd_step; ").expect("a step");
                Some(rest.to_owned())
            }
            Guarded::Refused => panic!("{program} is refused"),
        }
    }

    #[test]
    fn programs_that_end_run_as_they_are() {
        for program in [
            ".",
            ".a[0] | select(.b > 1)",
            "def f: 1; def g(x): f + x; g(f)",
            "reduce .[] as $x (0; . + $x)",
            r#"{x: .until, "def": "while"}.range"#,
        ] {
            assert_eq!(changed(program), None, "{program}");
        }
    }

    #[test]
    fn recursive_definitions_take_a_step() {
        assert_eq!(changed("def f: f; f").unwrap(), "def f: _orwd_level | f; f");
        assert_eq!(
            changed("def f(g; $x): if . then f(g; 1) else 2 end; f(1; 2)").unwrap(),
            "def f(g; $x): _orwd_level | if . then f(g; 1) else 2 end; f(1; 2)"
        );
        assert_eq!(
            changed("def f: def g: f; g; f").unwrap(),
            "def f: _orwd_level | def g: f; g; f"
        );
        assert_eq!(
            changed(r#"def f: "\(f)"; {a: f}"#).unwrap(),
            r#"def f: _orwd_level | "\(f)"; {a: f}"#
        );
    }

    #[test]
    fn endless_builtins_take_a_step() {
        let Guarded::Changed(changed) = guarded("until(false; .)", 5.25) else {
            panic!("it has no step");
        };
        assert!(changed.contains("(now - 5) * 1000 > 250 "), "{changed}");
        assert!(changed.contains("def _orwd_until(c; f): until(c; f); "));
        assert!(changed.contains("def until(c; f): _orwd_until(c; _orwd_step | f); "));
        assert!(!changed.contains("range"), "{changed}");
    }

    #[test]
    fn programs_that_nest_too_deeply_are_refused() {
        for (program, deep) in [
            (format!("{}1{}", "[".repeat(3000), "]".repeat(3000)), true),
            (format!("{}1{}", "[".repeat(40), "]".repeat(40)), false),
            (vec!["."; 3000].join("|"), true),
            (vec!["."; 300].join("|"), false),
            (format!("{} 1", "-".repeat(3000)), true),
            (format!("[{}]", vec!["[1]"; 150].join(",")), false),
            (format!("{{{}}}", vec!["a: 1"; 3000].join(",")), false),
            (format!("{} 1", "def f: 1;".repeat(1000)), false),
            (r#""\("#.repeat(500), true),
        ] {
            let is = guarded(&program, 5.0) == Guarded::Refused;
            let start: String = program.chars().take(20).collect();
            assert_eq!(is, deep, "{start}");
        }
    }
}
