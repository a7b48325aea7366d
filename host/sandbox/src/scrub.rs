//! Takes the secrets of a session out of what its guest prints.
//!
//! What a guest prints goes to the host's log, which others read than the
//! secrets' owner. So each value is looked for in the stream, as it is and in
//! the forms that ordinary code gives it (base64, hexadecimal, as in a URL, as
//! in JSON), wherever the guest cut its writes, and `[secret]` stands in its
//! place. Bytes that may be the beginning of one are held back until it is
//! known.
//!
//! This guards against carelessness. A guest that wants its secret in the log
//! can spell it in ways that nobody looks for, or over two calls.
//!
//! The cost is a step for each byte and form, however the guest chooses what
//! it prints.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use orwd_model::Secrets;

/// What stands in the place of a secret.
const MARK: &[u8] = b"[secret]";

/// A shorter value would be found everywhere, and is not looked for.
const LEAST: usize = 4;

/// A shorter value is looked for as it is alone.
const LEAST_CODED: usize = 8;

/// A shorter line of a value is not looked for by itself.
const LEAST_LINE: usize = 16;

/// Forms beyond this many are not looked for; the values themselves always
/// are.
const MOST_FORMS: usize = 256;

/// One text to be found: bytes, and for each of their beginnings the length of
/// the longest other beginning that it ends with.
struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    shorter: Vec<usize>,
}

impl Needle {
    fn new(bytes: Zeroizing<Vec<u8>>) -> Needle {
        let mut needle = Needle {
            shorter: Vec::with_capacity(bytes.len()),
            bytes,
        };
        let mut length = 0;
        for at in 0..needle.bytes.len() {
            if let (1.., Some(&byte)) = (at, needle.bytes.get(at)) {
                length = needle.step(length, byte);
            }
            needle.shorter.push(length);
        }
        needle
    }

    /// How much of the beginning is matched after one more byte, if so much
    /// was before.
    fn step(&self, mut matched: usize, byte: u8) -> usize {
        while self.bytes.get(matched) != Some(&byte) {
            match matched.checked_sub(1) {
                Some(last) => matched = self.shorter.get(last).copied().unwrap_or(0),
                None => return 0,
            }
        }
        matched + 1
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// How far one needle is matched.
#[derive(Clone, Copy, Default)]
struct Track {
    matched: usize,
    /// The byte of the stream behind the last whole match.
    found: u64,
}

/// All that is to be found in the output of one session.
#[derive(Clone)]
pub(super) struct Needles(Arc<[Needle]>);

impl Needles {
    /// None if there is nothing to look for.
    pub(super) fn new(secrets: &Secrets) -> Option<Needles> {
        // Whoever prints a value seldom prints the white space around it.
        let values = || {
            let values = secrets.iter().map(|secret| secret.expose().trim());
            values.filter(|value| value.len() >= LEAST)
        };
        let mut needles: Vec<Needle> = values().map(|value| Needle::new(owned(value))).collect();
        for form in values().flat_map(forms).take(MOST_FORMS) {
            if needles.iter().all(|needle| needle.bytes != form) {
                needles.push(Needle::new(form));
            }
        }
        (!needles.is_empty()).then(|| Needles(needles.into()))
    }
}

fn owned(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// What ordinary code makes of a value.
fn forms(value: &str) -> Vec<Zeroizing<Vec<u8>>> {
    if value.len() < LEAST_CODED {
        return Vec::new();
    }
    let bytes = value.as_bytes();
    let mut texts: Vec<Zeroizing<String>> = Vec::new();
    // A value in the middle of something encoded begins at one of three places
    // of a group; the characters at its ends depend on what is around it.
    for (before, unclear) in [(0, 0), (1, 2), (2, 3)] {
        let mut padded = Zeroizing::new(vec![0; before]);
        padded.extend_from_slice(bytes);
        for text in [
            STANDARD_NO_PAD.encode(&*padded),
            URL_SAFE_NO_PAD.encode(&*padded),
        ] {
            let text = Zeroizing::new(text);
            let clear = padded.len() * 8 / 6;
            let core = text.get(unclear..clear).unwrap_or_default();
            texts.push(Zeroizing::new(core.to_owned()));
        }
    }
    let written = |write: &dyn Fn(&mut String)| {
        // Room for the longest form, so that it is not moved.
        let mut text = Zeroizing::new(String::with_capacity(value.len() * 6));
        write(&mut text);
        text
    };
    let (lower, upper) = ("0123456789abcdef", "0123456789ABCDEF");
    for digits in [lower, upper] {
        texts.push(written(&|out| {
            bytes.iter().for_each(|b| hexadecimal(out, *b, digits));
        }));
        texts.push(written(&|out| {
            for byte in bytes {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
                    out.push(char::from(*byte));
                } else {
                    out.push('%');
                    hexadecimal(out, *byte, digits);
                }
            }
        }));
    }
    texts.push(written(&|out| {
        value.chars().for_each(|c| json(out, c, false))
    }));
    texts.push(written(&|out| {
        value.chars().for_each(|c| json(out, c, true))
    }));
    let lines = value.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= LEAST_LINE).map(owned);
    texts.iter().map(|text| owned(text)).chain(lines).collect()
}

fn hexadecimal(out: &mut String, byte: u8, digits: &str) {
    for half in [byte >> 4, byte & 15] {
        out.extend(digits.chars().nth(usize::from(half)));
    }
}

/// A character as in a string of JSON, which may have to be ASCII.
fn json(out: &mut String, c: char, ascii: bool) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_ascii_control() || (ascii && !c.is_ascii()) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        c => out.push(c),
    }
}

/// One stream on its way through.
pub(super) struct Filter {
    needles: Needles,
    tracks: Vec<Track>,
    /// What came and may yet be part of a secret.
    held: Zeroizing<Vec<u8>>,
    /// Which of these bytes are known to be.
    secret: Vec<bool>,
    /// The bytes that came in all.
    seen: u64,
    /// Whether the last byte let go was part of a secret.
    marked: bool,
}

impl Filter {
    pub(super) fn new(needles: Needles) -> Filter {
        Filter {
            tracks: vec![Track::default(); needles.0.len()],
            needles,
            held: Zeroizing::default(),
            secret: Vec::new(),
            seen: 0,
            marked: false,
        }
    }

    /// Takes bytes, and lets go what is no beginning of a secret.
    pub(super) fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.held.push(byte);
            self.secret.push(false);
            self.seen += 1;
            for (needle, track) in self.needles.0.iter().zip(&mut self.tracks) {
                track.matched = needle.step(track.matched, byte);
                if track.matched < needle.len() {
                    continue;
                }
                // What an overlapping match has marked is marked.
                let new = usize::try_from(self.seen - track.found).unwrap_or(usize::MAX);
                let marks = self.secret.iter_mut().rev();
                marks
                    .take(new.min(needle.len()))
                    .for_each(|mark| *mark = true);
                track.found = self.seen;
                track.matched = needle.shorter.last().copied().unwrap_or(0);
            }
        }
        let matched = self.tracks.iter().map(|track| track.matched);
        let keep = matched.max().unwrap_or(0);
        self.let_go(self.held.len().saturating_sub(keep), out);
    }

    /// The end, as far as anyone knows: lets the rest go, unless the stream was
    /// `cut`, upon which the rest may well be the beginning of a secret.
    pub(super) fn finish(&mut self, cut: bool, out: &mut Vec<u8>) {
        if !cut {
            self.let_go(self.held.len(), out);
        }
        self.held.clear();
        self.secret.clear();
        self.tracks.fill(Track::default());
        self.seen = 0;
        self.marked = false;
    }

    fn let_go(&mut self, count: usize, out: &mut Vec<u8>) {
        let secret = self.secret.drain(..count);
        for (byte, secret) in self.held.drain(..count).zip(secret) {
            if !secret {
                out.push(byte);
            } else if !self.marked {
                out.extend_from_slice(MARK);
            }
            self.marked = secret;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use orwd_model::Secret;

    fn needles(values: &[&str]) -> Option<Needles> {
        let secret =
            |value: &&str| Secret::new("K".to_owned(), Zeroizing::new((*value).to_owned()));
        Needles::new(&Secrets::new(values.iter().map(secret).collect()))
    }

    /// What comes out, when the stream is cut into such pieces.
    fn scrubbed(values: &[&str], text: &str, piece: usize) -> String {
        let mut filter = Filter::new(needles(values).expect("something to look for"));
        let mut out = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            filter.pass(bytes, &mut out);
        }
        filter.finish(false, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_taken_out_however_it_is_cut() {
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
                assert_eq!(scrubbed(values, text, piece), expected, "{piece}: {text}");
            }
        }
        assert!(needles(&[]).is_none() && needles(&["", "abc", " a\n"]).is_none());
    }

    #[test]
    fn a_secret_is_taken_out_in_the_forms_that_code_gives_it() {
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
            let left = scrubbed(&[value], &format!("<{text}>"), 7);
            assert!(left.contains("[secret]"), "{text} gave {left}");
            // At the ends of base64 stands what is around the value.
            assert!(left.len() <= "<[secret]>".len() + 12, "{text} gave {left}");
        }
    }

    #[test]
    fn what_may_be_a_beginning_is_held_until_it_is_known() {
        let mut filter = Filter::new(needles(&["hunter2!"]).unwrap());
        let mut out = Vec::new();
        filter.pass(b"is hunt", &mut out);
        assert_eq!(out, b"is ");
        filter.pass(b"ing", &mut out);
        assert_eq!(out, b"is hunting");
        filter.pass(b" hunter2", &mut out);
        assert_eq!(out, b"is hunting ");
        // The rest was over the allowance, and may have been the rest of it.
        filter.finish(true, &mut out);
        assert_eq!(out, b"is hunting ");
        filter.pass(b"!", &mut out);
        assert_eq!(out, b"is hunting !");
    }

    proptest! {
        #[test]
        fn nothing_else_is_changed(
            value in "[ab]{4,9}",
            text in "[abc]{0,60}",
            piece in 1usize..8,
        ) {
            let left = scrubbed(&[&value], &text, piece);
            prop_assert!(!left.contains(&value));
            // Every byte that is in no occurrence comes through.
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
