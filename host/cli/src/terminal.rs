//! Words for a person: standard output for what was asked for, standard error
//! for the rest, and colours only where a terminal shows them.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use super::Failure;

/// How a word is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// Where words go, as far as colours matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Colours,
}

/// A word that is set off where colours are shown.
pub(super) struct Painted<'a> {
    text: &'a str,
    style: Style,
    paint: Paint,
}

impl Paint {
    /// For standard output.
    pub(super) fn stdout() -> Paint {
        Paint::of(io::stdout().is_terminal())
    }

    /// For standard error.
    pub(super) fn stderr() -> Paint {
        Paint::of(io::stderr().is_terminal())
    }

    fn of(terminal: bool) -> Paint {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if terminal && !dumb && !set("NO_COLOR") {
            Paint::Colours
        } else {
            Paint::Plain
        }
    }

    /// Sets a text off.
    pub(super) fn paint(self, style: Style, text: &str) -> Painted<'_> {
        Painted {
            text,
            style,
            paint: self,
        }
    }
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match (self.paint, self.style) {
            (Paint::Plain, _) => return f.write_str(self.text),
            (Paint::Colours, Style::Bold) => "1",
            (Paint::Colours, Style::Dim) => "2",
            (Paint::Colours, Style::Red) => "1;31",
            (Paint::Colours, Style::Green) => "32",
            (Paint::Colours, Style::Yellow) => "33",
        };
        write!(f, "\x1b[{code}m{}\x1b[0m", self.text)
    }
}

/// Says what went wrong.
pub(super) fn error(message: &str) {
    let label = Paint::stderr().paint(Style::Red, "error:");
    // Nobody is left to tell when standard error is gone.
    writeln!(io::stderr(), "{label} {message}").ok();
}

/// Says what goes on.
pub(super) fn note(message: &str) {
    let message = Paint::stderr().paint(Style::Dim, message);
    writeln!(io::stderr(), "{message}").ok();
}

/// Writes what was asked for, and sees to it that it is out. A reader that has
/// enough and goes away, such as `head`, is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!(
            "standard output cannot be written: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Text of a guest's, fit for a terminal: control characters other than the
/// end of a line and the tabulator are shown and not obeyed.
pub(super) fn harmless(text: &str) -> String {
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
    fn a_guest_cannot_steer_the_terminal() {
        assert_eq!(
            harmless("a\tb\n\x1b[2Jc\r\u{9b}é"),
            "a\tb\n\\u{1b}[2Jc\\r\\u{9b}é"
        );
    }

    #[test]
    fn colours_are_only_for_terminals() {
        assert_eq!(Paint::Plain.paint(Style::Red, "x").to_string(), "x");
        assert_eq!(
            Paint::Colours.paint(Style::Red, "x").to_string(),
            "\x1b[1;31mx\x1b[0m"
        );
        assert_eq!(Paint::of(false), Paint::Plain);
    }
}
