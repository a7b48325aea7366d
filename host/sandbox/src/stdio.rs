//! Where a guest's standard output and standard error go: to the log, line by
//! line, escaped and bounded, named with its environment and session.
//!
//! The session's secrets are taken out on the way (see [`super::scrub`]).
//!
//! Writing never fails and never blocks: what is over the allowance of one
//! entry into the guest is counted and dropped, so that a guest that floods
//! its output harms nobody, and one that prints a lot does not die of it. The
//! last it said on standard error in an entry is kept, whether or not it was
//! logged, for the session's owner to read if that entry ends the session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use super::Label;
use super::scrub::{Filter, Needles};
use orwd_model::Secrets;

/// A longer line is cut into pieces of this many bytes.
const LINE: usize = 4096;

/// What a guest may hand over at once.
const CHUNK: usize = 64 * 1024;

/// Bytes of last words.
const WORDS: usize = 512;

/// The log of one session; clones share it.
#[derive(Clone)]
pub struct GuestLog(Arc<Mutex<Inner>>);

struct Inner {
    label: Label,
    allowance: usize,
    left: usize,
    /// What is left of the allowance of the instance's whole life.
    left_in_all: usize,
    dropped: usize,
    out: Vec<u8>,
    err: Vec<u8>,
    /// The end of what was written to standard error in this entry.
    words: Vec<u8>,
    /// Of both streams, if there is anything to be taken out.
    filters: Option<[Filter; 2]>,
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
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
    /// A log that takes so many bytes for each entry, and so many in all.
    pub fn new(label: Label, allowance: usize, in_all: usize) -> GuestLog {
        GuestLog(Arc::new(Mutex::new(Inner {
            label,
            allowance,
            left: allowance,
            left_in_all: in_all,
            dropped: 0,
            out: Vec::new(),
            err: Vec::new(),
            words: Vec::new(),
            filters: None,
        })))
    }

    /// The last that was said on standard error since this was asked before:
    /// whole characters, without white space around them. It may hold anything
    /// else, and it belongs to the session's owner.
    pub fn take_words(&self) -> Option<String> {
        let words = std::mem::take(&mut self.lock().words);
        if words.is_empty() {
            return None;
        }
        // What was cut may begin in the middle of a character.
        let is_rest = |byte: &&u8| **byte & 0xc0 == 0x80;
        let start = words.iter().take_while(is_rest).count();
        let text = String::from_utf8_lossy(words.get(start..).unwrap_or_default());
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// From here on these secrets are taken out of what is written.
    pub fn hide(&self, secrets: &Secrets) {
        let filters = Needles::new(secrets)
            .map(|needles| [Filter::new(needles.clone()), Filter::new(needles)]);
        self.lock().filters = filters;
    }

    /// The end of one entry into the guest: writes what is left of its last
    /// lines, says how much was dropped and renews the allowance.
    pub fn flush(&self) {
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

    /// Logs what the guest said otherwise, as if it were an entry of its own
    /// that wrote it to standard error.
    pub fn say(&self, text: &str) {
        self.lock().write(Stream::Err, text.as_bytes());
        self.flush();
    }

    pub fn stream(&self, stream: Stream) -> Writer {
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
        if stream == Stream::Err {
            self.remember(bytes);
        }
        let left = self.left.min(self.left_in_all);
        let (kept, over) = bytes.split_at(bytes.len().min(left));
        self.left -= kept.len();
        self.left_in_all -= kept.len();
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

    fn remember(&mut self, bytes: &[u8]) {
        let start = bytes.len().saturating_sub(WORDS);
        self.words
            .extend_from_slice(bytes.get(start..).unwrap_or_default());
        let over = self.words.len().saturating_sub(WORDS);
        self.words.drain(..over);
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
pub struct Writer {
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
        let log = GuestLog::new(label, 10, 14);
        log.lock().write(Stream::Out, b"0123456789abc");
        let state = || {
            let inner = log.lock();
            (inner.left, inner.dropped, inner.out.len())
        };
        assert_eq!(state(), (0, 3, 10));
        log.flush();
        assert_eq!(state(), (10, 0, 0));
        // Four are left of all.
        log.lock().write(Stream::Out, b"0123456789");
        assert_eq!(state(), (6, 6, 4));
        log.flush();
        log.lock().write(Stream::Out, b"0");
        assert_eq!(state(), (10, 1, 0));
    }

    #[test]
    fn a_line_without_an_end_does_not_grow() {
        let label = Label {
            environment: "env".into(),
            session: "s".into(),
        };
        let log = GuestLog::new(label, usize::MAX, usize::MAX);
        for _ in 0..100 {
            log.lock().write(Stream::Err, &[b'x'; 1000]);
            assert!(log.lock().err.len() < LINE);
        }
    }

    #[test]
    fn the_last_words_are_whole_characters_of_standard_error() {
        let label = Label {
            environment: "env".into(),
            session: "s".into(),
        };
        let log = GuestLog::new(label, 0, 0);
        let said = |pieces: &[&str]| {
            for piece in pieces {
                log.lock().write(Stream::Err, piece.as_bytes());
            }
            log.take_words()
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[" \n"]), None);
        assert_eq!(said(&["one\n", "two\n"]).as_deref(), Some("one\ntwo"));
        assert_eq!(said(&[]), None);
        // 513 bytes, of which the first two are one character.
        let long = format!("\u{e9}{}", "x".repeat(511));
        assert_eq!(said(&[&long]).unwrap(), "x".repeat(511));
        assert_eq!(said(&["a", &"y".repeat(2000)]).unwrap(), "y".repeat(512));
        log.lock().write(Stream::Out, b"no words");
        assert_eq!(log.take_words(), None);
    }
}
