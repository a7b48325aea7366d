//! What is known of the served version of an environment, and of its tasks.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use orwd_hub_store::HubStoreError;
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::deployments::{DeploymentRecord, version_of};
use orwd_hub_store::environments::{EnvironmentRecord, find};
use orwd_hub_store::rollouts::{DifficultyQuery, task_difficulty};
use serde_json::{Value, json};

use crate::admission::shares::place;
use crate::admission::source::RequestSource;
use crate::http::auth::MaybeCaller;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;

/// Returns an environment that the caller may see, and the version that it serves, if
/// any.
pub(crate) async fn served(
    state: &Shared,
    caller: Option<Caller>,
    (owner, name): (String, String),
) -> Result<(EnvironmentRecord, Option<DeploymentRecord>), ApiError> {
    let found = state
        .database
        .read(move |transaction| {
            let environment = find(transaction, &owner, &name, caller.as_ref())?;
            match version_of(transaction, &environment, None) {
                Ok(version) => Ok((environment, Some(version))),
                Err(HubStoreError::Missing(_)) => Ok((environment, None)),
                Err(error) => Err(error),
            }
        })
        .await?;
    Ok(found)
}

/// Lists the environments that the served version holds.
pub(crate) async fn variants(
    State(state): State<Shared>,
    MaybeCaller(caller): MaybeCaller,
    Path(name): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (environment, version) = served(&state, caller, name).await?;
    let names = version.map(|version| version.variants).unwrap_or_default();
    let rows: Vec<Value> = names
        .iter()
        .map(|name| json!({ "id": format!("{}:{name}", environment.id), "name": name }))
        .collect();
    Ok(Json(rows.into()))
}

/// Lists the secrets that the served version declares.
pub(crate) async fn secrets(
    State(state): State<Shared>,
    MaybeCaller(caller): MaybeCaller,
    Path(name): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (_, version) = served(&state, caller, name).await?;
    let names = version.map(|version| version.secrets).unwrap_or_default();
    Ok(Json(json!({ "secrets": names })))
}

/// Returns how hard the tasks are, by the rollouts of the members of its owner.
pub(crate) async fn difficulty(
    State(state): State<Shared>,
    MaybeCaller(caller): MaybeCaller,
    Extension(source): Extension<RequestSource>,
    Path((owner, name)): Path<(String, String)>,
    query: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let query = DifficultyQuery {
        variant: query.text("variant"),
        split: query.text("split"),
        model_name: query.text("model_name"),
        min_model_params: query.number("min_model_params")?,
        max_model_params: query.number("max_model_params")?,
        training_stage: query.text("training_stage"),
    };
    let whose = match &caller {
        Some(caller) => caller.name.to_string(),
        None => source.network().to_string(),
    };
    let _place = place(&state.shares.reports, &whose, 1).await?;
    let tasks = state
        .database
        .report(move |transaction| {
            let environment = find(transaction, &owner, &name, caller.as_ref())?;
            task_difficulty(transaction, &environment.id, &query)
        })
        .await?;
    Ok(Json(json!({ "tasks": tasks })))
}
