//! Reading the bodies of requests.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ApiError;

/// Bytes of the body of a management request.
pub(crate) const MANAGEMENT: usize = 1 << 20;

/// Bytes of a batch of rollout events.
pub(crate) const ROLLOUTS: usize = 16 << 20;

/// Bytes of the body of a request of someone who has not signed in.
pub(crate) const SIGN_IN: usize = 16 << 10;

/// The time for a body of any size.
const TIME: Duration = Duration::from_secs(20);

/// Bytes that take a further second.
const RATE: usize = 64 << 10;

/// Reads a body as a whole, in a time that depends on its bound.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let time = TIME + Duration::from_secs((limit / RATE) as u64);
    let Ok(read) = timeout(time, Limited::new(body, limit).collect()).await else {
        return Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} seconds", time.as_secs()),
        ));
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {limit} bytes"),
        )),
        Err(_) => Err(ApiError::invalid(
            "the body ended before its announced length, or the client stopped sending it",
        )),
    }
}

/// Returns the length of the body that a client announces.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok()
}

/// Reads a JSON body. An empty one counts as an empty object.
pub(crate) async fn json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, ApiError> {
    let bytes = read(body, limit).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| ApiError::invalid(format!("the body is not valid: {error}")))
}
