//! `X-Secrets`: the secrets of a session
//! (`docs/src/reference/wire-contract.md#section-5`).
//!
//! The value is base64 of `{"NAME":{"value":…}}`. An invalid value is refused with
//! the kind of error that the reference gives. No part of the header appears in
//! that text, or anywhere except in the returned secrets. Every buffer that holds
//! a part of it is wiped; only hyper's buffer of the header itself is not.
//!
//! The decoder and the unescaping are written by hand: libraries are stricter
//! about base64 than the reference, and unescape into buffers that are not wiped.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use orwd_model::{Secret, Secrets};
use zeroize::Zeroizing;

use crate::decode::object_reader::ObjectMembers;

/// The name of the header.
pub(crate) const HEADER: &str = "x-secrets";

/// Reads the header's value; an empty one has no secrets.
pub(crate) fn read(header: &[u8]) -> Result<Secrets, String> {
    if header.is_empty() {
        return Ok(Secrets::default());
    }
    let bytes = decode_base64(header)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| "UnicodeDecodeError: the secrets are not UTF-8".to_owned())?
        .trim_matches([' ', '\t', '\r', '\n']);
    if !text.starts_with('{') {
        return Err(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => "AttributeError: the secrets are not a JSON object".to_owned(),
            Err(error) => json_error(&error),
        });
    }
    let members = ObjectMembers::parse(text).map_err(|error| json_error(&error))?;
    let mut secrets: Vec<Secret> = Vec::new();
    for (name, raw) in members.into_list() {
        let secret = read_secret(name.into_owned(), raw.get())?;
        // The last of a repeated name counts, at the position of the first.
        match secrets.iter_mut().find(|known| known.name == secret.name) {
            Some(known) => *known = secret,
            None => secrets.push(secret),
        }
    }
    Ok(Secrets::new(secrets))
}

/// Formats a parser error, whose text names a position and no content.
fn json_error(error: &serde_json::Error) -> String {
    format!("JSONDecodeError: {error}")
}

fn read_secret(name: String, entry: &str) -> Result<Secret, String> {
    let members = entry
        .starts_with('{')
        .then(|| ObjectMembers::parse(entry).ok())
        .flatten()
        .ok_or_else(|| "TypeError: a secret is not a JSON object".to_owned())?;
    let members = members.into_list();
    let last = |name: &str| members.iter().rfind(|(key, _)| key == name);
    let (_, raw) = last("value").ok_or_else(|| "KeyError: 'value'".to_owned())?;
    let value = unescape(raw.get())
        .ok_or_else(|| "TypeError: the value of a secret is not a string".to_owned())?;
    let mut secret = Secret::new(name, value);
    secret.allowed_domains = last("allowed_domains").and_then(|(_, raw)| {
        // The reference takes any value. One that is not a list names no host.
        let domains: Option<Option<Vec<String>>> = serde_json::from_str(raw.get()).ok();
        domains.unwrap_or_else(|| Some(Vec::new()))
    });
    Ok(secret)
}

/// Unescapes a JSON string of valid syntax; `None` for another value, or if an
/// escape stands for half of a surrogate pair.
fn unescape(raw: &str) -> Option<Zeroizing<String>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    // An escape is longer than its character, so the text is never reallocated,
    // which would leave a copy behind.
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
                'u' => unescape_code_point(&mut chars)?,
                plain => plain,
            },
            c => c,
        });
    }
    Some(text)
}

/// Reads one or two `\u` escapes, of which the first `\u` has been read.
fn unescape_code_point(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let first = hex_digits(chars)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if (chars.next()?, chars.next()?) != ('\\', 'u') {
        return None;
    }
    let second = hex_digits(chars)?.checked_sub(0xdc00)?;
    let low = (second < 0x400).then_some(second)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)
}

fn hex_digits(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut number = 0;
    for _ in 0..4 {
        number = number * 16 + chars.next()?.to_digit(16)?;
    }
    Some(number)
}

/// [`decode_base64`] checks the padding and removes it.
const NO_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 as leniently as the reference: foreign characters are ignored,
/// as is everything after complete padding.
fn decode_base64(header: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
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
    NO_PADDING
        .decode(&*data)
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
    fn reads_secrets() {
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
    fn reads_the_hosts_of_a_secret() {
        for (member, expected) in [
            ("", None),
            (r#","allowed_domains":null"#, None),
            (r#","allowed_domains":[]"#, Some(vec![])),
            (
                r#","allowed_domains":["a.com","*.b.com"]"#,
                Some(vec!["a.com", "*.b.com"]),
            ),
            (r#","allowed_domains":"a.com""#, Some(vec![])),
            (r#","allowed_domains":[1]"#, Some(vec![])),
        ] {
            let header = encoded(&format!(r#"{{"K":{{"value":"v"{member}}}}}"#));
            let secrets = read(header.as_bytes()).unwrap();
            let domains = secrets.iter().next().unwrap().allowed_domains.clone();
            let expected: Option<Vec<String>> =
                expected.map(|domains| domains.into_iter().map(str::to_owned).collect());
            assert_eq!(domains, expected, "{member}");
        }
    }

    #[test]
    fn unescapes_like_a_json_parser() {
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
            assert_eq!(unescape(raw).as_deref(), parsed.as_ref(), "{raw}");
        }
        for raw in ["1", "null", "[\"a\"]", "{}"] {
            assert_eq!(unescape(raw), None, "{raw}");
        }
    }

    #[test]
    fn ignores_foreign_characters_in_base64() {
        let header = encoded(r#"{"K":{"value":"v"}}"#);
        let spaced: String = header.chars().flat_map(|c| [c, ' ', '-']).collect();
        assert_eq!(pairs(&spaced), pairs(&header));
        assert!(pairs(&format!("{header}%%%")).is_ok());
    }

    #[test]
    fn reports_errors_without_content() {
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
