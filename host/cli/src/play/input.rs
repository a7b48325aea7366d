//! Reads lines from standard input, and keeps the session alive meanwhile.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::client::Episode;

/// Interval of pings, as other clients have it.
const PING: Duration = Duration::from_secs(10);

/// Standard input, by line.
pub(super) struct LineInput {
    lines: mpsc::Receiver<String>,
    /// Whether standard input is a terminal.
    pub(super) interactive: bool,
}

/// Command on a line.
#[derive(Debug)]
pub(super) enum LineCommand {
    /// Call a tool.
    Call(String, Box<RawValue>),
    /// List the commands.
    Help,
    /// List the tools.
    Tools,
    /// Show the prompt.
    Prompt,
    /// End the episode.
    Quit,
    /// An empty line.
    Empty,
}

impl LineInput {
    /// Starts a thread that reads until the input or the process ends.
    pub(super) fn start() -> LineInput {
        let (sender, lines) = mpsc::channel(16);
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        LineInput {
            lines,
            interactive: io::stdin().is_terminal(),
        }
    }

    /// Returns the next line; `None` at the end of the input or on Ctrl-C.
    pub(super) async fn next(&mut self, prompt: &str, ping: Option<&Episode>) -> Option<String> {
        if self.interactive {
            // On standard error, in case standard output is redirected.
            write!(io::stderr(), "{prompt}").ok();
        }
        let mut pings = tokio::time::interval(PING);
        pings.tick().await;
        loop {
            tokio::select! {
                line = self.lines.recv() => return line,
                _ = tokio::signal::ctrl_c() => return None,
                _ = pings.tick() => {
                    if let Some(episode) = ping {
                        // If the session is gone, the next call fails.
                        episode.ping().await.ok();
                    }
                }
            }
        }
    }
}

impl LineCommand {
    /// Parses a line: `TOOL`, `TOOL {json}`, or a command. A tool with the name
    /// of a command can be called with its input.
    pub(super) fn parse(line: &str) -> Result<LineCommand, String> {
        let line = line.trim();
        let (word, rest) = line
            .split_once(char::is_whitespace)
            .map_or((line, ""), |(word, rest)| (word, rest.trim()));
        match (word, rest) {
            ("", _) => Ok(LineCommand::Empty),
            ("help" | "?", "") => Ok(LineCommand::Help),
            ("tools", "") => Ok(LineCommand::Tools),
            ("prompt", "") => Ok(LineCommand::Prompt),
            ("quit" | "exit", "") => Ok(LineCommand::Quit),
            (tool, rest) => {
                let input = if rest.is_empty() { "{}" } else { rest };
                let input: Box<RawValue> = serde_json::from_str(input).map_err(|error| {
                    format!("invalid JSON ({error}); type: {tool} {{\"name\": value}}")
                })?;
                if !input.get().starts_with('{') {
                    return Err(format!(
                        "expected a JSON object; type: {tool} {{\"name\": value}}"
                    ));
                }
                Ok(LineCommand::Call(tool.to_owned(), input))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_lines() {
        for (line, expected) in [
            ("  ", "Empty"),
            ("help", "Help"),
            ("quit", "Quit"),
            ("look", "look {}"),
            (" add  {\"by\": 2} ", "add {\"by\": 2}"),
            ("help {}", "help {}"),
            (
                "add 2",
                "expected a JSON object; type: add {\"name\": value}",
            ),
            (
                "add {by: 2}",
                "invalid JSON (key must be a string at line 1 column 2); type: add {\"name\": value}",
            ),
        ] {
            let got = match LineCommand::parse(line) {
                Ok(LineCommand::Call(tool, input)) => format!("{tool} {input}"),
                Ok(other) => format!("{other:?}"),
                Err(error) => error,
            };
            assert_eq!(got, expected, "{line}");
        }
    }
}
