//! Programs that come by another way than the command line. Wherever a text becomes a
//! program it is an argument of `eval`, or is read from a file, so that both can be
//! checked at one place.

/// Runs standard input as a program.
const RUN_STDIN: &str = r#"eval "$(cat)" < /dev/null"#;

/// The folder of files with which `source` reads from a descriptor: it gives the text
/// to `eval`.
const SOURCED: &str = "/dev/sourced/";

/// Replaces the arguments of a shell that reads its program from standard input, or of
/// `source` with a process substitution.
pub(crate) fn route(command: &str, arguments: &mut Vec<String>) {
    match command {
        "bash" | "sh" => {
            if let Some(first) = program_of(arguments) {
                let mut rest = arguments.split_off(first.place);
                if first.is_marked && !rest.is_empty() {
                    rest.remove(0);
                }
                arguments.retain(|argument| argument != "-s");
                arguments.extend(["-c".to_owned(), RUN_STDIN.to_owned(), command.to_owned()]);
                arguments.extend(rest);
            }
        }
        "source" | "." => {
            let descriptor = arguments.first().and_then(|name| descriptor(name));
            if let (Some(routed), Some(first)) = (descriptor, arguments.first_mut()) {
                *first = routed;
            }
        }
        _ => {}
    }
}

/// Returns the text of a file that `source` reads in place of a descriptor.
pub(crate) fn sourced(path: &str) -> Option<String> {
    let descriptor = path.strip_prefix(SOURCED)?;
    let is_number = descriptor.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !descriptor.is_empty()).then(|| format!("eval \"$(cat /dev/fd/{descriptor})\"\n"))
}

fn descriptor(name: &str) -> Option<String> {
    let number = name.strip_prefix("/dev/fd/")?;
    Some(format!("{SOURCED}{number}"))
}

/// Where the operands of a shell begin that reads its program from standard input.
struct Operands {
    place: usize,
    /// Whether an argument that only ends the options comes first.
    is_marked: bool,
}

fn program_of(arguments: &[String]) -> Option<Operands> {
    let mut reads_stdin = false;
    let mut place = 0;
    while let Some(argument) = arguments.get(place) {
        match argument.as_str() {
            "--" | "-" => {
                let is_last = place + 1 == arguments.len();
                return (reads_stdin || is_last).then_some(Operands {
                    place,
                    is_marked: true,
                });
            }
            "--help" | "--version" | "--init-file" | "--rcfile" => return None,
            "-o" | "+o" | "-O" | "+O" => place += 1,
            long if long.starts_with("--") => {}
            short if short.starts_with(['-', '+']) => {
                if short.contains('c') {
                    return None;
                }
                // With others it cannot be taken out alone.
                reads_stdin |= short.contains('s');
                if short.contains('s') && short != "-s" {
                    return None;
                }
            }
            _ if reads_stdin => break,
            // A file.
            _ => return None,
        }
        place += 1;
    }
    Some(Operands {
        place: place.min(arguments.len()),
        is_marked: false,
    })
}

#[cfg(test)]
mod tests {
    use super::{route, sourced};

    fn routed(command: &str, given: &str) -> String {
        let mut arguments = given.split_whitespace().map(str::to_owned).collect();
        route(command, &mut arguments);
        arguments.join(" ")
    }

    #[test]
    fn programs_on_standard_input_go_through_eval() {
        for (given, expected) in [
            ("", r#"-c eval "$(cat)" < /dev/null bash"#),
            (
                "-e -o pipefail",
                r#"-e -o pipefail -c eval "$(cat)" < /dev/null bash"#,
            ),
            ("-s a b", r#"-c eval "$(cat)" < /dev/null bash a b"#),
            ("-x -s -- a", r#"-x -c eval "$(cat)" < /dev/null bash a"#),
            ("-", r#"-c eval "$(cat)" < /dev/null bash"#),
            ("-c true", "-c true"),
            ("-ec true", "-ec true"),
            ("file a", "file a"),
            ("-x file", "-x file"),
            ("--version", "--version"),
        ] {
            assert_eq!(routed("bash", given), expected, "{given}");
        }
    }

    #[test]
    fn programs_of_process_substitutions_go_through_eval() {
        assert_eq!(routed("source", "/dev/fd/63 a"), "/dev/sourced/63 a");
        assert_eq!(routed(".", "./file"), "./file");
        assert_eq!(
            sourced("/dev/sourced/63").as_deref(),
            Some("eval \"$(cat /dev/fd/63)\"\n")
        );
        assert_eq!(sourced("/dev/sourced/6;ls"), None);
        assert_eq!(sourced("/dev/sourced/"), None);
    }
}
