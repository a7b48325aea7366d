//! Recognises a request that a client sends again.
//!
//! A client that loses its connection repeats the request. The session compares
//! the fingerprint of the request, and the idempotency key if there is one.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::{secrets, seed};
use crate::decode::json_body::JsonBody;

/// Names a call, so that it runs once however often it is sent.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const MAX_KEY_LENGTH: usize = 255;

/// An idempotency key is empty, too long, or not printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidIdempotencyKey;

/// Returns the hash of a request that starts a run: all its members except
/// `task_id`, which the client may have learned since the first attempt.
pub(crate) fn run_fingerprint(body: &JsonBody<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    // Any other body is refused.
    if let JsonBody::Object(members) = body {
        for (name, value) in members.iter().filter(|(name, _)| *name != "task_id") {
            for part in [name, value.get()] {
                hasher.update(&(part.len() as u64).to_be_bytes());
                hasher.update(part.as_bytes());
            }
        }
    }
    *hasher.finalize().as_bytes()
}

/// Returns the hash of everything that determines what `/create` does.
/// `environment` is the one that a header chose.
pub(crate) fn create_fingerprint(
    headers: &HeaderMap,
    environment: Option<&str>,
    body: &[u8],
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for name in [secrets::HEADER, seed::HEADER.as_str()] {
        let value = headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
        hasher.update(&(value.len() as u64).to_be_bytes());
        hasher.update(value);
    }
    // A body that is accepted does not begin like a length.
    if let Some(name) = environment {
        hasher.update(&(name.len() as u64).to_be_bytes());
        hasher.update(name.as_bytes());
    }
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

/// Returns the idempotency key of a request.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, InvalidIdempotencyKey> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| InvalidIdempotencyKey)?;
    if text.is_empty() || text.len() > MAX_KEY_LENGTH {
        return Err(InvalidIdempotencyKey);
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_keys_of_printable_ascii() {
        let long = "k".repeat(MAX_KEY_LENGTH + 1);
        for (value, expected) in [
            (None, Ok(None)),
            (Some("k-1"), Ok(Some("k-1".to_owned()))),
            (Some(""), Err(())),
            (Some(&*long), Err(())),
            (Some("\u{e9}"), Err(())),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(
                    IDEMPOTENCY_KEY,
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                );
            }
            assert_eq!(key(&headers).map_err(|_| ()), expected, "{value:?}");
        }
    }

    #[test]
    fn the_run_fingerprint_ignores_the_task_id() {
        let fingerprint = |body: &str| {
            let body_json = JsonBody::parse(body.as_bytes(), true).unwrap();
            run_fingerprint(&body_json)
        };
        let plain = fingerprint(r#"{"name": "a", "input": {"b": 1}}"#);
        for (body, same) in [
            (r#"{"name": "a", "input": {"b": 1}, "task_id": "0f"}"#, true),
            (r#"{"name":"a","task_id":null,"input":{"b": 1}}"#, true),
            (r#"{"name": "a", "input": {"b": 2}}"#, false),
            (r#"{"name": "b", "input": {"b": 1}}"#, false),
            (r#"{"name": "a", "input": {"b": 1}, "more": 1}"#, false),
            (r#"{"name": "a", "input": {"b": 1, "task_id": 2}}"#, false),
            (r#"{"nam": "e\"a", "input": {"b": 1}}"#, false),
        ] {
            assert_eq!(fingerprint(body) == plain, same, "{body}");
        }
    }

    #[test]
    fn the_create_fingerprint_covers_secrets_seed_and_environment() {
        let plain = HeaderMap::new();
        let mut seeded = HeaderMap::new();
        seeded.insert(seed::HEADER, HeaderValue::from_static("7"));
        let mut secret = HeaderMap::new();
        secret.insert(secrets::HEADER, HeaderValue::from_static("7"));
        let all =
            [&plain, &seeded, &secret].map(|headers| create_fingerprint(headers, None, b"{}"));
        assert_ne!(all[0], all[1]);
        assert_ne!(all[0], all[2]);
        assert_ne!(all[1], all[2]);
        assert_ne!(create_fingerprint(&plain, None, b"{ }"), all[0]);
        assert_ne!(create_fingerprint(&plain, Some("wordle"), b"{}"), all[0]);
        assert_eq!(create_fingerprint(&plain, None, b"{}"), all[0]);
    }
}
