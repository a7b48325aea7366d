//! What a request is known by when it comes again.
//!
//! Clients that lose a connection send their request once more. The body, and
//! the key that a client may give in a header of its own, tell the session
//! whether it is the same one.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::answer::Answer;
use super::document::Document;
use super::error::Failure;
use super::secrets;
use super::seed;
use orwd_session::Resumable;

/// By this a client names a call, so that it is run once however often it is
/// sent.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Tells the client whether its session outlives the server.
const RESUMABLE: HeaderName = HeaderName::from_static("x-orwd-resumable");

/// The longest key.
const LONGEST: usize = 255;

/// A key is empty, too long, or no plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnfitKey;

/// A hash of what a request asks for: all its members but the id of a run,
/// which a client may have or not have when it asks for the same again.
pub(super) fn of_request(document: &Document<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    // Anything but an object is refused.
    if let Document::Object(members) = document {
        for (name, value) in members.iter().filter(|(name, _)| *name != "task_id") {
            for part in [name, value.get()] {
                hasher.update(&(part.len() as u64).to_be_bytes());
                hasher.update(part.as_bytes());
            }
        }
    }
    *hasher.finalize().as_bytes()
}

/// A hash of all that decides what `/create` does.
pub(super) fn imprint(headers: &HeaderMap, body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for name in [secrets::HEADER, seed::HEADER.as_str()] {
        let value = headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
        hasher.update(&(value.len() as u64).to_be_bytes());
        hasher.update(value);
    }
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

/// The key that the client gave the request.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Failure::Key(UnfitKey))?;
    if text.is_empty() || text.len() > LONGEST {
        return Err(Failure::Key(UnfitKey));
    }
    Ok(Some(text.to_owned()))
}

/// Tells a client whether its session outlives the server.
pub(super) fn tell(answer: &mut Answer, resumable: Resumable) {
    let value = match resumable.obstacle() {
        None => Ok(HeaderValue::from_static("yes")),
        Some(why) => HeaderValue::try_from(format!("no; {why}")),
    };
    if let Ok(value) = value {
        answer.headers_mut().insert(RESUMABLE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_plain_text_of_some_length() {
        let long = "k".repeat(LONGEST + 1);
        for (value, expected) in [
            (None, Ok(None)),
            (Some("k-1"), Ok(Some("k-1".to_owned()))),
            (Some(""), Err(())),
            (Some(&*long), Err(())),
            (Some("\u{e9}"), Err(())),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            assert_eq!(key(&headers).map_err(|_| ()), expected, "{value:?}");
        }
    }

    #[test]
    fn a_request_is_the_same_with_the_id_of_its_run() {
        let of = |body: &str| {
            let document = Document::parse(body.as_bytes(), true).unwrap();
            of_request(&document)
        };
        let plain = of(r#"{"name": "a", "input": {"b": 1}}"#);
        for (body, same) in [
            (r#"{"name": "a", "input": {"b": 1}, "task_id": "0f"}"#, true),
            (r#"{"name":"a","task_id":null,"input":{"b": 1}}"#, true),
            (r#"{"name": "a", "input": {"b": 2}}"#, false),
            (r#"{"name": "b", "input": {"b": 1}}"#, false),
            (r#"{"name": "a", "input": {"b": 1}, "more": 1}"#, false),
            (r#"{"name": "a", "input": {"b": 1, "task_id": 2}}"#, false),
            (r#"{"nam": "e\"a", "input": {"b": 1}}"#, false),
        ] {
            assert_eq!(of(body) == plain, same, "{body}");
        }
    }

    #[test]
    fn secrets_and_seed_are_a_part_of_a_creation() {
        let plain = HeaderMap::new();
        let mut seeded = HeaderMap::new();
        seeded.insert(seed::HEADER, HeaderValue::from_static("7"));
        let mut secret = HeaderMap::new();
        secret.insert(secrets::HEADER, HeaderValue::from_static("7"));
        let all = [&plain, &seeded, &secret].map(|headers| imprint(headers, b"{}"));
        assert_ne!(all[0], all[1]);
        assert_ne!(all[0], all[2]);
        assert_ne!(all[1], all[2]);
        assert_ne!(imprint(&plain, b"{ }"), all[0]);
        assert_eq!(imprint(&plain, b"{}"), all[0]);
    }
}
