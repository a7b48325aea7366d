//! The requests of sessions.
//!
//! `X-Deployment` chooses a version once, when the session gets its id. From
//! then on the session's id decides, so a later deployment does not affect it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::environments::of_platform;
use orwd_hub_store::{sessions, time_before, usage};
use serde_json::{Value, json};
use uuid::Uuid;

use super::forward;
use super::target::Target;
use super::versions::{by_name, of_session};
use crate::http::auth::caller;
use crate::http::body::{self, MANAGEMENT};
use crate::http::error::ApiError;
use crate::http::state::Shared;

const DEPLOYMENT: HeaderName = HeaderName::from_static("x-deployment");
const SESSION: HeaderName = HeaderName::from_static("x-session-id");
const PROXY_KEY: HeaderName = HeaderName::from_static("x-orwd-proxy-key");
const PRINCIPAL: HeaderName = HeaderName::from_static("x-orwd-principal");

/// Headers of a request that are not forwarded: those of the connection, and
/// those that are for this process.
const NOT_FORWARDED: [&str; 17] = [
    "authorization",
    "connection",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
    "x-deployment",
    "x-orwd-principal",
    "x-orwd-proxy-key",
];

/// Bytes of the id of a session.
const MAX_ID: usize = 1024;

/// Bytes of a response for a page.
const MAX_PAGE: usize = 32 << 20;

/// The time for a response for a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that must be left for a new session.
const SESSION_SPACE: i64 = 64 << 10;

/// The time after which the use of a session is noted again.
const NOTED: Duration = Duration::from_secs(24 * 3600);

/// Bytes of the response to `/version`.
const MAX_VERSION: usize = 1 << 20;

/// Serves a request of a session.
pub(crate) async fn serve(state: &Shared, request: Request) -> Result<Response, ApiError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let reads = method == Method::GET || method == Method::HEAD;
    match path.as_str() {
        "/health" if reads => return Ok(axum::Json(json!({ "status": "ok" })).into_response()),
        "/ready" if reads => {
            let checked = state.readiness.check(&state.database, &state.instances);
            checked.await.map_err(ApiError::busy)?;
            return Ok(axum::Json(json!({ "status": "ready" })).into_response());
        }
        _ => {}
    }
    let caller = caller(state, request.headers(), request.extensions()).await?;
    let caller = caller.ok_or_else(ApiError::unauthorized)?;
    let deployment = text(request.headers(), &DEPLOYMENT)?;
    let session = text(request.headers(), &SESSION)?;
    if session.as_ref().is_some_and(|id| id.len() > MAX_ID) {
        return Err(ApiError::invalid(format!(
            "X-Session-ID has more than {MAX_ID} bytes"
        )));
    }
    if path == "/create_session" && method == Method::POST {
        return create_session(state, &caller, deployment, request.into_body()).await;
    }
    let bound = match &session {
        Some(id) => version_of(state, &caller, id).await?,
        None => None,
    };
    let is_end = matches!(path.as_str(), "/delete" | "/delete_session");
    let target = match (bound, deployment) {
        (Some(version), _) => of_session(state, version).await?,
        (None, Some(name)) => by_name(state, &caller, &name).await?,
        // A session that does not exist can be ended.
        (None, None) => match session {
            Some(id) if is_end => return Ok(axum::Json(json!({ "sid": id })).into_response()),
            _ => return Err(ApiError::no_deployment()),
        },
    };
    if let (Some(id), "/create") = (&session, path.as_str()) {
        let (principal, id) = (caller.name.clone(), id.clone());
        let version = target.version.clone();
        check_quota(state, &target).await?;
        state
            .database
            .run(move |transaction| sessions::bind(transaction, &principal, &id, &version))
            .await?;
    }
    let response = forward(state, &caller, &target, request).await?;
    if let (Some(id), "/delete_session") = (session, path.as_str()) {
        state.pending.remove(&caller.name, &id);
        state
            .database
            .run(move |transaction| sessions::forget(transaction, &caller.name, &id))
            .await?;
    }
    Ok(response)
}

/// Sends a request for a page to the host process of a version, and returns the
/// body of a success.
pub(crate) async fn ask(
    state: &Shared,
    caller: &Caller,
    target: &Target,
    path: &str,
    body: Option<Value>,
) -> Result<Bytes, ApiError> {
    let build = Request::builder()
        .method(if body.is_some() {
            Method::POST
        } else {
            Method::GET
        })
        .uri(path);
    let build = match &body {
        Some(_) => build.header(header::CONTENT_TYPE, "application/json"),
        None => build,
    };
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = build
        .body(body)
        .map_err(|error| ApiError::internal("request of a page not made", error))?;
    let response = async {
        let response = forward(state, caller, target, request).await?;
        let status = response.status();
        let body = body::read(response.into_body(), MAX_PAGE).await?;
        Ok((status, body))
    };
    let response = tokio::time::timeout(PAGE_TIMEOUT, response).await;
    let (status, body) = response.unwrap_or_else(|_| {
        Err(ApiError::starting(
            "the environment did not respond in time; try again",
        ))
    })?;
    if status.is_success() {
        return Ok(body);
    }
    let detail: Option<Value> = serde_json::from_slice(&body).ok();
    let detail = detail
        .as_ref()
        .and_then(|body| body.get("detail")?.as_str());
    Err(ApiError::new(
        status,
        detail.unwrap_or("the environment refused the request"),
    ))
}

/// Refuses a new session of an environment whose owner has reached the quota:
/// what the session keeps is the owner's.
async fn check_quota(state: &Shared, target: &Target) -> Result<(), ApiError> {
    let (id, quota) = (target.environment.clone(), state.owner_quota());
    let checked = state.database.read(move |transaction| {
        let environment = of_platform(transaction, &id)?;
        usage::check_space(transaction, &environment.owner, quota, SESSION_SPACE)
    });
    Ok(checked.await?)
}

/// Returns the text of a header without white space around it; none if it is
/// absent or blank. Of repeated headers the first counts.
fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| ApiError::invalid(format!("the header {name} is not UTF-8")))?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Returns the version of a session, if it has one.
async fn version_of(
    state: &Shared,
    caller: &Caller,
    id: &str,
) -> Result<Option<sessions::SessionVersion>, ApiError> {
    if let Some(version) = state.pending.get(&caller.name, id) {
        return Ok(Some(version));
    }
    let (principal, id) = (caller.name.clone(), id.to_owned());
    let found = state
        .database
        .read(move |transaction| {
            let found = sessions::find(transaction, &principal, &id)?;
            Ok(found.map(|found| (found, principal, id)))
        })
        .await?;
    let Some(((version, used_at), principal, id)) = found else {
        return Ok(None);
    };
    if used_at < time_before(NOTED) {
        let noted = state
            .database
            .run(move |transaction| sessions::touch(transaction, &principal, &id));
        noted.await?;
    }
    Ok(Some(version))
}

/// Gives a new session its id, and notes the version that it will run on.
async fn create_session(
    state: &Shared,
    caller: &Caller,
    deployment: Option<String>,
    body: Body,
) -> Result<Response, ApiError> {
    // Its content has no meaning here.
    body::read(body, MANAGEMENT).await?;
    let id = Uuid::new_v4().to_string();
    if let Some(name) = deployment {
        let target = by_name(state, caller, &name).await?;
        check_quota(state, &target).await?;
        state.pending.insert(&caller.name, &id, target.version);
    }
    let events = format!("event: task_id\r\ndata: {id}\r\n\r\nevent: end\r\ndata: \r\n\r\n");
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, events).into_response())
}

/// Forwards a request to the host process of a version.
async fn forward(
    state: &Shared,
    caller: &Caller,
    target: &Target,
    request: Request,
) -> Result<Response, ApiError> {
    let starting = |error: String| {
        tracing::warn!(error, host = target.host.name, "host process not reached");
        ApiError::starting("the environment is starting; try again in a moment")
    };
    let port = state.instances.port(target).await.map_err(starting)?;
    let is_version = request.method() == Method::GET && request.uri().path() == "/version";
    let (mut head, body) = request.into_parts();
    head.headers = headers_of(state, caller, target, &head.headers)?;
    // The host process sees the path alone.
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path
        .parse()
        .map_err(|_| ApiError::invalid("the path of the request is not valid"))?;
    let sent = forward::send(port, Request::from_parts(head, body)).await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => {
            if error.is_refused() {
                state.instances.forget(target);
            }
            return Err(starting(error.to_string()));
        }
    };
    if is_version && response.status() == StatusCode::OK {
        return version(response, target).await;
    }
    let mut response = response.map(Body::new);
    for name in ["connection", "keep-alive", "transfer-encoding"] {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

fn headers_of(
    state: &Shared,
    caller: &Caller,
    target: &Target,
    given: &HeaderMap,
) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        if !NOT_FORWARDED.contains(&name.as_str()) {
            headers.append(name.clone(), value.clone());
        }
    }
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|error| ApiError::internal("request not forwarded", error))
    };
    headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    headers.insert(DEPLOYMENT, value(&target.default_variant)?);
    headers.insert(PRINCIPAL, value(&caller.name)?);
    headers.insert(PROXY_KEY, state.instances.proxy_key());
    Ok(headers)
}

/// Adds the commit of the version to the response to `/version`.
async fn version(
    response: hyper::Response<hyper::body::Incoming>,
    target: &Target,
) -> Result<Response, ApiError> {
    let bytes = Limited::new(response.into_body(), MAX_VERSION)
        .collect()
        .await
        .map_err(|error| ApiError::internal("version not read", error))?
        .to_bytes();
    let mut body: Value = serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::internal("version not read", error))?;
    if let Some(body) = body.as_object_mut() {
        body.insert("build_sha".to_owned(), target.commit.clone().into());
        body.insert(
            "deployment".to_owned(),
            target.version.deployment.clone().into(),
        );
    }
    Ok(axum::Json(body).into_response())
}
