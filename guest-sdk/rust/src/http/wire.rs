//! The host's interface.

#[cfg(target_arch = "wasm32")]
use crate::component::network_bindings::orwd::network::http as bindings;
use crate::http::message::{ErrorKind, HttpError, Request, Response};

#[cfg(target_arch = "wasm32")]
pub(super) fn send(request: Request) -> Result<Response, HttpError> {
    received(bindings::send(&sent(request)))
}

#[cfg(target_arch = "wasm32")]
pub(super) fn sent(request: Request) -> bindings::Request {
    let headers = request.headers.into_iter();
    bindings::Request {
        method: request.method,
        url: request.url,
        headers: headers
            .map(|(name, value)| bindings::Header { name, value })
            .collect(),
        body: request.body,
    }
}

#[cfg(target_arch = "wasm32")]
pub(super) fn received(
    result: Result<bindings::Response, bindings::Error>,
) -> Result<Response, HttpError> {
    let response = result.map_err(refused)?;
    let headers = response.headers.into_iter();
    Ok(Response {
        status: response.status,
        headers: headers.map(|header| (header.name, header.value)).collect(),
        body: response.body,
    })
}

#[cfg(target_arch = "wasm32")]
pub(super) fn refused(error: bindings::Error) -> HttpError {
    HttpError {
        kind: match error.code {
            bindings::ErrorCode::NotGranted => ErrorKind::NotGranted,
            bindings::ErrorCode::Refused => ErrorKind::Refused,
            bindings::ErrorCode::Limit => ErrorKind::Limit,
            bindings::ErrorCode::Timeout => ErrorKind::Timeout,
            bindings::ErrorCode::Failed => ErrorKind::Failed,
            bindings::ErrorCode::InDoubt => ErrorKind::InDoubt,
            bindings::ErrorCode::Unavailable => ErrorKind::Unavailable,
        },
        message: error.message,
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn send(request: Request) -> Result<Response, HttpError> {
    let Request { method, url, .. } = request;
    Err(HttpError {
        kind: ErrorKind::Unavailable,
        message: format!("{method} {url} was not sent: a native test makes no requests"),
    })
}
