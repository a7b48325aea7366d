//! Output for people: results on standard output, everything else on standard
//! error. Colours are removed where the stream is not a terminal.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::error::CommandError;

/// Style of titles.
pub(crate) const BOLD: Style = Style::new().bold();
/// Style of secondary text.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Style of errors.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// Style of success.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// Style of warnings.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Returns the text in a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints an error. It may name what an author or a guest wrote.
pub(crate) fn error(message: &str) {
    let message = escape_control(message);
    let label = styled(RED, "error:");
    // If standard error is gone, there is nothing left to report to.
    writeln!(anstream::stderr(), "{label} {message}").ok();
}

/// Prints an error as it is.
pub(crate) fn unlabelled_error(message: &str) {
    let message = escape_control(message);
    // If standard error is gone, there is nothing left to report to.
    writeln!(anstream::stderr(), "{message}").ok();
}

/// Prints progress. It may name what an author or a guest wrote.
pub(crate) fn note(message: &str) {
    let message = escape_control(message);
    writeln!(anstream::stderr(), "{}", styled(DIM, &message)).ok();
}

/// Prints a result for people, with colours if standard output shows them.
pub(crate) fn print_styled(text: &str) -> Result<(), CommandError> {
    write_all(anstream::stdout().lock(), text)
}

/// Prints a result as it is.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    write_all(io::stdout().lock(), text)
}

/// Writes and flushes. A reader that stops early, such as `head`, is not an
/// error.
fn write_all(mut out: impl Write, text: &str) -> Result<(), CommandError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::new(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Escapes control characters of a guest's text, except line ends and tabs, so
/// that it cannot control the terminal.
pub(crate) fn escape_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_control_the_terminal() {
        assert_eq!(
            escape_control("a\tb\n\x1b[2Jc\r\u{9b}é"),
            "a\tb\n\\u{1b}[2Jc\\r\\u{9b}é"
        );
    }

    #[test]
    fn styles_are_removed_without_a_terminal() {
        let text = styled(RED, "x");
        assert!(text.contains('\x1b'), "{text:?}");
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "x");
    }
}
