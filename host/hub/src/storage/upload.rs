//! Storing a file at the address that a client was given.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use orwd_hub_store::deployments::{DeploymentSource, NewDeployment, enqueue};
use orwd_hub_store::environments::{EnvironmentRecord, of_platform};
use orwd_hub_store::files::{self, FileChange, add_content};
use orwd_hub_store::{HubStoreError, usage};
use serde_json::{Value, json};

use super::receive::{receive, too_large};
use super::upload_token::UploadToken;
use crate::admission::shares::place;
use crate::admission::source::RequestSource;
use crate::http::body::announced;
use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};
use crate::upkeep::discard;

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
    let left = free_space(&state, &token, &environment.owner).await?;
    let most = match token.component() {
        Some(_) => MAX_COMPONENT.min(left),
        None => left,
    };
    // What other uploads of the owner may still bring is not free.
    let reserved = state
        .reserved
        .reserve(&environment.owner, announced(&headers), left);
    let limit = reserved.bytes().min(most);
    if announced(&headers) > Some(limit) {
        return Err(too_large(limit));
    }
    let received = receive(body, limit, &state.layout.temp()).await?;
    let (size, blobs) = (received.size, state.blobs.clone());
    let digest = tokio::task::spawn_blocking(move || blobs.keep(received))
        .await
        .map_err(|error| ApiError::internal("file not stored", error))?
        .map_err(|error| ApiError::internal("file not stored", error))?;
    let stored = match token.component() {
        Some(_) => deploy(&state, &token, &environment, digest.clone(), size).await,
        None => store(&state, token, &environment, digest.clone(), size).await,
    };
    if stored.is_err() {
        let (database, path) = (state.database.clone(), state.blobs.path(&digest));
        let discarded = tokio::task::spawn_blocking(move || discard(&database, path, digest));
        if let Ok(Err(error)) = discarded.await {
            tracing::error!(error, "refused upload not removed");
        }
    }
    stored
}

/// Returns how many bytes the environment and its owner may still store.
async fn free_space(state: &HubState, token: &UploadToken, owner: &str) -> Result<u64, ApiError> {
    let (environment, owner) = (token.environment.clone(), owner.to_owned());
    let (owner_quota, file_quota) = (state.owner_quota(), signed(state.config.file_quota));
    let left = state
        .database
        .read(move |transaction| {
            let of_owner = usage::remaining(transaction, &owner, owner_quota)?;
            let used = files::total_size(transaction, &environment)?;
            Ok(of_owner.min(file_quota.saturating_sub(used)))
        })
        .await?;
    Ok(u64::try_from(left).unwrap_or_default())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Checks that a content was not collected since it was received.
fn check_present(path: &std::path::Path) -> Result<(), HubStoreError> {
    if path.exists() {
        return Ok(());
    }
    Err(HubStoreError::Busy(
        "the content was removed at the same time; send it again".to_owned(),
    ))
}

async fn store(
    state: &HubState,
    token: UploadToken,
    environment: &EnvironmentRecord,
    digest: String,
    size: u64,
) -> Result<Json<Value>, ApiError> {
    let content = state.blobs.path(&digest);
    let change = FileChange {
        path: token.path,
        digest,
        size: signed(size),
    };
    let (id, owner) = (environment.id.clone(), environment.owner.clone());
    let (quota, owner_quota) = (signed(state.config.file_quota), state.owner_quota());
    state
        .database
        .run(move |transaction| {
            check_present(&content)?;
            files::put(transaction, &id, &change, quota)?;
            usage::check(transaction, &owner, owner_quota)
        })
        .await?;
    Ok(Json(json!({ "size": size })))
}

/// Queues the deployment of a component.
async fn deploy(
    state: &HubState,
    token: &UploadToken,
    environment: &EnvironmentRecord,
    digest: String,
    size: u64,
) -> Result<Json<Value>, ApiError> {
    let name = token.component().unwrap_or_default().to_owned();
    let content = state.blobs.path(&digest);
    let (id, owner, quota) = (
        environment.id.clone(),
        environment.owner.clone(),
        state.owner_quota(),
    );
    let queued = state
        .database
        .run(move |transaction| {
            check_present(&content)?;
            add_content(transaction, &id, &digest, signed(size))?;
            usage::check(transaction, &owner, quota)?;
            let new = NewDeployment {
                source: DeploymentSource::Upload(name),
                branch: "upload".to_owned(),
                commit: digest,
                subdirectory: None,
                created_by: "upload".to_owned(),
            };
            enqueue(transaction, &id, &new)
        })
        .await?;
    state.queued.notify_waiters();
    Ok(Json(json!({ "deploymentId": queued.id })))
}
