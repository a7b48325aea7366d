//! The routes.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};

use super::error::ApiError;
use super::routes::{RouteList, Routes, listed};
use super::state::Shared;
use crate::api::{
    accounts, billing, deletion, deployments, environments, facts, files, links, rollouts,
};
use crate::deploy::remotes::webhook;
use crate::git::http_backend;
use crate::sessions::proxy;
use crate::storage::upload;
use crate::web;

/// Returns the routes of the platform. What is not among them is a page that a
/// browser asks for, or a request of a session.
pub(crate) fn router(state: Shared) -> Router {
    let pages = web::router::routes();
    let routes = Routes::default()
        .get("/v1/orwd/routes", listed)
        .get("/v1/namespace/current", accounts::namespace)
        .post("/v1/orwd/login", accounts::login)
        .get("/v1/environments", environments::list)
        .post("/v1/environments", environments::create)
        .get("/v1/environments/{owner}/{name}", environments::get)
        .put(
            "/v1/environments/{owner}/{name}/details",
            environments::details,
        )
        .get("/v1/environments/{owner}/{name}/variants", facts::variants)
        .get(
            "/v1/environments/{owner}/{name}/required-secrets",
            facts::secrets,
        )
        .get(
            "/v1/environments/{owner}/{name}/task-difficulty",
            facts::difficulty,
        )
        .post(
            "/v1/orwd/environments/{owner}/{name}/rollback",
            deployments::rollback,
        )
        .get(
            "/v1/orwd/environments/{owner}/{name}/webhook",
            links::webhook,
        )
        .post(
            "/v1/orwd/environments/{owner}/{name}/webhook",
            links::renew_webhook,
        )
        .post("/v1/orwd/hooks/{id}", webhook::receive)
        .delete("/v1/orwd/environments/{owner}/{name}", deletion::delete)
        .get("/v1/orwd/deleted", deletion::list)
        .post("/v1/orwd/deleted/{id}/restore", deletion::restore)
        .delete("/v1/orwd/deleted/{id}", deletion::remove)
        .get("/v1/orwd/audit", deletion::log)
        .get("/v1/github/auth-status", links::auth_status)
        .get("/v1/github/repos", links::repositories)
        .post(
            "/v1/github/environments/{owner}/{name}/connect",
            links::connect,
        )
        .put("/v1/github/environments/{id}", links::update)
        .delete("/v1/github/environments/{id}", links::unlink)
        .get(
            "/v1/github/environments/{id}/deployments",
            deployments::list,
        )
        .get("/v1/github/deployments/{id}/logs", deployments::build_log)
        .get(
            "/v1/github/deployments/{id}/runtime-logs",
            deployments::runtime_log,
        )
        .get(
            "/v1/github/deployments/{id}/task-builds",
            deployments::task_builds,
        )
        .get(
            "/v1/github/task-builds/{id}/logs",
            deployments::task_build_log,
        )
        .post("/v1/files/upload-urls", files::upload_urls)
        .get("/v1/files/{id}", files::list)
        .delete("/v1/files/{id}/{path}", files::delete_file)
        .delete("/v1/files/{id}/folder/{path}", files::delete_folder)
        .put("/v1/uploads/{token}", upload::put)
        .get("/v1/runs", rollouts::runs)
        .get("/v1/runs/{id}", rollouts::run)
        .get("/v1/runs/{id}/rollouts", rollouts::rollouts)
        .post("/v1/rollouts", rollouts::ingest)
        .get("/v1/rollouts/{id}", rollouts::rollout)
        .get("/v1/billing/api-usage", billing::usage)
        .any("/git/{*path}", http_backend::serve);
    let listed = RouteList::of(&[&routes, &pages]);
    let pages = pages.router.with_state(state.clone());
    routes
        .router
        .layer(Extension(listed))
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
