//! Where a guest's standard output and standard error go: to the log, line by
//! line, escaped and bounded, named with its environment and session.
//!
//! The session's secrets are taken out on the way (see [`super::scrub`]).
//!
//! Writing never fails and never blocks: what is over the allowance of one
//! entry into the guest is counted and dropped, so that a guest that floods
//! its output harms nobody, and one that prints a lot does not die of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use super::Label;
use super::scrub::{Filter, Needles};
use crate::model::Secrets;

/// A longer line is cut into pieces of this many bytes.
const LINE: usize = 4096;

/// What a guest may hand over at once.
const CHUNK: usize = 64 * 1024;

/// The log of one session; clones share it.
#[derive(Clone)]
pub(crate) struct GuestLog(Arc<Mutex<Inner>>);

struct Inner {
    label: Label,
    allowance: usize,
    left: usize,
    dropped: usize,
    out: Vec<u8>,
    err: Vec<u8>,
    /// Of both streams, if there is anything to be taken out.
    filters: Option<[Filter; 2]>,
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        }
    }
}

impl GuestLog {
    pub(crate) fn new(label: Label, allowance: usize) -> GuestLog {
        GuestLog(Arc::new(Mutex::new(Inner {
            label,
            allowance,
            left: allowance,
            dropped: 0,
            out: Vec::new(),
            err: Vec::new(),
            filters: None,
        })))
    }

    /// From here on these secrets are taken out of what is written.
    pub(crate) fn hide(&self, secrets: &Secrets) {
        let filters = Needles::new(secrets)
            .map(|needles| [Filter::new(needles.clone()), Filter::new(needles)]);
        self.lock().filters = filters;
    }

    /// The end of one entry into the guest: writes what is left of its last
    /// lines, says how much was dropped and renews the allowance.
    pub(crate) fn flush(&self) {
        let mut inner = self.lock();
        inner.end(Stream::Out);
        inner.end(Stream::Err);
        if inner.dropped > 0 {
            let Label {
                environment,
                session,
            } = &inner.label;
            tracing::warn!(
                target: "orwd::guest",
                %environment,
                %session,
                bytes = inner.dropped,
                "guest output over its limit was dropped"
            );
        }
        inner.dropped = 0;
        inner.left = inner.allowance;
    }

    pub(crate) fn stream(&self, stream: Stream) -> Writer {
        Writer {
            log: self.clone(),
            stream,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let (kept, over) = bytes.split_at(bytes.len().min(self.left));
        self.left -= kept.len();
        self.dropped += over.len();
        match self.filter(stream) {
            None => self.lines(stream, kept),
            Some(filter) => {
                let mut clear = Vec::with_capacity(kept.len());
                filter.pass(kept, &mut clear);
                self.lines(stream, &clear);
            }
        }
    }

    /// The end of one entry, for one stream.
    fn end(&mut self, stream: Stream) {
        let cut = self.dropped > 0;
        if let Some(filter) = self.filter(stream) {
            let mut clear = Vec::new();
            filter.finish(cut, &mut clear);
            self.lines(stream, &clear);
        }
        self.emit_rest(stream);
    }

    fn filter(&mut self, stream: Stream) -> Option<&mut Filter> {
        let [out, err] = self.filters.as_mut()?;
        Some(match stream {
            Stream::Out => out,
            Stream::Err => err,
        })
    }

    fn lines(&mut self, stream: Stream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            for part in piece.chunks(LINE) {
                self.buffer(stream).extend_from_slice(part);
                if part.ends_with(b"\n") || self.buffer(stream).len() >= LINE {
                    self.emit_rest(stream);
                }
            }
        }
    }

    fn emit_rest(&mut self, stream: Stream) {
        let line = std::mem::take(self.buffer(stream));
        if line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = escape(text.trim_end_matches(['\r', '\n']));
        let Label {
            environment,
            session,
        } = &self.label;
        tracing::info!(
            target: "orwd::guest",
            %environment,
            %session,
            stream = stream.name(),
            "{text}"
        );
    }

    fn buffer(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }
}

/// Leaves text readable and takes the power from everything that could steer a
/// terminal or forge a line.
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

/// One open stream of a guest.
pub(crate) struct Writer {
    log: GuestLog,
    stream: Stream,
}

impl IsTerminal for Writer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Writer {
    /// Only for WASI 0.3, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.log.stream(self.stream))
    }
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
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
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_keeps_words_and_disarms_controls() {
        for (text, expected) in [
            ("plain é 漢\t.", "plain é 漢\t."),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\rb\u{85}c\u{2028}d", "a\\rb\\u{85}c\\u{2028}d"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn what_is_over_the_allowance_is_counted_and_dropped() {
        let label = Label {
            environment: "env".into(),
            session: "s".into(),
        };
        let log = GuestLog::new(label, 10);
        log.lock().write(Stream::Out, b"0123456789abc");
        let state = || {
            let inner = log.lock();
            (inner.left, inner.dropped, inner.out.len())
        };
        assert_eq!(state(), (0, 3, 10));
        log.flush();
        assert_eq!(state(), (10, 0, 0));
    }

    #[test]
    fn a_line_without_an_end_does_not_grow() {
        let label = Label {
            environment: "env".into(),
            session: "s".into(),
        };
        let log = GuestLog::new(label, usize::MAX);
        for _ in 0..100 {
            log.lock().write(Stream::Err, &[b'x'; 1000]);
            assert!(log.lock().err.len() < LINE);
        }
    }
}
