//! The routes of the pages, and what all of their responses have in common.

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use orwd_web::{SECURITY_POLICY, asset, pages};
use tower_service::Service;

use super::accounts::{account, audit, sign_in, users};
use super::environments::{card, compare, danger, renamed, repository};
use super::page::PageError;
use super::viewer::{Viewer, redirect};
use super::{catalogue, deployments, live, sessions};
use crate::admission::source::identify;
use crate::http::error::ApiError;
use crate::http::routes::Routes;
use crate::http::state::Shared;

/// Returns the routes of the pages.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/", catalogue::all)
        .get("/static/{name}", file)
        .get("/login", sign_in::login_page)
        .post("/login", sign_in::login)
        .post("/logout", sign_in::logout)
        .get("/setup/{secret}", sign_in::set_up_page)
        .post("/setup/{secret}", sign_in::set_up)
        .get("/settings", account::account)
        .post("/settings/theme", sign_in::theme)
        .get("/settings/password", account::account)
        .post("/settings/password", account::password)
        .post(
            "/settings/sign-out-everywhere",
            sign_in::sign_out_everywhere,
        )
        .get("/settings/users", users::list)
        .post("/settings/users", users::make_link)
        .get("/settings/keys", account::account)
        .post("/settings/keys", account::make_key)
        .post("/settings/keys/{id}/revoke", account::revoke)
        .get("/settings/audit", audit::log)
        .get("/settings/deleted", danger::deleted)
        .post("/settings/deleted/{id}/restore", danger::restore)
        .post("/settings/deleted/{id}/remove", danger::remove)
        .get("/new", catalogue::new_page)
        .post("/new", catalogue::create)
        .get("/{owner}", catalogue::of_owner)
        .get("/{owner}/{name}", card::card)
        .get("/{owner}/{name}/events", live::first_push)
        .get("/{owner}/{name}/tasks", card::tasks)
        .get("/{owner}/{name}/settings", card::settings_page)
        .post("/{owner}/{name}/settings", card::settings)
        .get("/{owner}/{name}/repository", repository::page)
        .post("/{owner}/{name}/repository", repository::change)
        .post("/{owner}/{name}/repository/webhook", repository::renew)
        .post("/{owner}/{name}/repository/unlink", repository::remove)
        .post("/{owner}/{name}/rename", danger::rename)
        .post("/{owner}/{name}/delete", danger::delete)
        .get("/{owner}/{name}/deployments", deployments::list)
        .get("/{owner}/{name}/deployments/{id}", deployments::one)
        .get("/{owner}/{name}/deployments/{id}/events", live::build_log)
        .get("/{owner}/{name}/deployments/{id}/compare", compare::compare)
        .post("/{owner}/{name}/deployments/{id}/serve", deployments::serve)
        .get("/{owner}/{name}/sessions", sessions::list)
        .get("/{owner}/{name}/sessions/{version}/{id}", sessions::one)
        .post(
            "/{owner}/{name}/sessions/{version}/{id}/fork",
            sessions::fork,
        )
        .get(
            "/{owner}/{name}/sessions/{version}/{id}/receipt",
            sessions::receipt,
        )
        .get(
            "/{owner}/{name}/sessions/{version}/{id}/steps.json",
            sessions::export,
        )
}

/// Returns whether a browser sends a request for a page, or for a part of one. No
/// client of the API accepts these types, and no page sends an API key.
pub(crate) fn is_page(request: &Request) -> bool {
    let (path, headers) = (request.uri().path(), request.headers());
    if path.starts_with("/static/") {
        return true;
    }
    let is_api = ["/v1", "/git", "/orwd", "/health", "/ready", "/version"]
        .iter()
        .any(|prefix| path == *prefix || path.starts_with(&format!("{prefix}/")));
    let has = |name: &str| headers.contains_key(name);
    let accepts = |wanted: &str| {
        let mut values = headers.get_all(header::ACCEPT).iter();
        values.any(|value| value.to_str().is_ok_and(|value| value.contains(wanted)))
    };
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    !is_api
        && !["authorization", "x-api-key", "x-session-id", "x-deployment"]
            .into_iter()
            .any(has)
        && (accepts("text/html") || reads && accepts("text/event-stream"))
}

/// Serves a page.
pub(crate) async fn serve(state: &Shared, mut pages: Router, mut request: Request) -> Response {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let reads = request.method() == Method::GET;
    let is_file = path.starts_with("/static/");
    let viewer = Viewer::of(state, request.headers(), path.clone()).await;
    let identified = viewer.and_then(|viewer| {
        if let Some(caller) = viewer.maybe() {
            identify(request.extensions(), &caller.name)?;
        }
        Ok(viewer)
    });
    let viewer = match identified {
        Ok(viewer) => viewer,
        Err(error) => {
            let response = error_page(&Viewer::default(), error.status(), Some(&error));
            return secured(response, false);
        }
    };
    match renamed::moved(state, viewer.maybe(), request.uri()).await {
        Ok(Some(path)) => return secured(renamed::redirect(path), false),
        Ok(None) => {}
        Err(error) => {
            return secured(error_page(&viewer, error.status(), Some(&error)), false);
        }
    }
    request.extensions_mut().insert(viewer.clone());
    let Ok(response) = pages.call(request).await;
    let status = response.status();
    let error = response.extensions().get::<ApiError>();
    let response = match error {
        Some(error) if status == StatusCode::UNAUTHORIZED && reads => {
            tracing::debug!(reason = error.message(), "redirected to the sign-in");
            let encoded =
                percent_encoding::utf8_percent_encode(&path, percent_encoding::NON_ALPHANUMERIC);
            redirect(&format!("/login?next={encoded}"))
        }
        Some(error) => error_page(&viewer, status, Some(&error.clone())),
        None if is_plain_error(&response) => error_page(&viewer, status, None),
        None => response,
    };
    secured(response, is_file)
}

/// Returns whether a response is an error without a page, such as of a route that
/// does not exist.
fn is_plain_error(response: &Response) -> bool {
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_html = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    is_error && !is_html
}

fn error_page(viewer: &Viewer, status: StatusCode, error: Option<&ApiError>) -> Response {
    let message = match error {
        Some(error) => error.message(),
        None => match status {
            StatusCode::NOT_FOUND => "the address leads nowhere",
            StatusCode::METHOD_NOT_ALLOWED => "the address takes another kind of request",
            _ => "the request is not valid",
        },
    };
    let html = pages::error(&viewer.frame(), status.as_u16(), message);
    (status, Html(html)).into_response()
}

/// Adds the headers that protect a page.
fn secured(mut response: Response, is_file: bool) -> Response {
    let is_kept = is_file && response.status().is_success();
    let headers: &mut HeaderMap = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            header::CACHE_CONTROL,
            if is_kept {
                "public, max-age=31536000, immutable"
            } else {
                "no-store"
            },
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Serves a file of the pages.
async fn file(Path(name): Path<String>) -> Result<Response, PageError> {
    let found = asset(&name)
        .ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "there is no such file"))?;
    let kind = [(header::CONTENT_TYPE, found.media_type)];
    Ok((kind, found.content).into_response())
}
