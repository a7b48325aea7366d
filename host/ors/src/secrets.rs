//! The header that carries a session's secrets (wire contract section 5).
//!
//! Base64 of `{"NAME":{"value":…}}`. What cannot be read is answered with the
//! kind of error that the reference gives; no part of the header is ever in
//! that text, nor anywhere else but in what is returned. Whatever holds a part
//! of it on the way is wiped; the header itself lies in hyper's buffer, which
//! is beyond reach.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use zeroize::Zeroizing;

use super::fields::Members;
use orwd_model::{Secret, Secrets};

/// The name of the header.
pub(super) const HEADER: &str = "x-secrets";

/// Reads the header's value. An empty one holds no secrets.
pub(super) fn read(header: &[u8]) -> Result<Secrets, String> {
    if header.is_empty() {
        return Ok(Secrets::default());
    }
    let bytes = decode(header)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| "UnicodeDecodeError: the secrets are not UTF-8".to_owned())?
        .trim_matches([' ', '\t', '\r', '\n']);
    if !text.starts_with('{') {
        return Err(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => "AttributeError: the secrets are not a JSON object".to_owned(),
            Err(error) => not_json(&error),
        });
    }
    let members = Members::parse(text).map_err(|error| not_json(&error))?;
    let mut secrets: Vec<Secret> = Vec::new();
    for (name, raw) in members.into_list() {
        let secret = Secret::new(name.into_owned(), value(raw.get())?);
        // The last of a repeated name counts, in the place of the first.
        match secrets.iter_mut().find(|known| known.name == secret.name) {
            Some(known) => *known = secret,
            None => secrets.push(secret),
        }
    }
    Ok(Secrets::new(secrets))
}

/// The text of a parser's error names a place and no content, so it may be
/// shown.
fn not_json(error: &serde_json::Error) -> String {
    format!("JSONDecodeError: {error}")
}

fn value(entry: &str) -> Result<Zeroizing<String>, String> {
    let members = entry
        .starts_with('{')
        .then(|| Members::parse(entry).ok())
        .flatten()
        .ok_or_else(|| "TypeError: a secret is not a JSON object".to_owned())?;
    let raw = members
        .into_list()
        .into_iter()
        .rfind(|(key, _)| key == "value")
        .map(|(_, raw)| raw)
        .ok_or_else(|| "KeyError: 'value'".to_owned())?;
    unescaped(raw.get())
        .ok_or_else(|| "TypeError: the value of a secret is not a string".to_owned())
}

/// The text of a JSON value, if it is a string and no escape in it stands for
/// half of a character. The syntax is known to be right.
///
/// A parser would unescape into a buffer of its own, which nobody wipes.
fn unescaped(raw: &str) -> Option<Zeroizing<String>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    // An escape is longer than what it stands for, so the text is not moved
    // for want of room, which would leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => numbered(&mut chars)?,
                plain => plain,
            },
            c => c,
        });
    }
    Some(text)
}

/// What one or two `\u` escapes stand for, the first of which has begun.
fn numbered(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let first = hexadecimal(chars)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if (chars.next()?, chars.next()?) != ('\\', 'u') {
        return None;
    }
    let second = hexadecimal(chars)?.checked_sub(0xdc00)?;
    let half = (second < 0x400).then_some(second)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + half)
}

fn hexadecimal(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut number = 0;
    for _ in 0..4 {
        number = number * 16 + chars.next()?.to_digit(16)?;
    }
    Some(number)
}

/// Padding is checked by [`decode`], which drops it.
const BARE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 as leniently as the reference: foreign characters do not
/// count, and neither does what follows complete padding.
fn decode(header: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut data = Zeroizing::new(Vec::with_capacity(header.len()));
    let mut padding = 0;
    for &byte in header {
        match byte {
            b'=' => {
                padding += 1;
                if data.len() % 4 >= 2 && data.len() % 4 + padding >= 4 {
                    break;
                }
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                padding = 0;
                data.push(byte);
            }
            _ => {}
        }
    }
    match data.len() % 4 {
        0 => {}
        1 => {
            return Err(format!(
                "Error: Invalid base64-encoded string: number of data characters ({}) \
                 cannot be 1 more than a multiple of 4",
                data.len()
            ));
        }
        rest if rest + padding < 4 => return Err("Error: Incorrect padding".to_owned()),
        _ => {}
    }
    BARE.decode(&*data)
        .map(Zeroizing::new)
        .map_err(|_| "Error: Invalid base64-encoded string".to_owned())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;

    use super::*;

    fn pairs(header: &str) -> Result<Vec<(String, String)>, String> {
        let secrets = read(header.as_bytes())?.into_inner();
        let pair = |s: Secret| (s.name.clone(), s.expose().to_owned());
        Ok(secrets.into_iter().map(pair).collect())
    }

    fn encoded(text: &str) -> String {
        general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn secrets_are_read() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected) in [
            ("{}", vec![]),
            (
                r#"{"K":{"value":"v1","allowed_domains":["a.test"]},"L":{"value":"é"}}"#,
                vec![pair("K", "v1"), pair("L", "é")],
            ),
            (
                r#" {"K":{"value":"a"},"L":{"value":"b"},"K":{"value":"c","value":"d"}}"#,
                vec![pair("K", "d"), pair("L", "b")],
            ),
        ] {
            assert_eq!(pairs(&encoded(text)), Ok(expected), "{text}");
        }
        assert_eq!(pairs(""), Ok(vec![]));
    }

    #[test]
    fn a_value_is_unescaped_as_a_parser_would() {
        for raw in [
            r#""""#,
            r#""plain é 漢 😀""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""a\u0000b\u00e9\u6F22\uD83D\ude00z""#,
            r#""-----BEGIN KEY-----\nMIIE\n""#,
            r#""\ud83d""#,
            r#""\ud83dx""#,
            r#""\ud83d\n""#,
            r#""\ud83d\ud83d""#,
            r#""\ude00""#,
            r#""\ud83d\u0041""#,
        ] {
            let parsed: Option<String> = serde_json::from_str(raw).ok();
            assert_eq!(unescaped(raw).as_deref(), parsed.as_ref(), "{raw}");
        }
        for raw in ["1", "null", "[\"a\"]", "{}"] {
            assert_eq!(unescaped(raw), None, "{raw}");
        }
    }

    #[test]
    fn base64_is_lenient_about_foreign_characters() {
        let header = encoded(r#"{"K":{"value":"v"}}"#);
        let spaced: String = header.chars().flat_map(|c| [c, ' ', '-']).collect();
        assert_eq!(pairs(&spaced), pairs(&header));
        assert!(pairs(&format!("{header}%%%")).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_told_without_its_content() {
        for (header, expected) in [
            ("eyJ".to_owned(), "Error: Incorrect padding"),
            (
                "eyJLI".to_owned(),
                "Error: Invalid base64-encoded string: number of data characters (5) \
                 cannot be 1 more than a multiple of 4",
            ),
            (encoded("hunter2"), "JSONDecodeError: "),
            (
                encoded("{\"K\":{\"value\":\"hunter2\""),
                "JSONDecodeError: ",
            ),
            (encoded("[\"hunter2\"]"), "AttributeError: "),
            (encoded("{\"K\":\"hunter2\"}"), "TypeError: "),
            (
                encoded("{\"K\":{\"val\":\"hunter2\"}}"),
                "KeyError: 'value'",
            ),
            (encoded("{\"K\":{\"value\":[\"hunter2\"]}}"), "TypeError: "),
        ] {
            let error = pairs(&header).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
