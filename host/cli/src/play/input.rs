//! Reads lines from standard input, and keeps the session alive meanwhile.
//!
//! In a terminal, lines can be edited. A thread reads, since reading blocks.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use termion::input::TermRead;
use termion::raw::{IntoRawMode, RawTerminal};
use tokio::sync::mpsc;

use super::client::Episode;
use super::editor::{LineEditor, Pressed};

/// Interval of pings, as other clients have it.
const PING: Duration = Duration::from_secs(10);

/// Columns of a terminal that does not tell.
const COLUMNS: u16 = 80;

/// Commands that are no tools, for completion.
const COMMANDS: [&str; 4] = ["help", "tools", "prompt", "quit"];

/// Standard input, by line.
pub(super) struct LineInput {
    /// `None` is the end of the input.
    lines: mpsc::Receiver<Option<String>>,
    terminal: Option<Terminal>,
    /// Whether standard input is a terminal.
    pub(super) interactive: bool,
}

/// Terminal whose lines are edited. Dropping it restores its mode.
struct Terminal {
    raw: RawTerminal<File>,
    prompts: std::sync::mpsc::Sender<String>,
    /// What the first word of a line may be.
    words: Words,
}

type Words = Arc<Mutex<Vec<String>>>;

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
        let interactive = io::stdin().is_terminal();
        let terminal = if interactive {
            Terminal::start(sender.clone()).ok()
        } else {
            None
        };
        if terminal.is_none() {
            std::thread::spawn(move || {
                for line in io::stdin().lock().lines() {
                    let Ok(line) = line else { break };
                    if sender.blocking_send(Some(line)).is_err() {
                        break;
                    }
                }
            });
        }
        LineInput {
            lines,
            terminal,
            interactive,
        }
    }

    /// Sets the tools, whose names are completed.
    pub(super) fn complete(&self, tools: impl Iterator<Item = String>) {
        if let Some(terminal) = &self.terminal {
            let commands = COMMANDS.map(str::to_owned).into_iter();
            // A name that controls the terminal cannot be typed.
            let plain = tools.filter(|name| !name.contains(char::is_control));
            let words = commands.chain(plain).collect();
            *terminal
                .words
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = words;
        }
    }

    /// Returns the next line; `None` at the end of the input or on Ctrl-C.
    pub(super) async fn next(&mut self, prompt: &str, ping: Option<&Episode>) -> Option<String> {
        match &self.terminal {
            Some(terminal) => {
                terminal.raw.activate_raw_mode().ok()?;
                terminal.prompts.send(prompt.to_owned()).ok()?;
            }
            // On standard error, in case standard output is redirected.
            None if self.interactive => {
                write!(io::stderr(), "{prompt}").ok();
            }
            None => {}
        }
        let line = self.wait(ping).await;
        if let Some(terminal) = &self.terminal {
            terminal.raw.suspend_raw_mode().ok();
        }
        line
    }

    async fn wait(&mut self, ping: Option<&Episode>) -> Option<String> {
        let mut pings = tokio::time::interval(PING);
        pings.tick().await;
        loop {
            tokio::select! {
                line = self.lines.recv() => return line.flatten(),
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

impl Terminal {
    /// Starts the thread, which reads a line for each prompt.
    fn start(lines: mpsc::Sender<Option<String>>) -> io::Result<Terminal> {
        let mut screen = termion::get_tty()?;
        let raw = screen.try_clone()?.into_raw_mode()?;
        raw.suspend_raw_mode()?;
        let (prompts, received) = std::sync::mpsc::channel::<String>();
        let words = Words::default();
        let shared = words.clone();
        std::thread::spawn(move || {
            let mut editor = LineEditor::default();
            let mut keys = io::stdin().lock().keys();
            for prompt in received {
                let words = shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let line = read_line(&mut editor, &mut keys, &mut screen, &prompt, &words);
                let line = line.unwrap_or_default();
                if lines.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Terminal {
            raw,
            prompts,
            words,
        })
    }
}

/// Lets the user edit a line. Returns `None` at the end of the input.
fn read_line(
    editor: &mut LineEditor,
    keys: &mut impl Iterator<Item = io::Result<termion::event::Key>>,
    screen: &mut File,
    prompt: &str,
    words: &[String],
) -> io::Result<Option<String>> {
    editor.begin();
    loop {
        let (columns, _) = termion::terminal_size().unwrap_or((COLUMNS, 0));
        write!(screen, "{}", editor.draw(prompt, usize::from(columns)))?;
        screen.flush()?;
        let Some(key) = keys.next() else {
            return Ok(None);
        };
        match editor.press(key?, words) {
            Pressed::Edited => {}
            Pressed::Choices(words) => write!(screen, "\r\n{}\r\n", words.join("  "))?,
            Pressed::Clear => write!(screen, "\x1b[2J\x1b[H")?,
            Pressed::Line(line) => {
                write!(screen, "\r\n")?;
                return Ok(Some(line));
            }
            Pressed::End => {
                write!(screen, "\r\n")?;
                return Ok(None);
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
