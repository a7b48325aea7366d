//! The log on standard error, as text or JSON.
//!
//! A thread writes the lines, so a request never waits for the reader of the
//! log. If the reader is too slow, lines are dropped and counted, those of
//! guests first; see [`log_queue`](super::log_queue). Before that thread starts,
//! lines are written directly.

use std::io::{self, Stderr, Write};
use std::sync::{Arc, OnceLock};

use anstream::{AutoStream, ColorChoice};
use orwd_config::{LogFlags, LogFormat};
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::error::CommandError;
use super::log_queue::{Lane, LogQueue, LogThread};

/// The target of what guests print.
const GUEST_TARGET: &str = "orwd::guest";

/// Handle of the log. Dropping it writes the queued lines.
pub(crate) struct Log {
    output: LogOutput,
    thread: Option<LogThread>,
}

/// Output of log lines: the thread's queue once it runs, before that standard
/// error.
#[derive(Clone, Default)]
struct LogOutput(Arc<OnceLock<LogQueue>>);

/// Writer of one line.
enum LineWriter {
    Queue(LogQueue, Lane),
    Direct(Stderr),
}

impl Log {
    /// Returns a log that is off.
    pub(crate) fn none() -> Log {
        Log {
            output: LogOutput::default(),
            thread: None,
        }
    }

    /// Returns the number of lines that are dropped, also later.
    pub(crate) fn dropped_lines(&self) -> DroppedLines {
        DroppedLines(self.output.clone())
    }

    /// Starts the thread that writes.
    pub(crate) fn start_thread(&mut self) {
        match LogQueue::start(io::stderr()) {
            Ok((queue, thread)) => {
                if self.output.0.set(queue).is_ok() {
                    self.thread = Some(thread);
                }
            }
            Err(error) => tracing::warn!(%error, "cannot start the thread of the log"),
        }
    }
}

/// The number of log lines that were dropped.
pub(crate) struct DroppedLines(LogOutput);

impl DroppedLines {
    /// Returns the numbers for lines of the host and for those of guests.
    pub(crate) fn get(&self) -> (u64, u64) {
        self.0.0.get().map_or((0, 0), LogQueue::dropped)
    }
}

impl LogOutput {
    fn writer(&self, lane: Lane) -> LineWriter {
        match self.0.get() {
            Some(queue) => LineWriter::Queue(queue.clone(), lane),
            None => LineWriter::Direct(io::stderr()),
        }
    }
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        self.writer(Lane::Host)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter {
        self.writer(match metadata.target() {
            GUEST_TARGET => Lane::Guest,
            _ => Lane::Host,
        })
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            LineWriter::Queue(queue, lane) => {
                queue.push(*lane, bytes);
                Ok(bytes.len())
            }
            LineWriter::Direct(stderr) => stderr.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            LineWriter::Queue(..) => Ok(()),
            LineWriter::Direct(stderr) => stderr.flush(),
        }
    }
}

/// Starts the log with the filter of the flags, or else with the default.
pub(crate) fn start(flags: &LogFlags, default: &str) -> Result<Log, CommandError> {
    let filter = flags.log.as_deref().filter(|filter| !filter.is_empty());
    let filter = parse_filter(filter.unwrap_or(default))?;
    let handle = Log::none();
    let colours = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(handle.output.clone())
        .with_ansi(colours);
    let started = match flags.log_format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    match started {
        Ok(()) => Ok(handle),
        Err(error) => Err(CommandError::new(format!("cannot start the log: {error}"))),
    }
}

fn parse_filter(text: &str) -> Result<EnvFilter, CommandError> {
    // `EnvFilter` takes a single word that is not a level as a module. A
    // mistyped level would so silence everything else.
    let lone = |word: &&str| !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err();
    let mistyped = text.split(',').map(str::trim).find(lone);
    match (mistyped, EnvFilter::try_new(text)) {
        (None, Ok(filter)) => Ok(filter),
        _ => Err(CommandError::usage(format!(
            "invalid --log filter {text:?}: expected a level (off, error, warn, info, debug, \
             trace), or levels by module such as warn,orwd_session=debug"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_filters() {
        for (text, fine) in [
            ("info", true),
            ("warn,orwd_session=debug", true),
            ("INFO", true),
            ("off", true),
            ("inof", false),
            ("orwd=loud", false),
        ] {
            assert_eq!(parse_filter(text).is_ok(), fine, "{text}");
        }
    }
}
