//! The log: on standard error, as lines for people or as JSON.
//!
//! Lines are written by a thread of their own: a request never waits for
//! whoever reads the log. If nobody takes the lines, some are lost, and the
//! server goes on. Until that thread may begin, whoever logs writes.

use std::io::{self, Stderr, Write};
use std::sync::{Arc, OnceLock};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::Failure;
use super::terminal::Paint;
use orwd_config::{LogFlags, LogFormat};

/// The log, as long as it is kept. What is still to be written is written when
/// it is dropped.
pub(super) struct Log {
    way: Way,
    thread: Option<WorkerGuard>,
}

/// How lines get to standard error: by the thread, once there is one.
#[derive(Clone, Default)]
struct Way(Arc<OnceLock<NonBlocking>>);

/// Where one line goes.
enum Line {
    Queued(NonBlocking),
    Now(Stderr),
}

impl Log {
    /// No log at all.
    pub(super) fn none() -> Log {
        Log {
            way: Way::default(),
            thread: None,
        }
    }

    /// Starts the thread.
    pub(super) fn queue(&mut self) {
        let (writer, guard) = NonBlockingBuilder::default()
            .thread_name("orwd-log")
            .finish(io::stderr());
        if self.way.0.set(writer).is_ok() {
            self.thread = Some(guard);
        }
    }
}

impl<'a> MakeWriter<'a> for Way {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        match self.0.get() {
            Some(queue) => Line::Queued(queue.clone()),
            None => Line::Now(io::stderr()),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Line::Queued(queue) => queue.write(bytes),
            Line::Now(stderr) => stderr.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Line::Queued(queue) => queue.flush(),
            Line::Now(stderr) => stderr.flush(),
        }
    }
}

/// Starts the log with what the flags say, or with what the command usually
/// logs.
pub(super) fn start(flags: &LogFlags, usual: &str) -> Result<Log, Failure> {
    let wanted = flags.log.as_deref().filter(|filter| !filter.is_empty());
    let filter = filter(wanted.unwrap_or(usual))?;
    let kept = Log::none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(kept.way.clone())
        .with_ansi(Paint::stderr() == Paint::Colours);
    let started = match flags.log_format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    match started {
        Ok(()) => Ok(kept),
        Err(error) => Err(Failure::new(format!("the log cannot be started: {error}"))),
    }
}

fn filter(text: &str) -> Result<EnvFilter, Failure> {
    // A lone word that is no level counts as a module with everything logged,
    // so that a mistyped level would silence all the rest.
    let lone = |word: &&str| !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err();
    let mistyped = text.split(',').map(str::trim).find(lone);
    match (mistyped, EnvFilter::try_new(text)) {
        (None, Ok(filter)) => Ok(filter),
        _ => Err(Failure::usage(format!(
            "--log {text:?} is no filter: say a level (off, error, warn, info, debug, trace), \
             or levels by module such as warn,orwd_session=debug"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for (text, fine) in [
            ("info", true),
            ("warn,orwd_session=debug", true),
            ("INFO", true),
            ("off", true),
            ("inof", false),
            ("orwd=loud", false),
        ] {
            assert_eq!(filter(text).is_ok(), fine, "{text}");
        }
    }
}
