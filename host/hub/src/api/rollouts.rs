//! Runs and rollouts.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use orwd_hub_store::rollouts::{self as store, RolloutEvent, RolloutRecord, RunRecord};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::page;
use crate::admission::shares::place;
use crate::http::auth::Authenticated;
use crate::http::body::{self, ROLLOUTS, announced};
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
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let bytes = announced(&headers).unwrap_or(ROLLOUTS as u64);
    let bytes = usize::try_from(bytes).unwrap_or(ROLLOUTS).min(ROLLOUTS);
    let _place = place(&state.shares.batches, &caller.name, bytes).await?;
    let batch: Batch = body::json(body, ROLLOUTS).await?;
    let (accepted, quota) = (batch.events.len(), state.owner_quota());
    state
        .database
        .run(move |transaction| store::ingest(transaction, &caller, &batch.events, quota))
        .await?;
    Ok(Json(json!({ "accepted": accepted })))
}

/// A page of runs.
#[derive(Serialize)]
pub(crate) struct Runs {
    runs: Vec<RunObject>,
    total: i64,
}

/// Lists the caller's runs.
pub(crate) async fn runs(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    filter: QueryParameters,
) -> Result<Json<Runs>, ApiError> {
    let (limit, offset) = page::rows(&filter, 20)?;
    let (rows, total) = state
        .database
        .read(move |transaction| {
            let search = filter.text("search");
            store::runs(transaction, &caller, search.as_deref(), limit, offset)
        })
        .await?;
    let runs = rows.into_iter().map(RunObject::from).collect();
    Ok(Json(Runs { runs, total }))
}

/// Returns a run of the caller.
pub(crate) async fn run(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<RunObject>, ApiError> {
    let found = state
        .database
        .read(move |transaction| store::run(transaction, &caller, &id))
        .await?;
    Ok(Json(found.into()))
}

/// A page of rollouts.
#[derive(Serialize)]
pub(crate) struct Rollouts {
    rollouts: Vec<RolloutObject>,
    total: i64,
}

/// Lists the rollouts of a run.
pub(crate) async fn rollouts(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    filter: QueryParameters,
) -> Result<Json<Rollouts>, ApiError> {
    let (limit, offset) = page::rows(&filter, 20)?;
    let (rows, total) = state
        .database
        .read(move |transaction| store::rollouts_of(transaction, &caller, &id, limit, offset))
        .await?;
    let rollouts = rows.into_iter().map(RolloutObject::from).collect();
    Ok(Json(Rollouts { rollouts, total }))
}

/// Returns a rollout with its messages. More of them than a page holds are read
/// with `offset`, the number of messages before.
pub(crate) async fn rollout(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    filter: QueryParameters,
) -> Result<Json<RolloutObject>, ApiError> {
    let (_, offset) = page::rows(&filter, 1)?;
    let (found, page) = state
        .database
        .read(move |transaction| {
            let found = store::rollout(transaction, &caller, &id)?;
            let page = store::messages_of(transaction, &caller, &found, offset)?;
            Ok((found, page))
        })
        .await?;
    let mut object = RolloutObject::from(found);
    object.messages = Some(page.messages);
    object.next_offset = page.next;
    Ok(Json(object))
}

/// A run as the clients read it.
#[derive(Serialize)]
pub(crate) struct RunObject {
    id: String,
    name: String,
    run_info: Box<RawValue>,
    num_rollouts: i64,
    avg_rollout_reward: Option<f64>,
    avg_rollout_length: Option<f64>,
    created_at: String,
    updated_at: String,
}

impl From<RunRecord> for RunObject {
    fn from(run: RunRecord) -> RunObject {
        RunObject {
            id: run.id,
            name: run.name,
            run_info: run.info,
            num_rollouts: run.num_rollouts,
            avg_rollout_reward: run.avg_reward,
            avg_rollout_length: run.avg_length,
            created_at: run.created_at,
            updated_at: run.updated_at,
        }
    }
}

/// A rollout as the clients read it.
#[derive(Serialize)]
pub(crate) struct RolloutObject {
    id: String,
    run_id: String,
    #[serde(rename = "rolloutName")]
    name: Option<String>,
    environment: Option<String>,
    environment_id: Option<String>,
    variant: Option<String>,
    split: Option<String>,
    metadata: Box<RawValue>,
    task_spec: Box<RawValue>,
    rollout_info: Box<RawValue>,
    num_messages: i64,
    max_reward: Option<f64>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<i64>,
}

impl From<RolloutRecord> for RolloutObject {
    fn from(rollout: RolloutRecord) -> RolloutObject {
        RolloutObject {
            id: rollout.id,
            run_id: rollout.run,
            name: rollout.name,
            environment: rollout.environment,
            environment_id: rollout.environment_id,
            variant: rollout.variant,
            split: rollout.split,
            metadata: rollout.metadata,
            task_spec: rollout.task_spec,
            rollout_info: rollout.info,
            num_messages: rollout.num_messages,
            max_reward: rollout.max_reward,
            created_at: rollout.created_at,
            messages: None,
            next_offset: None,
        }
    }
}
