//! Storing a file at the address that a client was given.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use orwd_hub_store::deployments::{DeploymentSource, NewDeployment, enqueue};
use orwd_hub_store::environments::of_platform;
use orwd_hub_store::files::{self, FileChange};
use serde_json::{Value, json};

use super::receive::{receive, too_large};
use super::upload_token::UploadToken;
use crate::admission::shares::place;
use crate::admission::source::RequestSource;
use crate::http::body::announced;
use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};

/// Bytes of a component that is deployed.
const MAX_COMPONENT: u64 = 256 << 20;

/// Stores a file, or deploys a component.
pub(crate) async fn put(
    State(state): State<Shared>,
    Extension(source): Extension<RequestSource>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let token = UploadToken::open(&token, &state.upload_key).ok_or_else(|| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "this upload address is not valid or has expired; ask for another",
        )
    })?;
    let id = token.environment.clone();
    let environment = state
        .database
        .read(move |transaction| of_platform(transaction, &id))
        .await?;
    source.identify(&Arc::from(environment.owner.as_str()))?;
    let _place = place(&state.shares.uploads, &environment.owner, 1).await?;
    let limit = match token.component() {
        Some(_) => MAX_COMPONENT,
        None => free_space(&state, &token).await?,
    };
    if announced(&headers) > Some(limit) {
        return Err(too_large(limit));
    }
    let received = receive(body, limit, &state.layout.temp()).await?;
    let (size, blobs) = (received.size, state.blobs.clone());
    let digest = tokio::task::spawn_blocking(move || blobs.keep(received))
        .await
        .map_err(|error| ApiError::internal("file not stored", error))?
        .map_err(|error| ApiError::internal("file not stored", error))?;
    match token.component() {
        Some(_) => deploy(&state, &token, digest).await,
        None => store(&state, token, digest, size).await,
    }
}

/// Returns how many bytes the environment may still store.
async fn free_space(state: &HubState, token: &UploadToken) -> Result<u64, ApiError> {
    let environment = token.environment.clone();
    let used = state
        .database
        .read(move |transaction| files::total_size(transaction, &environment))
        .await?;
    let used = u64::try_from(used).unwrap_or_default();
    Ok(state.config.file_quota.saturating_sub(used))
}

async fn store(
    state: &HubState,
    token: UploadToken,
    digest: String,
    size: u64,
) -> Result<Json<Value>, ApiError> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let change = FileChange {
        path: token.path,
        digest,
        size: signed(size),
    };
    let (environment, quota) = (token.environment, signed(state.config.file_quota));
    state
        .database
        .run(move |transaction| files::put(transaction, &environment, &change, quota))
        .await?;
    Ok(Json(json!({ "size": size })))
}

/// Queues the deployment of a component.
async fn deploy(
    state: &HubState,
    token: &UploadToken,
    digest: String,
) -> Result<Json<Value>, ApiError> {
    let name = token.component().unwrap_or_default().to_owned();
    let environment = token.environment.clone();
    let queued = state
        .database
        .run(move |transaction| {
            let new = NewDeployment {
                source: DeploymentSource::Upload(name),
                branch: "upload".to_owned(),
                commit: digest,
                subdirectory: None,
                created_by: "upload".to_owned(),
            };
            enqueue(transaction, &environment, &new)
        })
        .await?;
    state.queued.notify_waiters();
    Ok(Json(json!({ "deploymentId": queued.id })))
}
