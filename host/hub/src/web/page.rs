//! What the handlers of pages return.

use axum::response::{Html, IntoResponse, Response};

use crate::http::error::ApiError;

/// An error that is shown as a page.
pub(super) struct PageError(ApiError);

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> PageError {
        PageError(error.into())
    }
}

impl IntoResponse for PageError {
    /// The error itself, which the router of the pages renders.
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// The result of a handler.
pub(super) type Page = Result<Html<String>, PageError>;
