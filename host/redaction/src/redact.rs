//! Redacts the secrets of a session from a stream.
//!
//! The output of a guest goes to the host's log, whose readers may not see the
//! secrets, and a response goes to a guest that may not see them. So
//! each value is searched for in the stream, as it is and in the encodings that
//! ordinary code produces (base64, hexadecimal, percent-encoding, JSON
//! escapes), across write boundaries, and replaced by `[secret]`. Bytes that
//! may begin a secret are held back until that is decided.
//!
//! This protects against carelessness only. A guest that wants its secret in
//! the log can encode it differently, or split it over two calls.
//!
//! The search is our own: the libraries for many patterns replace in a reader
//! until its end. They cannot hold bytes back between writes, and do not
//! zeroize their patterns. The cost is one step per byte and pattern, for any
//! output.

use std::fmt;

use zeroize::Zeroizing;

use crate::patterns::SecretPatterns;

/// The replacement of a secret.
const PLACEHOLDER: &[u8] = b"[secret]";

/// The state of one pattern's search.
#[derive(Clone, Copy, Default)]
struct MatchState {
    matched: usize,
    /// The stream offset after the last complete match.
    found: u64,
}

/// The redaction of one stream.
pub struct Redactor {
    patterns: SecretPatterns,
    states: Vec<MatchState>,
    /// Bytes held back, since they may be part of a secret.
    pending: Zeroizing<Vec<u8>>,
    /// Which of these bytes are known to be part of one.
    secret: Vec<bool>,
    /// The number of bytes received.
    seen: u64,
    /// Whether the last byte emitted was part of a secret.
    marked: bool,
}

impl Redactor {
    /// Begins a stream.
    pub fn new(patterns: SecretPatterns) -> Redactor {
        Redactor {
            states: vec![MatchState::default(); patterns.iter().len()],
            patterns,
            pending: Zeroizing::default(),
            secret: Vec::new(),
            seen: 0,
            marked: false,
        }
    }

    /// Receives bytes, and emits those that cannot begin a secret.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.pending.push(byte);
            self.secret.push(false);
            self.seen += 1;
            for (pattern, state) in self.patterns.iter().zip(&mut self.states) {
                state.matched = pattern.step(state.matched, byte);
                if state.matched < pattern.len() {
                    continue;
                }
                // Bytes marked by an overlapping match are marked already.
                let new = usize::try_from(self.seen - state.found).unwrap_or(usize::MAX);
                let marks = self.secret.iter_mut().rev();
                marks
                    .take(new.min(pattern.len()))
                    .for_each(|mark| *mark = true);
                state.found = self.seen;
                state.matched = pattern.overlap();
            }
        }
        let matched = self.states.iter().map(|state| state.matched);
        let keep = matched.max().unwrap_or(0);
        self.emit(self.pending.len().saturating_sub(keep), out);
    }

    /// Ends the stream: emits the rest, unless the stream was `cut` by a limit,
    /// in which case the rest may be the beginning of a secret.
    pub fn finish(&mut self, cut: bool, out: &mut Vec<u8>) {
        if !cut {
            self.emit(self.pending.len(), out);
        }
        self.pending.clear();
        self.secret.clear();
        self.states.fill(MatchState::default());
        self.seen = 0;
        self.marked = false;
    }

    /// Redacts a whole text.
    pub fn redact(patterns: &SecretPatterns, bytes: &[u8]) -> Vec<u8> {
        let mut redactor = Redactor::new(patterns.clone());
        let mut out = Vec::with_capacity(bytes.len());
        redactor.feed(bytes, &mut out);
        redactor.finish(false, &mut out);
        out
    }

    fn emit(&mut self, count: usize, out: &mut Vec<u8>) {
        let secret = self.secret.drain(..count);
        for (byte, secret) in self.pending.drain(..count).zip(secret) {
            if !secret {
                out.push(byte);
            } else if !self.marked {
                out.extend_from_slice(PLACEHOLDER);
            }
            self.marked = secret;
        }
    }
}

// Shows nothing of the stream.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({:?})", self.patterns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    use orwd_model::{Secret, Secrets};

    use super::*;

    fn patterns(values: &[&str]) -> Option<SecretPatterns> {
        let secret =
            |value: &&str| Secret::new("K".to_owned(), Zeroizing::new((*value).to_owned()));
        SecretPatterns::new(&Secrets::new(values.iter().map(secret).collect()))
    }

    /// Redacts `text`, written in pieces of this size.
    fn redacted(values: &[&str], text: &str, piece: usize) -> String {
        let mut redactor = Redactor::new(patterns(values).expect("something to look for"));
        let mut out = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            redactor.feed(bytes, &mut out);
        }
        redactor.finish(false, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_redacted_across_any_write_boundaries() {
        for (values, text, expected) in [
            (&["hunter2!"][..], "key: hunter2!\n", "key: [secret]\n"),
            (&["hunter2!"], "hunter2hunter2!!", "hunter2[secret]!"),
            (&["hunter2!"], "hunter2", "hunter2"),
            (&["hunter2!"], "hunter2!hunter2!", "[secret]"),
            (&["abab"], "xababab.", "x[secret]."),
            (&["aaaa"], "aaaaaaa.aaa", "[secret].aaa"),
            (&["abcd", "bcde"], "_abcde_", "_[secret]_"),
            (&["inner", "an inner one"], "an inner one", "[secret]"),
            (
                &["inner", "an inner one"],
                "an inner two",
                "an [secret] two",
            ),
            (&["  padded\n"], "padded", "[secret]"),
            (&["abc", "long enough"], "abc", "abc"),
            (
                &["Zürich ist schön"],
                "in Zürich ist schön.",
                "in [secret].",
            ),
            (
                &["first line of a key\nsecond line of it"],
                "> first line of a key\n> second line of it",
                "> [secret]\n> [secret]",
            ),
        ] {
            for piece in [1, 2, 3, 5, 1000] {
                assert_eq!(redacted(values, text, piece), expected, "{piece}: {text}");
            }
        }
        assert!(patterns(&[]).is_none() && patterns(&["", "abc", " a\n"]).is_none());
    }

    #[test]
    fn a_secret_is_redacted_in_its_usual_encodings() {
        let value = "p@ss/wörd \"+\" ¿?~";
        let encode = |text: &str| STANDARD_NO_PAD.encode(text);
        let hex = |upper: bool| -> String {
            let digit = |b: u8| {
                if upper {
                    format!("{b:02X}")
                } else {
                    format!("{b:02x}")
                }
            };
            value.bytes().map(digit).collect()
        };
        let in_json = serde_json::to_string(value).unwrap();
        for text in [
            encode(value),
            encode(&format!("user:{value}")),
            encode(&format!("a:{value}:b")),
            encode(&format!("bb:{value}:c")),
            URL_SAFE_NO_PAD.encode(value),
            hex(false),
            hex(true),
            "p%40ss%2Fw%C3%B6rd%20%22%2B%22%20%C2%BF%3F~".to_owned(),
            "p%40ss%2fw%c3%b6rd%20%22%2b%22%20%c2%bf%3f~".to_owned(),
            in_json,
            "p@ss/w\\u00f6rd \\\"+\\\" \\u00bf?~".to_owned(),
        ] {
            let left = redacted(&[value], &format!("<{text}>"), 7);
            assert!(left.contains("[secret]"), "{text} gave {left}");
            // The ends of base64 also encode the neighbouring bytes.
            assert!(left.len() <= "<[secret]>".len() + 12, "{text} gave {left}");
        }
    }

    #[test]
    fn a_possible_beginning_is_held_back() {
        let mut redactor = Redactor::new(patterns(&["hunter2!"]).unwrap());
        let mut out = Vec::new();
        redactor.feed(b"is hunt", &mut out);
        assert_eq!(out, b"is ");
        redactor.feed(b"ing", &mut out);
        assert_eq!(out, b"is hunting");
        redactor.feed(b" hunter2", &mut out);
        assert_eq!(out, b"is hunting ");
        // The rest was over the limit, and may have completed the secret.
        redactor.finish(true, &mut out);
        assert_eq!(out, b"is hunting ");
        redactor.feed(b"!", &mut out);
        assert_eq!(out, b"is hunting !");
    }

    proptest! {
        #[test]
        fn everything_else_is_unchanged(
            value in "[ab]{4,9}",
            text in "[abc]{0,60}",
            piece in 1usize..8,
        ) {
            let left = redacted(&[&value], &text, piece);
            prop_assert!(!left.contains(&value));
            // Every byte outside of an occurrence is kept.
            let mut secret = vec![false; text.len()];
            for (at, _) in text.char_indices() {
                if text[at..].starts_with(&value) {
                    secret[at..at + value.len()].fill(true);
                }
            }
            let mut expected = String::new();
            for (at, c) in text.char_indices() {
                if !secret[at] {
                    expected.push(c);
                } else if at == 0 || !secret[at - 1] {
                    expected.push_str("[secret]");
                }
            }
            prop_assert_eq!(left, expected);
        }
    }
}
