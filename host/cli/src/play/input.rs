//! Lines from standard input, while the session is kept alive.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::episode::Episode;

/// How often a waiting session is pinged, as other clients do.
const PING: Duration = Duration::from_secs(10);

/// Standard input, line by line.
pub(super) struct Input {
    lines: mpsc::Receiver<String>,
    /// Somebody types there.
    pub(super) by_hand: bool,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Line {
    /// A call of a tool.
    Call(String, Box<RawValue>),
    /// What can be typed.
    Help,
    /// The tools again.
    Tools,
    /// The prompt again.
    Prompt,
    /// The end.
    Quit,
    /// Nothing.
    Empty,
}

impl Input {
    /// Begins to read. The thread that reads ends with the input or, at the
    /// latest, with the process.
    pub(super) fn start() -> Input {
        let (sender, lines) = mpsc::channel(16);
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Input {
            lines,
            by_hand: io::stdin().is_terminal(),
        }
    }

    /// The next line; none at the end of the input, or when it is interrupted.
    pub(super) async fn next(&mut self, question: &str, keep: Option<&Episode>) -> Option<String> {
        if self.by_hand {
            // The question goes where the conversation is seen, even if
            // standard output is led elsewhere.
            write!(io::stderr(), "{question}").ok();
        }
        let mut pings = tokio::time::interval(PING);
        pings.tick().await;
        loop {
            tokio::select! {
                line = self.lines.recv() => return line,
                _ = tokio::signal::ctrl_c() => return None,
                _ = pings.tick() => {
                    if let Some(episode) = keep {
                        // The next call tells, if the session is gone.
                        episode.ping().await.ok();
                    }
                }
            }
        }
    }
}

impl Line {
    /// Reads a line: `TOOL`, `TOOL {json}`, or a word of ours. A tool of such
    /// a name can be called with its input.
    pub(super) fn parse(line: &str) -> Result<Line, String> {
        let line = line.trim();
        let (word, rest) = line
            .split_once(char::is_whitespace)
            .map_or((line, ""), |(word, rest)| (word, rest.trim()));
        match (word, rest) {
            ("", _) => Ok(Line::Empty),
            ("help" | "?", "") => Ok(Line::Help),
            ("tools", "") => Ok(Line::Tools),
            ("prompt", "") => Ok(Line::Prompt),
            ("quit" | "exit", "") => Ok(Line::Quit),
            (tool, rest) => {
                let input = if rest.is_empty() { "{}" } else { rest };
                let input: Box<RawValue> = serde_json::from_str(input).map_err(|error| {
                    format!("the input is not JSON ({error}); type: {tool} {{\"name\": value}}")
                })?;
                if !input.get().starts_with('{') {
                    return Err(format!(
                        "the input is not an object; type: {tool} {{\"name\": value}}"
                    ));
                }
                Ok(Line::Call(tool.to_owned(), input))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, expected) in [
            ("  ", "Empty"),
            ("help", "Help"),
            ("quit", "Quit"),
            ("look", "look {}"),
            (" add  {\"by\": 2} ", "add {\"by\": 2}"),
            ("help {}", "help {}"),
            (
                "add 2",
                "the input is not an object; type: add {\"name\": value}",
            ),
            (
                "add {by: 2}",
                "the input is not JSON (key must be a string at line 1 column 2); type: add {\"name\": value}",
            ),
        ] {
            let got = match Line::parse(line) {
                Ok(Line::Call(tool, input)) => format!("{tool} {input}"),
                Ok(other) => format!("{other:?}"),
                Err(error) => error,
            };
            assert_eq!(got, expected, "{line}");
        }
    }
}
