//! Sends a guest's standard output and standard error to the log: line by line,
//! escaped, bounded, and labelled with environment and session.
//!
//! Secrets are redacted on the way by `orwd_redaction`.
//!
//! Writing never fails and never blocks. Output over the limit of an entry, of
//! the session, or of the [rate](super::rate) is dropped, so that a guest that
//! floods its output harms nobody and does not fail. A line counts as the log
//! has it, with what the host adds to it. What is dropped is counted; the count
//! is logged at intervals and at the end. The last standard error output of an entry is kept, logged or
//! not, for the session's owner in case the entry ends the session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use crate::config::InstanceLabel;
use crate::output::rate::{Allowance, GuestLogRate};
use orwd_model::Secrets;
use orwd_redaction::{Redactor, SecretPatterns};

/// A longer line is split into pieces of this many bytes.
const LINE: usize = 4096;

/// Bytes that the host adds to a line, beside the names of the environment and
/// the session.
const LINE_OVERHEAD: usize = 72;

/// The time between two lines that say what was dropped of a session.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes that a guest may write at once.
const CHUNK: usize = 64 * 1024;

/// Bytes of standard error that are kept for the owner.
const LAST_STDERR: usize = 512;

/// The log of one session; clones share it.
#[derive(Clone)]
pub struct GuestLog(Arc<Mutex<Inner>>);

struct Inner {
    label: InstanceLabel,
    per_entry: usize,
    left: usize,
    /// Bytes left for the lifetime of the instance.
    total_left: usize,
    /// Whether output of this entry was dropped.
    cut: bool,
    dropped: Dropped,
    reported: Option<Instant>,
    rate: &'static GuestLogRate,
    allowance: Allowance,
    out: Vec<u8>,
    err: Vec<u8>,
    /// The last bytes written to standard error in this entry.
    last_stderr: Vec<u8>,
    /// One redactor for each stream, if there is anything to redact.
    redactors: Option<[Redactor; 2]>,
}

/// What was dropped since it was last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Dropped {
    lines: u64,
    bytes: u64,
}

/// One of the two standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdStream {
    Out,
    Err,
}

impl StdStream {
    fn name(self) -> &'static str {
        match self {
            StdStream::Out => "stdout",
            StdStream::Err => "stderr",
        }
    }
}

impl GuestLog {
    /// Creates a log that takes `per_entry` bytes for each entry, and `total`
    /// in all.
    pub fn new(label: InstanceLabel, per_entry: usize, total: usize) -> GuestLog {
        GuestLog(Arc::new(Mutex::new(Inner {
            label,
            per_entry,
            left: per_entry,
            total_left: total,
            cut: false,
            dropped: Dropped::default(),
            reported: None,
            rate: GuestLogRate::of_process(),
            allowance: Allowance::default(),
            out: Vec::new(),
            err: Vec::new(),
            last_stderr: Vec::new(),
            redactors: None,
        })))
    }

    /// Returns and clears the last standard error output: whole characters,
    /// trimmed. It may contain anything else, and may only be shown to the
    /// session's owner.
    pub fn take_last_stderr(&self) -> Option<String> {
        let last_stderr = std::mem::take(&mut self.lock().last_stderr);
        if last_stderr.is_empty() {
            return None;
        }
        // A cut may begin in the middle of a character.
        let is_rest = |byte: &&u8| **byte & 0xc0 == 0x80;
        let start = last_stderr.iter().take_while(is_rest).count();
        let text = String::from_utf8_lossy(last_stderr.get(start..).unwrap_or_default());
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Redacts these secrets from all further output.
    pub fn redact(&self, secrets: &Secrets) {
        let redactors = SecretPatterns::new(secrets)
            .map(|patterns| [Redactor::new(patterns.clone()), Redactor::new(patterns)]);
        self.lock().redactors = redactors;
    }

    /// Ends an entry into the guest: logs its incomplete lines, and what was
    /// dropped if that was not said recently, and renews the limit.
    pub fn flush(&self) {
        let mut inner = self.lock();
        inner.end(StdStream::Out);
        inner.end(StdStream::Err);
        inner.cut = false;
        inner.left = inner.per_entry;
        let now = Instant::now();
        if inner
            .reported
            .is_none_or(|reported| now - reported >= REPORT_INTERVAL)
        {
            inner.report(now);
        }
    }

    /// Logs a message of the guest as an entry's standard error.
    pub fn log_stderr(&self, text: &str) {
        self.lock().write(StdStream::Err, text.as_bytes());
        self.flush();
    }

    pub fn stream(&self, stream: StdStream) -> LogStream {
        LogStream {
            log: self.clone(),
            stream,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, stream: StdStream, bytes: &[u8]) {
        if stream == StdStream::Err {
            self.remember_stderr(bytes);
        }
        let waiting = self.out.len() + self.err.len();
        let left = self.left().saturating_sub(waiting);
        let (kept, over) = bytes.split_at(bytes.len().min(left));
        if !over.is_empty() {
            self.drop_output(over);
        }
        match self.redactor(stream) {
            None => self.lines(stream, kept),
            Some(redactor) => {
                let mut clear = Vec::with_capacity(kept.len());
                redactor.feed(kept, &mut clear);
                self.lines(stream, &clear);
            }
        }
    }

    /// Returns the bytes that this entry may still log.
    fn left(&self) -> usize {
        self.left.min(self.total_left)
    }

    fn drop_output(&mut self, bytes: &[u8]) {
        let ends = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.cut = true;
        self.dropped.bytes += bytes.len() as u64;
        self.dropped.lines += ends.max(1);
    }

    /// Logs what was dropped since the last time.
    fn report(&mut self, now: Instant) {
        let Dropped { lines, bytes } = std::mem::take(&mut self.dropped);
        if lines == 0 {
            return;
        }
        self.reported = Some(now);
        let InstanceLabel {
            environment,
            session,
            ..
        } = &self.label;
        tracing::warn!(%environment, %session, lines, bytes, "drop guest output");
    }

    /// Ends an entry for one stream.
    fn end(&mut self, stream: StdStream) {
        let cut = self.cut;
        if let Some(redactor) = self.redactor(stream) {
            let mut clear = Vec::new();
            redactor.finish(cut, &mut clear);
            self.lines(stream, &clear);
        }
        self.emit_rest(stream);
    }

    fn redactor(&mut self, stream: StdStream) -> Option<&mut Redactor> {
        let [out, err] = self.redactors.as_mut()?;
        Some(match stream {
            StdStream::Out => out,
            StdStream::Err => err,
        })
    }

    fn lines(&mut self, stream: StdStream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            for part in piece.chunks(LINE) {
                self.buffer(stream).extend_from_slice(part);
                if part.ends_with(b"\n") || self.buffer(stream).len() >= LINE {
                    self.emit_rest(stream);
                }
            }
        }
    }

    fn remember_stderr(&mut self, bytes: &[u8]) {
        let start = bytes.len().saturating_sub(LAST_STDERR);
        self.last_stderr
            .extend_from_slice(bytes.get(start..).unwrap_or_default());
        let over = self.last_stderr.len().saturating_sub(LAST_STDERR);
        self.last_stderr.drain(..over);
    }

    fn emit_rest(&mut self, stream: StdStream) {
        let line = std::mem::take(self.buffer(stream));
        if line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = escape(text.trim_end_matches(['\r', '\n']));
        let InstanceLabel {
            environment,
            session,
            owner,
        } = &self.label;
        let cost = LINE_OVERHEAD + environment.len() + session.len() + text.len();
        // What is left may be less than the line costs.
        let fits = self.left() > 0;
        let admitted = fits
            && self
                .rate
                .admit(owner, &mut self.allowance, cost as u64, Instant::now());
        if !admitted {
            self.drop_output(&line);
            return;
        }
        self.left = self.left.saturating_sub(cost);
        self.total_left = self.total_left.saturating_sub(cost);
        tracing::info!(
            target: "orwd::guest",
            %environment,
            %session,
            stream = stream.name(),
            "{text}"
        );
    }

    fn buffer(&mut self, stream: StdStream) -> &mut Vec<u8> {
        match stream {
            StdStream::Out => &mut self.out,
            StdStream::Err => &mut self.err,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.report(Instant::now());
    }
}

/// Escapes control characters and line separators, which could steer a terminal
/// or forge a log line.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\t' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// An open output stream of a guest.
pub struct LogStream {
    log: GuestLog,
    stream: StdStream,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    /// Used only by WASI 0.3, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.log.stream(self.stream))
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        if bytes.len() > CHUNK {
            let error = "more bytes written to a stream than `check-write` allows";
            return Err(StreamError::trap(error));
        }
        self.log.lock().write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(CHUNK)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> InstanceLabel {
        InstanceLabel {
            environment: "env".into(),
            session: "s".into(),
            owner: "o".into(),
        }
    }

    #[test]
    fn escaping_keeps_text_and_disarms_control_characters() {
        for (text, expected) in [
            ("plain é 漢\t.", "plain é 漢\t."),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\rb\u{85}c\u{2028}d", "a\\rb\\u{85}c\\u{2028}d"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn output_over_the_limit_is_counted_and_dropped() {
        let log = GuestLog::new(label(), 10, 14 + LINE_OVERHEAD);
        log.lock().write(StdStream::Out, b"0123456789abc");
        let state = || {
            let inner = log.lock();
            (inner.left, inner.dropped.bytes, inner.out.len())
        };
        assert_eq!(state(), (10, 3, 10));
        log.flush();
        // The count was logged, as the first one.
        assert_eq!(state(), (10, 0, 0));
        // Of the total the line has left nothing.
        assert_eq!(log.lock().total_left, 0);
        log.lock().write(StdStream::Out, b"0123456789");
        assert_eq!(state(), (10, 10, 0));
        log.flush();
        // The next count waits for the interval, or for the end.
        assert_eq!(state(), (10, 10, 0));
    }

    #[test]
    fn empty_lines_cost_what_they_take_in_the_log() {
        let per_entry = 4096;
        let log = GuestLog::new(label(), per_entry, usize::MAX);
        log.lock().write(StdStream::Out, &[b'\n'; 60_000]);
        let inner = log.lock();
        assert_eq!(inner.left, 0);
        let fit = per_entry / LINE_OVERHEAD;
        let logged = 60_000 - usize::try_from(inner.dropped.lines).unwrap();
        assert!((fit / 2..=fit).contains(&logged), "{logged} lines");
    }

    #[test]
    fn a_session_over_its_rate_is_dropped_and_counted() {
        static SLOW: std::sync::LazyLock<GuestLogRate> =
            std::sync::LazyLock::new(|| GuestLogRate::new(100));
        let log = GuestLog::new(label(), usize::MAX, usize::MAX);
        log.lock().rate = std::sync::LazyLock::force(&SLOW);
        log.lock().write(StdStream::Out, &[b'\n'; 1000]);
        let inner = log.lock();
        assert!(inner.dropped.lines > 900, "{:?}", inner.dropped);
        assert_eq!(inner.dropped.lines, inner.dropped.bytes);
    }

    #[test]
    fn a_line_without_an_end_does_not_grow() {
        let log = GuestLog::new(label(), usize::MAX, usize::MAX);
        for _ in 0..100 {
            log.lock().write(StdStream::Err, &[b'x'; 1000]);
            assert!(log.lock().err.len() < LINE);
        }
    }

    #[test]
    fn the_last_standard_error_is_whole_characters() {
        let log = GuestLog::new(label(), 0, 0);
        let last_stderr = |pieces: &[&str]| {
            for piece in pieces {
                log.lock().write(StdStream::Err, piece.as_bytes());
            }
            log.take_last_stderr()
        };
        assert_eq!(last_stderr(&[]), None);
        assert_eq!(last_stderr(&[" \n"]), None);
        assert_eq!(
            last_stderr(&["one\n", "two\n"]).as_deref(),
            Some("one\ntwo")
        );
        assert_eq!(last_stderr(&[]), None);
        // 513 bytes, of which the first two are one character.
        let long = format!("\u{e9}{}", "x".repeat(511));
        assert_eq!(last_stderr(&[&long]).unwrap(), "x".repeat(511));
        assert_eq!(
            last_stderr(&["a", &"y".repeat(2000)]).unwrap(),
            "y".repeat(512)
        );
        log.lock().write(StdStream::Out, b"not kept");
        assert_eq!(log.take_last_stderr(), None);
    }
}
