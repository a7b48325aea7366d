//! Forms that a page sends.

use axum::extract::{FromRequest, Request};
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, StatusCode};

use super::page::PageError;
use super::viewer::Viewer;
use crate::http::body;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::{HubState, Shared};

/// Bytes of a form. A description has up to 64 KiB, and its encoding three times
/// as many.
const MAX_FORM: usize = 256 << 10;

/// The fields of a form that one of our pages has sent, in the name of its viewer.
pub(super) struct Form {
    pub(super) viewer: Viewer,
    fields: QueryParameters,
}

impl Form {
    /// Returns a field; an empty text if it is absent.
    pub(super) fn text(&self, name: &str) -> String {
        self.fields.text(name).unwrap_or_default()
    }
}

impl FromRequest<Shared> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &Shared) -> Result<Form, PageError> {
        let (parts, body) = request.into_parts();
        let refused = || {
            ApiError::new(
                StatusCode::FORBIDDEN,
                "this form was not sent by a page of this platform, or its page is too old; open the \
             page again",
            )
        };
        if !is_same_origin(state, &parts.headers) {
            return Err(refused().into());
        }
        let viewer = parts
            .extensions
            .get::<Viewer>()
            .cloned()
            .unwrap_or_default();
        let bytes = body::read(body, MAX_FORM).await?;
        let text =
            std::str::from_utf8(&bytes).map_err(|_| ApiError::invalid("the form is not UTF-8"))?;
        let fields = QueryParameters::parse(text);
        if !viewer.accepts(&fields.text("token").unwrap_or_default()) {
            return Err(refused().into());
        }
        Ok(Form { viewer, fields })
    }
}

/// Returns whether the browser says that a page of this platform sends the request.
fn is_same_origin(state: &HubState, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text(ORIGIN.as_str()) {
        Some(origin) => origin.eq_ignore_ascii_case(&state.base_url(headers)),
        None => text("sec-fetch-site") == Some("same-origin"),
    }
}
