//! Runs and rollouts.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use orwd_hub_store::rollouts::{self as store, RolloutEvent, RolloutRecord, RunRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page;
use crate::http::auth::Authenticated;
use crate::http::body::{self, ROLLOUTS};
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;

#[derive(Deserialize)]
struct Batch {
    events: Vec<RolloutEvent>,
}

/// Stores a batch of events.
pub(crate) async fn ingest(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let batch: Batch = body::json(body, ROLLOUTS).await?;
    let accepted = batch.events.len();
    state
        .database
        .run(move |transaction| store::ingest(transaction, &caller, &batch.events))
        .await?;
    Ok(Json(json!({ "accepted": accepted })))
}

/// Lists the caller's runs.
pub(crate) async fn runs(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    filter: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let (limit, offset) = page::rows(&filter, 20)?;
    let (rows, total) = state
        .database
        .run(move |transaction| {
            let search = filter.text("search");
            store::runs(transaction, &caller, search.as_deref(), limit, offset)
        })
        .await?;
    let rows: Vec<Value> = rows.iter().map(run_object).collect();
    Ok(Json(json!({ "runs": rows, "total": total })))
}

/// Returns a run of the caller.
pub(crate) async fn run(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = state
        .database
        .run(move |transaction| store::run(transaction, &caller, &id))
        .await?;
    Ok(Json(run_object(&found)))
}

/// Lists the rollouts of a run.
pub(crate) async fn rollouts(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    filter: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let (limit, offset) = page::rows(&filter, 20)?;
    let (rows, total) = state
        .database
        .run(move |transaction| store::rollouts_of(transaction, &caller, &id, limit, offset))
        .await?;
    let rows: Vec<Value> = rows.iter().map(rollout_object).collect();
    Ok(Json(json!({ "rollouts": rows, "total": total })))
}

/// Returns a rollout with its messages.
pub(crate) async fn rollout(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (found, messages) = state
        .database
        .run(move |transaction| {
            let found = store::rollout(transaction, &caller, &id)?;
            let messages = store::messages_of(transaction, &caller, &id)?;
            Ok((found, messages))
        })
        .await?;
    let mut object = rollout_object(&found);
    if let Some(object) = object.as_object_mut() {
        object.insert("messages".to_owned(), messages.into());
    }
    Ok(Json(object))
}

fn run_object(run: &RunRecord) -> Value {
    json!({
        "id": run.id,
        "name": run.name,
        "run_info": run.info,
        "num_rollouts": run.num_rollouts,
        "avg_rollout_reward": run.avg_reward,
        "avg_rollout_length": run.avg_length,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
    })
}

fn rollout_object(rollout: &RolloutRecord) -> Value {
    json!({
        "id": rollout.id,
        "run_id": rollout.run,
        "rolloutName": rollout.name,
        "environment": rollout.environment,
        "environment_id": rollout.environment_id,
        "variant": rollout.variant,
        "split": rollout.split,
        "metadata": rollout.metadata,
        "task_spec": rollout.task_spec,
        "rollout_info": rollout.info,
        "num_messages": rollout.num_messages,
        "max_reward": rollout.max_reward,
        "created_at": rollout.created_at,
    })
}
