//! The log: on standard error, as lines for people or as JSON.
//!
//! Lines are written by a thread of their own: a request never waits for
//! whoever reads the log. If nobody takes the lines, some are lost, and the
//! server goes on.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::Failure;
use super::terminal::Paint;
use crate::config::{LogFlags, LogFormat};

/// Starts the log with what the flags say, or with what the command usually
/// logs. What is still to be written is written when the guard is dropped.
pub(super) fn start(flags: &LogFlags, usual: &str) -> Result<WorkerGuard, Failure> {
    let wanted = flags.log.as_deref().filter(|filter| !filter.is_empty());
    let filter = filter(wanted.unwrap_or(usual))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .thread_name("orwd-log")
        .finish(std::io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(Paint::stderr() == Paint::Colours);
    let started = match flags.log_format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    match started {
        Ok(()) => Ok(guard),
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
             or levels by module such as warn,orwd::session=debug"
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
            ("warn,orwd::session=debug", true),
            ("INFO", true),
            ("off", true),
            ("inof", false),
            ("orwd=loud", false),
        ] {
            assert_eq!(filter(text).is_ok(), fine, "{text}");
        }
    }
}
