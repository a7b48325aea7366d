//! The routes.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post, put};

use super::error::ApiError;
use super::state::Shared;
use crate::api::{accounts, billing, deployments, environments, facts, files, links, rollouts};
use crate::git::http_backend;
use crate::sessions::proxy;
use crate::storage::upload;
use crate::web;

/// Returns the routes of the platform. What is not among them is a page that a
/// browser asks for, or a request of a session.
pub(crate) fn router(state: Shared) -> Router {
    let pages = web::router::routes(state.clone());
    Router::new()
        .route("/v1/namespace/current", get(accounts::namespace))
        .route("/v1/orwd/login", post(accounts::login))
        .route(
            "/v1/environments",
            get(environments::list).post(environments::create),
        )
        .route("/v1/environments/{owner}/{name}", get(environments::get))
        .route(
            "/v1/environments/{owner}/{name}/details",
            put(environments::details),
        )
        .route(
            "/v1/environments/{owner}/{name}/variants",
            get(facts::variants),
        )
        .route(
            "/v1/environments/{owner}/{name}/required-secrets",
            get(facts::secrets),
        )
        .route(
            "/v1/environments/{owner}/{name}/task-difficulty",
            get(facts::difficulty),
        )
        .route(
            "/v1/orwd/environments/{owner}/{name}/rollback",
            post(deployments::rollback),
        )
        .route("/v1/github/auth-status", get(links::auth_status))
        .route("/v1/github/repos", get(links::repositories))
        .route(
            "/v1/github/environments/{owner}/{name}/connect",
            post(links::connect),
        )
        .route(
            "/v1/github/environments/{id}",
            put(links::update).delete(links::unlink),
        )
        .route(
            "/v1/github/environments/{id}/deployments",
            get(deployments::list),
        )
        .route(
            "/v1/github/deployments/{id}/logs",
            get(deployments::build_log),
        )
        .route(
            "/v1/github/deployments/{id}/runtime-logs",
            get(deployments::runtime_log),
        )
        .route(
            "/v1/github/deployments/{id}/task-builds",
            get(deployments::task_builds),
        )
        .route(
            "/v1/github/task-builds/{id}/logs",
            get(deployments::task_build_log),
        )
        .route("/v1/files/upload-urls", post(files::upload_urls))
        .route("/v1/files/{id}", get(files::list))
        .route("/v1/files/{id}/{path}", delete(files::delete_file))
        .route("/v1/files/{id}/folder/{path}", delete(files::delete_folder))
        .route("/v1/uploads/{token}", put(upload::put))
        .route("/v1/runs", get(rollouts::runs))
        .route("/v1/runs/{id}", get(rollouts::run))
        .route("/v1/runs/{id}/rollouts", get(rollouts::rollouts))
        .route("/v1/rollouts", post(rollouts::ingest))
        .route("/v1/rollouts/{id}", get(rollouts::rollout))
        .route("/v1/billing/api-usage", get(billing::usage))
        .route("/git/{*path}", any(http_backend::serve))
        .fallback(move |state, request| fallback(pages, state, request))
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (request.method().as_str(), request.uri().path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("the route {path} does not support {method}"),
    )
}

async fn fallback(pages: Router, State(state): State<Shared>, request: Request) -> Response {
    if web::router::is_page(&request) {
        return web::router::serve(&state, pages, request).await;
    }
    let path = request.uri().path();
    if path.starts_with("/v1/") || path == "/v1" {
        let message = format!("there is no route {} {path}", request.method());
        return ApiError::new(StatusCode::NOT_FOUND, message).into_response();
    }
    proxy::serve(&state, request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}
