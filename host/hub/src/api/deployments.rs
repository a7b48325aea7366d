//! Deployments and their logs.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use orwd_hub_store::HubStoreError;
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::deployments::{
    DeploymentRecord, DeploymentStatus, by_prefix, latest_entries, log_text, of_environment, serve,
};
use orwd_hub_store::environments::{EnvironmentRecord, by_id_to_change, find_to_change};
use serde::Deserialize;
use serde_json::{Value, json};

use super::environments::object;
use super::page;
use crate::http::auth::Authenticated;
use crate::http::body::{self, MANAGEMENT};
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::{HubState, Shared};

fn row(deployment: &DeploymentRecord, served: Option<&str>) -> Value {
    json!({
        "id": deployment.id,
        "status": deployment.status.as_str(),
        "gitBranch": deployment.branch,
        "commitSha": deployment.commit,
        "subdirectory": deployment.subdirectory,
        "is_current": served == Some(deployment.id.as_str()),
        "version": deployment.digest,
        "error": deployment.error,
        "created_by": deployment.created_by,
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
    })
}

/// Lists the deployments of an environment, newest first.
pub(crate) async fn list(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (environment, deployments) = state
        .database
        .read(move |transaction| {
            let environment = by_id_to_change(transaction, &id, &caller)?;
            let deployments = of_environment(transaction, &environment.id)?;
            Ok((environment, deployments))
        })
        .await?;
    let served = environment.served.as_deref();
    let rows: Vec<Value> = deployments.iter().map(|found| row(found, served)).collect();
    Ok(Json(rows.into()))
}

/// Returns the build log.
pub(crate) async fn build_log(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (deployment, log) = state
        .database
        .read(move |transaction| {
            let deployment = by_prefix(transaction, &caller, &id)?;
            let log = log_text(transaction, &deployment.id)?;
            Ok((deployment, log))
        })
        .await?;
    Ok(Json(
        json!({ "logs": log, "status": deployment.status.as_str() }),
    ))
}

/// Returns what the platform logged about the operation of a deployment. What
/// guests print is not among it, since it is for the owners of their sessions.
pub(crate) async fn runtime_log(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    query: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let limit = page::limit(&query, 50)?;
    let (deployment, entries) = state
        .database
        .read(move |transaction| {
            let deployment = by_prefix(transaction, &caller, &id)?;
            let entries = latest_entries(transaction, &deployment.id, limit)?;
            Ok((deployment, entries))
        })
        .await?;
    Ok(Json(
        json!({ "entries": entries, "status": deployment.status.as_str() }),
    ))
}

/// Lists the builds of tasks. Only container environments have such.
pub(crate) async fn task_builds(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    state
        .database
        .read(move |transaction| by_prefix(transaction, &caller, &id))
        .await?;
    Ok(Json(json!({ "taskBuilds": [] })))
}

/// There is no build of a task.
pub(crate) async fn task_build_log(
    Authenticated(_): Authenticated,
    Path(id): Path<String>,
) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("there is no task build {id}"),
    )
}

#[derive(Deserialize)]
struct Rollback {
    deployment: String,
}

/// Serves an earlier version again. Sessions stay on the version that they began
/// with.
pub(crate) async fn rollback(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path((owner, name)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let request: Rollback = body::json(body, MANAGEMENT).await?;
    let changed = serve_again(&state, caller, (owner, name), request.deployment).await?;
    Ok(Json(object(&state, &changed)))
}

/// Makes an environment serve one of its earlier versions.
pub(crate) async fn serve_again(
    state: &HubState,
    caller: Caller,
    (owner, name): (String, String),
    id: String,
) -> Result<EnvironmentRecord, ApiError> {
    let changed = state
        .database
        .run(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            let deployment = by_prefix(transaction, &caller, &id)?;
            if deployment.environment != environment.id {
                return Err(HubStoreError::Missing(format!(
                    "{} has no deployment {id}",
                    environment.full_name()
                )));
            }
            if deployment.status != DeploymentStatus::Deployed {
                return Err(HubStoreError::Conflict(format!(
                    "the deployment {id} is {}; only a deployed one can be served again",
                    deployment.status.as_str()
                )));
            }
            serve(transaction, &environment.id, &deployment.id)?;
            find_to_change(transaction, &owner, &name, &caller)
        })
        .await?;
    tracing::info!(
        environment = changed.full_name(),
        "earlier version served again"
    );
    Ok(changed)
}
