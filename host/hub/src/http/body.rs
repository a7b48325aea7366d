//! Reading the bodies of requests.

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Bytes of the body of a management request.
pub(crate) const MANAGEMENT: usize = 1 << 20;

/// Bytes of a batch of rollout events.
pub(crate) const ROLLOUTS: usize = 16 << 20;

/// Reads a body as a whole.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {limit} bytes"),
        )),
        Err(_) => Err(ApiError::invalid(
            "the body ended before its announced length",
        )),
    }
}

/// Reads a JSON body. An empty one counts as an empty object.
pub(crate) async fn json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, ApiError> {
    let bytes = read(body, limit).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| ApiError::invalid(format!("the body is not valid: {error}")))
}
