//! The byte patterns of a session's secrets, in the encodings that ordinary
//! code produces.

use std::fmt::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use orwd_model::Secrets;
use zeroize::Zeroizing;

/// A shorter value would match everywhere, and is not searched for.
const MIN_LEN: usize = 4;

/// A shorter value is searched for only as it is.
const MIN_ENCODED_LEN: usize = 8;

/// A shorter line of a value is not searched for by itself.
const MIN_LINE_LEN: usize = 16;

/// Encodings over this number are not searched for; the values themselves
/// always are.
const MAX_ENCODINGS: usize = 256;

/// A byte string to search for, with its failure function (Knuth–Morris–Pratt):
/// for each prefix, the length of the longest proper prefix that is also its
/// suffix.
pub(crate) struct Pattern {
    bytes: Zeroizing<Vec<u8>>,
    shorter: Vec<usize>,
}

impl Pattern {
    fn new(bytes: Zeroizing<Vec<u8>>) -> Pattern {
        let mut pattern = Pattern {
            shorter: Vec::with_capacity(bytes.len()),
            bytes,
        };
        let mut length = 0;
        for at in 0..pattern.bytes.len() {
            if let (1.., Some(&byte)) = (at, pattern.bytes.get(at)) {
                length = pattern.step(length, byte);
            }
            pattern.shorter.push(length);
        }
        pattern
    }

    /// Returns the length of the matched prefix after one more byte.
    pub(crate) fn step(&self, mut matched: usize, byte: u8) -> usize {
        while self.bytes.get(matched) != Some(&byte) {
            match matched.checked_sub(1) {
                Some(last) => matched = self.shorter.get(last).copied().unwrap_or(0),
                None => return 0,
            }
        }
        matched + 1
    }

    /// Returns the length of the longest proper prefix that ends a whole match.
    pub(crate) fn overlap(&self) -> usize {
        self.shorter.last().copied().unwrap_or(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// All patterns to redact for one session.
#[derive(Clone)]
pub struct SecretPatterns(Arc<[Pattern]>);

impl SecretPatterns {
    /// Returns none if there is nothing to search for.
    pub fn new(secrets: &Secrets) -> Option<SecretPatterns> {
        // White space around a value is seldom printed with it.
        let values = || {
            let values = secrets.iter().map(|secret| secret.expose().trim());
            values.filter(|value| value.len() >= MIN_LEN)
        };
        let mut patterns: Vec<Pattern> = values().map(|value| Pattern::new(owned(value))).collect();
        for encoding in values().flat_map(encodings).take(MAX_ENCODINGS) {
            if patterns.iter().all(|pattern| pattern.bytes != encoding) {
                patterns.push(Pattern::new(encoding));
            }
        }
        (!patterns.is_empty()).then(|| SecretPatterns(patterns.into()))
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Pattern> {
        self.0.iter()
    }
}

// Shows no pattern.
impl fmt::Debug for SecretPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretPatterns({})", self.0.len())
    }
}

fn owned(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// Returns the encodings of a value that ordinary code produces.
fn encodings(value: &str) -> Vec<Zeroizing<Vec<u8>>> {
    if value.len() < MIN_ENCODED_LEN {
        return Vec::new();
    }
    let bytes = value.as_bytes();
    let mut texts: Vec<Zeroizing<String>> = Vec::new();
    // Within a longer base64 text, a value starts at one of three positions of
    // a group; the characters at its ends depend on the neighbouring bytes.
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
        // Capacity for the longest encoding, so that no copy is left behind by
        // a reallocation.
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
    let lines = lines.filter(|line| line.len() >= MIN_LINE_LEN).map(owned);
    texts.iter().map(|text| owned(text)).chain(lines).collect()
}

fn hexadecimal(out: &mut String, byte: u8, digits: &str) {
    for half in [byte >> 4, byte & 15] {
        out.extend(digits.chars().nth(usize::from(half)));
    }
}

/// Appends a character as in a JSON string, optionally restricted to ASCII.
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
