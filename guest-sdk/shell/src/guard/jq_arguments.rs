//! Where the arguments of `jq` and `yq` have a program.

use super::jq::{self, Guarded};

/// The option of `yq` that has a program.
const EXPRESSION: &str = "--expression=";

/// Changes the program in the arguments so that it ends. Returns the name of a file
/// that has the program in its place.
pub(crate) fn guard(command: &str, arguments: &mut Vec<String>, until: f64) -> Option<String> {
    let places = if command == "yq" {
        // It takes the first operand that looks like a program.
        (0..arguments.len()).collect()
    } else {
        match program(arguments) {
            Program::At(place) => vec![place],
            Program::In(file) => return Some(file),
            Program::Missing => Vec::new(),
        }
    };
    for place in places {
        let Some(argument) = arguments.get_mut(place) else {
            continue;
        };
        let (option, program) = match argument.strip_prefix(EXPRESSION) {
            Some(program) if command == "yq" => (EXPRESSION, program),
            _ => ("", argument.as_str()),
        };
        match jq::guarded(program, until) {
            Guarded::AsIs => {}
            // The parentheses make `yq` see a program and not the name of a file.
            Guarded::Changed(program) if command == "yq" => {
                *argument = format!("{option}({program}\n)");
            }
            Guarded::Changed(program) => *argument = program,
            Guarded::Refused => {
                *arguments = vec!["-n".to_owned(), format!("({})", jq::refusal())];
                return None;
            }
        }
    }
    None
}

/// Where `jq` takes its program from.
#[derive(Debug, PartialEq, Eq)]
enum Program {
    At(usize),
    In(String),
    Missing,
}

fn program(arguments: &[String]) -> Program {
    let mut found = Program::Missing;
    let mut place = 0;
    let mut options = true;
    while let Some(argument) = arguments.get(place) {
        let mut length = 1;
        match argument.as_str() {
            "--" if options => options = false,
            "--arg" | "--argjson" | "--slurpfile" | "--rawfile" if options => length = 3,
            "--indent" if options => length = 2,
            short if options && short.starts_with('-') && short.len() > 1 => {
                let takes_file = match short.strip_prefix("--") {
                    Some(long) => long == "from-file",
                    None => short.contains('f'),
                };
                if takes_file && let Some(file) = arguments.get(place + 1) {
                    return Program::In(file.clone());
                }
            }
            _ if found == Program::Missing => found = Program::At(place),
            _ => {}
        }
        place += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Program, guard, program};

    fn arguments(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_program_is_the_first_operand_or_a_file() {
        for (line, expected) in [
            (". file", Program::At(0)),
            ("-r -n . file", Program::At(2)),
            ("--arg x . --argjson y 1 --indent 2 .a", Program::At(8)),
            ("-c -- -f file", Program::At(2)),
            ("-c file -f p.jq", Program::In("p.jq".to_owned())),
            ("-nrf p.jq", Program::In("p.jq".to_owned())),
            ("--from-file a/p.jq x", Program::In("a/p.jq".to_owned())),
            ("-n", Program::Missing),
            ("--args . -f x", Program::In("x".to_owned())),
        ] {
            assert_eq!(program(&arguments(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_deep_program_is_replaced_by_its_refusal() {
        let mut deep = vec![".".to_owned(), "[".repeat(2000)];
        assert_eq!(guard("jq", &mut deep, 1.0), None);
        assert_eq!(deep.len(), 2, "a file is no program");
        let mut deep = vec!["-c".to_owned(), "[".repeat(2000), "file".to_owned()];
        assert_eq!(guard("jq", &mut deep, 1.0), None);
        assert_eq!(deep.len(), 2);
        assert!(
            deep.iter()
                .any(|argument| argument.contains("nests too deeply"))
        );
    }

    #[test]
    fn yq_has_its_program_guarded_wherever_it_is() {
        for line in ["e until(false;.) f.yaml", "--expression=until(false;.)"] {
            let mut line = arguments(line);
            guard("yq", &mut line, 1.0);
            assert!(
                line.iter().any(|argument| argument.contains("_orwd_step")),
                "{line:?}"
            );
        }
    }
}
