//! Creating, listing and changing environments.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use orwd_hub_store::environments::{
    DetailsChange, EnvironmentRecord, ListQuery, NewEnvironment, change_details, create as insert,
    find, find_to_change, list as listed,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::git::repository;
use crate::http::auth::{Authenticated, MaybeCaller};
use crate::http::body::{self, MANAGEMENT};
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::{HubState, Shared};

/// Returns an environment as the clients read it.
pub(super) fn object(state: &HubState, environment: &EnvironmentRecord) -> Value {
    let settings = &environment.settings;
    let link = environment.link.as_ref();
    let address = link.map(|link| match (&link.remote, &state.config.public_url) {
        (Some(remote), _) => remote.clone(),
        (None, Some(url)) => format!("{url}/git/{}.git", link.repository_name),
        (None, None) => link.repository_name.clone(),
    });
    json!({
        "id": environment.id,
        "owner": environment.owner,
        "name": environment.name,
        "description": environment.description,
        "is_private": environment.is_private,
        "is_harbor": false,
        "has_github_connection": link.is_some(),
        "original_github_url": address,
        "subdirectory": link.and_then(|link| link.subdirectory.as_ref()),
        "compute_config": {
            "cpu_count": settings.size.cpu_count,
            "mem_gb": settings.size.mem_gb,
        },
        "min_scale": settings.min_scale,
        "max_scale": settings.max_scale,
        "max_concurrency": settings.max_concurrency,
        "arxiv_url": environment.arxiv_url,
        "external_github_url": environment.external_github_url,
        "external_hf_url": environment.external_hf_url,
        "served_deployment": environment.served,
        "created_at": environment.created_at,
        "updated_at": environment.updated_at,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    is_private: bool,
    #[serde(default)]
    is_harbor: bool,
}

/// Creates an environment, its file store and its repository.
pub(crate) async fn create(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let request: Create = body::json(body, MANAGEMENT).await?;
    refuse_harbor(request.is_harbor)?;
    let new = NewEnvironment {
        owner: request.namespace.unwrap_or_else(|| caller.name.to_string()),
        name: request.name,
        description: request.description,
        is_private: request.is_private,
    };
    let created = state
        .database
        .run(move |transaction| insert(transaction, &caller, &new))
        .await?;
    repository::create(&state, &created.id).await?;
    tracing::info!(environment = created.full_name(), "environment created");
    Ok(Json(object(&state, &created)))
}

fn refuse_harbor(is_harbor: bool) -> Result<(), ApiError> {
    if is_harbor {
        return Err(ApiError::invalid(
            "this server has no container builder, so it cannot have Harbor environments; create \
             the environment without --harbor",
        ));
    }
    Ok(())
}

/// Lists the environments that the caller sees.
pub(crate) async fn list(
    State(state): State<Shared>,
    MaybeCaller(caller): MaybeCaller,
    filter: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let (limit, offset) = filter.rows(50)?;
    let query = ListQuery {
        owner: filter.text("owner"),
        search: filter.text("search"),
        limit,
        offset,
    };
    let (rows, total) = state
        .database
        .read(move |transaction| listed(transaction, caller.as_ref(), &query))
        .await?;
    let rows: Vec<Value> = rows.iter().map(|row| object(&state, row)).collect();
    Ok(Json(json!({ "environments": rows, "total": total })))
}

/// Returns one environment.
pub(crate) async fn get(
    State(state): State<Shared>,
    MaybeCaller(caller): MaybeCaller,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = state
        .database
        .read(move |transaction| find(transaction, &owner, &name, caller.as_ref()))
        .await?;
    Ok(Json(object(&state, &found)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    new_name: Option<String>,
    new_description: Option<String>,
    new_is_private: Option<bool>,
    new_is_harbor: Option<bool>,
    #[serde(deserialize_with = "present")]
    new_arxiv_url: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    new_external_github_url: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    new_external_hf_url: Option<Option<String>>,
}

/// Reads a value that is present, where null means something else than absence.
pub(super) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Changes the details that the request names.
pub(crate) async fn details(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path((owner, name)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let details: Details = body::json(body, MANAGEMENT).await?;
    refuse_harbor(details.new_is_harbor == Some(true))?;
    let change = DetailsChange {
        name: details.new_name,
        description: details.new_description,
        is_private: details.new_is_private,
        arxiv_url: details.new_arxiv_url,
        external_github_url: details.new_external_github_url,
        external_hf_url: details.new_external_hf_url,
    };
    let changed = state
        .database
        .run(move |transaction| {
            let before = find_to_change(transaction, &owner, &name, &caller)?;
            change_details(transaction, &caller, &before, change)
        })
        .await?;
    tracing::info!(environment = changed.full_name(), "environment changed");
    Ok(Json(object(&state, &changed)))
}
