//! Responses to requests that fail.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use orwd_hub_store::HubStoreError;
use serde_json::json;

/// A request that fails, and why, in a sentence for people.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The beginning of the sentence by which `openreward` recognises that a name in
/// `X-Deployment` is unknown.
const NO_DEPLOYMENT: &str = "Deployment not found.";

/// The header by which `openreward` learns that a deployment starts.
const BACKEND_STATE: HeaderName = HeaderName::from_static("x-backend-state");

impl ApiError {
    /// Creates an error with a status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    /// The caller's value is not valid.
    pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }

    /// The request has no API key, or a wrong one.
    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "missing or invalid API key; send one as X-API-Key",
        )
    }

    /// The request of git has no API key, or a wrong one; git then asks for it.
    pub(crate) fn git_unauthorized() -> ApiError {
        let mut error = ApiError::new(
            StatusCode::UNAUTHORIZED,
            "give an API key as the password; the user name does not count",
        );
        let value = HeaderValue::from_static("Basic realm=\"orwd\", charset=\"UTF-8\"");
        error.headers.push((header::WWW_AUTHENTICATE, value));
        error
    }

    /// The name of a deployment is unknown, or that of one that the caller may not
    /// see.
    pub(crate) fn no_deployment() -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, NO_DEPLOYMENT)
    }

    /// The owner has paused the environment.
    pub(crate) fn paused(message: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message);
        let headers = &mut error.headers;
        headers.push((header::RETRY_AFTER, HeaderValue::from_static("10")));
        error
    }

    /// Too much is done at once. Clients try again.
    pub(crate) fn busy(message: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message);
        let headers = &mut error.headers;
        headers.push((header::RETRY_AFTER, HeaderValue::from_static("2")));
        error
    }

    /// The platform cannot serve the request for a moment. `openreward` waits.
    pub(crate) fn starting(message: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message);
        let headers = &mut error.headers;
        headers.push((header::RETRY_AFTER, HeaderValue::from_static("2")));
        headers.push((BACKEND_STATE, HeaderValue::from_static("starting")));
        error
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns whether the API key is missing or wrong.
    pub(crate) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// Returns the sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The platform failed. The cause is in the log only.
    pub(crate) fn internal(what: &str, error: impl std::fmt::Display) -> ApiError {
        tracing::error!(%error, "{what}");
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the platform failed; its log has the reason",
        )
    }
}

impl From<HubStoreError> for ApiError {
    fn from(error: HubStoreError) -> ApiError {
        let status = match &error {
            HubStoreError::Invalid(_) => StatusCode::BAD_REQUEST,
            HubStoreError::Missing(_) => StatusCode::NOT_FOUND,
            HubStoreError::Forbidden(_) => StatusCode::FORBIDDEN,
            HubStoreError::Conflict(_) => StatusCode::CONFLICT,
            HubStoreError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            HubStoreError::OverQuota(_) => StatusCode::FORBIDDEN,
            HubStoreError::Busy(_) => return ApiError::busy(error.to_string()),
            HubStoreError::Failed(_) => return ApiError::internal("query failed", error),
        };
        ApiError::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    /// The command line of `openreward` shows `message`, its SDK `detail`, and its
    /// uploads only the reason phrase of the status line.
    fn into_response(self) -> Response {
        let body = Json(json!({ "message": &self.message, "detail": &self.message }));
        let mut response = (self.status, AppendHeaders(self.headers), body).into_response();
        let phrase: String = self
            .message
            .chars()
            .filter(|c| c.is_ascii_graphic() || *c == ' ')
            .take(200)
            .collect();
        if let Ok(phrase) = ReasonPhrase::try_from(phrase.into_bytes()) {
            response.extensions_mut().insert(phrase);
        }
        response
    }
}
