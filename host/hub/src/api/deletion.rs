//! Deleting environments, restoring them, and the log of changes.

use axum::Json;
use axum::extract::{Path, State};
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::audit::{AuditQuery, latest};
use orwd_hub_store::environments::{
    self, DeletedEnvironment, EnvironmentRecord, find_to_change, list_deleted,
};
use serde_json::{Value, json};

use super::environments::object;
use crate::http::auth::Authenticated;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::{HubState, Shared};

fn row(deleted: &DeletedEnvironment) -> Value {
    json!({
        "id": deleted.id,
        "owner": deleted.owner,
        "name": deleted.name,
        "deleted_at": deleted.deleted_at,
        "remove_at": deleted.remove_at,
    })
}

/// Hides an environment, which can be restored for a time.
pub(crate) async fn delete_environment(
    state: &HubState,
    caller: Caller,
    (owner, name): (String, String),
) -> Result<DeletedEnvironment, ApiError> {
    let retention = state.config.deleted_retention;
    let deleted = state
        .database
        .run(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            environments::delete(transaction, &caller, &environment, retention)
        })
        .await?;
    tracing::info!(
        environment = deleted.full_name(),
        id = deleted.id,
        "environment deleted"
    );
    state.instances.stop_of(&deleted.id).await;
    Ok(deleted)
}

/// Restores a deleted environment.
pub(crate) async fn restore_environment(
    state: &HubState,
    caller: Caller,
    id: String,
) -> Result<EnvironmentRecord, ApiError> {
    let restored = state
        .database
        .run(move |transaction| environments::restore(transaction, &caller, &id))
        .await?;
    tracing::info!(
        environment = restored.full_name(),
        id = restored.id,
        "environment restored"
    );
    Ok(restored)
}

/// Removes a deleted environment before its time.
pub(crate) async fn remove_environment(
    state: &HubState,
    caller: Caller,
    id: String,
) -> Result<DeletedEnvironment, ApiError> {
    let removed = state
        .database
        .run(move |transaction| environments::give_up(transaction, &caller, &id))
        .await?;
    state.upkeep.notify_one();
    Ok(removed)
}

/// Deletes an environment.
pub(crate) async fn delete(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(name): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let deleted = delete_environment(&state, caller, name).await?;
    Ok(Json(row(&deleted)))
}

/// Lists the deleted environments that the caller may restore.
pub(crate) async fn list(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Value>, ApiError> {
    let found = state
        .database
        .read(move |transaction| list_deleted(transaction, &caller))
        .await?;
    let rows: Vec<Value> = found.iter().map(row).collect();
    Ok(Json(json!({ "environments": rows })))
}

/// Restores a deleted environment.
pub(crate) async fn restore(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let restored = restore_environment(&state, caller, id).await?;
    Ok(Json(object(&state, &restored)))
}

/// Removes a deleted environment for good.
pub(crate) async fn remove(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let removed = remove_environment(&state, caller, id).await?;
    Ok(Json(row(&removed)))
}

/// Returns the newest changes of what the caller may change.
pub(crate) async fn log(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    query: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let wanted = AuditQuery {
        before: query.number("before")?,
        search: query.text("search"),
        limit: query.limit(50)?,
    };
    let found = state
        .database
        .read(move |transaction| latest(transaction, &caller.changeable(), &wanted))
        .await?;
    let rows: Vec<Value> = found
        .iter()
        .map(|entry| {
            json!({
                "number": entry.number,
                "created_at": entry.created_at,
                "actor": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
            })
        })
        .collect();
    Ok(Json(json!({ "entries": rows })))
}
