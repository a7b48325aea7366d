//! Links of environments to the repositories that they are deployed from: ours, or
//! repositories elsewhere. The paths say GitHub, since `openreward` does.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use orwd_hub_store::HubStoreError;
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::environments::{
    self, EnvironmentRecord, RemoteRecord, ScalingChange, ScalingSettings, by_id_to_change,
    change_settings, change_subdirectory, check_relative_path, find_to_change, link_remote,
    remote_to_change, renew_webhook as renew, repositories as listed,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::environments::{object, present};
use crate::deploy::remotes::address::RemoteAddress;
use crate::deploy::remotes::webhook::{path_of, secret_of};
use crate::deploy::repositories::deploy_head;
use crate::http::auth::Authenticated;
use crate::http::body::{self, MANAGEMENT};
use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};

/// The command line opens a browser unless this is a success.
pub(crate) async fn auth_status(Authenticated(_): Authenticated) -> Json<Value> {
    Json(json!({ "status": "success" }))
}

/// Lists the repositories that the caller may deploy from.
pub(crate) async fn repositories(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let rows = state
        .database
        .read(move |transaction| listed(transaction, &caller))
        .await?;
    let base = state.base_url(&headers);
    let elsewhere: BTreeSet<&String> = rows
        .iter()
        .filter_map(|row| row.link.as_ref()?.remote.as_ref())
        .collect();
    let elsewhere = elsewhere.into_iter().map(
        |url| json!({ "id": url, "installationId": "self", "cloneUrl": url, "fullName": url }),
    );
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let name = row.full_name();
            json!({
                "id": &row.id,
                "installationId": "self",
                "cloneUrl": format!("{base}/git/{name}.git"),
                "fullName": name,
            })
        })
        .chain(elsewhere)
        .collect();
    Ok(Json(json!({ "status": "success", "repos": rows })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connect {
    github_repo_id: String,
    #[serde(default)]
    settings: ScalingChange,
    subdirectory: Option<String>,
}

/// Links an environment, and deploys the head of the repository.
pub(crate) async fn connect(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let request: Connect = body::json(body, MANAGEMENT).await?;
    let author = caller.name.to_string();
    if RemoteAddress::is_meant(&request.github_repo_id) {
        let link = NewRemote {
            url: request.github_repo_id,
            subdirectory: request.subdirectory,
            settings: Some(request.settings),
        };
        let (linked, remote) = link_elsewhere(&state, caller, (owner, name), link).await?;
        apply_settings(&state, &linked).await;
        let webhook = webhook_object(&state, &headers, &remote, true);
        return Ok(Json(
            json!({ "environmentId": linked.id, "webhook": webhook }),
        ));
    }
    let linked = state
        .database
        .run(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            let repository = by_id_to_change(transaction, &request.github_repo_id, &caller)?;
            let subdirectory = folder(request.subdirectory)?;
            let mut settings = ScalingSettings::default();
            request.settings.apply(&mut settings)?;
            change_settings(transaction, &environment.id, &settings)?;
            let (id, subdirectory) = (&environment.id, subdirectory.as_deref());
            environments::link(transaction, id, &repository.id, subdirectory)
        })
        .await?;
    apply_settings(&state, &linked).await;
    deploy_head(&state, linked.clone(), author).await?;
    tracing::info!(environment = linked.full_name(), "environment linked");
    Ok(Json(json!({ "environmentId": linked.id })))
}

/// A link to a repository elsewhere.
pub(crate) struct NewRemote {
    /// The address.
    pub(crate) url: String,
    /// The folder of the repository.
    pub(crate) subdirectory: Option<String>,
    /// The scaling settings, which else stay.
    pub(crate) settings: Option<ScalingChange>,
}

/// Links an environment to a repository elsewhere, which is then read.
pub(crate) async fn link_elsewhere(
    state: &Shared,
    caller: Caller,
    (owner, name): (String, String),
    new: NewRemote,
) -> Result<(EnvironmentRecord, RemoteRecord), ApiError> {
    let (of, named, finder) = (owner.clone(), name.clone(), caller.clone());
    state
        .database
        .read(move |transaction| find_to_change(transaction, &of, &named, &finder))
        .await?;
    let allowed = &state.config.repository_hosts;
    let address = RemoteAddress::parse(&new.url, allowed).map_err(ApiError::invalid)?;
    address.resolve(allowed).await.map_err(ApiError::invalid)?;
    let url = address.to_string();
    let linked = state
        .database
        .run(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            let subdirectory = folder(new.subdirectory)?;
            if let Some(change) = new.settings {
                let mut settings = ScalingSettings::default();
                change.apply(&mut settings)?;
                change_settings(transaction, &environment.id, &settings)?;
            }
            let folder = subdirectory.as_deref();
            let remote = link_remote(transaction, &caller, &environment, &url, folder)?;
            let linked = environments::by_id(transaction, &environment.id, Some(&caller))?;
            Ok((linked, remote))
        })
        .await?;
    state.remotes.notify_one();
    let (environment, remote) = &linked;
    let (name, url) = (environment.full_name(), &remote.url);
    tracing::info!(environment = name, url, "environment linked");
    Ok(linked)
}

/// Returns a repository elsewhere with its webhook. The secret is shown when it is
/// new, and then never again.
fn webhook_object(
    state: &HubState,
    headers: &HeaderMap,
    remote: &RemoteRecord,
    with_secret: bool,
) -> Value {
    let mut object = json!({
        "repository": remote.url,
        "branch": remote.branch,
        "commit": remote.commit,
        "checked_at": remote.checked_at,
        "problem": remote.problem,
        "url": format!("{}{}", state.base_url(headers), path_of(remote)),
    });
    if let (true, Some(fields)) = (with_secret, object.as_object_mut()) {
        fields.insert("secret".to_owned(), secret_of(state, remote).into());
    }
    object
}

/// Returns the repository elsewhere of an environment, how the last look at it ended,
/// and the address of its webhook.
pub(crate) async fn webhook(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let remote = state
        .database
        .read(move |transaction| remote_to_change(transaction, &owner, &name, &caller))
        .await?;
    Ok(Json(webhook_object(&state, &headers, &remote, false)))
}

/// Gives the webhook of an environment a new secret, and shows it.
pub(crate) async fn renew_webhook(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let remote = state
        .database
        .run(move |transaction| renew(transaction, &owner, &name, &caller))
        .await?;
    Ok(Json(webhook_object(&state, &headers, &remote, true)))
}

/// Checks a folder of a repository. An empty one is the root.
fn folder(path: Option<String>) -> Result<Option<String>, HubStoreError> {
    match path.as_deref() {
        None | Some("") => Ok(None),
        Some(path) => check_relative_path(path).map(|path| Some(path.to_owned())),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Update {
    settings: ScalingChange,
    #[serde(deserialize_with = "present")]
    subdirectory: Option<Option<String>>,
}

/// Changes the settings that the request names.
pub(crate) async fn update(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let request: Update = body::json(body, MANAGEMENT).await?;
    let changed = state
        .database
        .run(move |transaction| {
            let environment = linked(by_id_to_change(transaction, &id, &caller)?)?;
            let mut settings = environment.settings;
            request.settings.apply(&mut settings)?;
            change_settings(transaction, &id, &settings)?;
            if let Some(subdirectory) = request.subdirectory {
                let subdirectory = folder(subdirectory)?;
                change_subdirectory(transaction, &id, subdirectory.as_deref())?;
            }
            environments::by_id(transaction, &id, Some(&caller))
        })
        .await?;
    apply_settings(&state, &changed).await;
    Ok(Json(object(&state, &changed)))
}

/// Removes the link. The served version stays.
pub(crate) async fn unlink(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    state
        .database
        .run(move |transaction| {
            linked(by_id_to_change(transaction, &id, &caller)?)?;
            environments::unlink(transaction, &id)
        })
        .await?;
    Ok(Json(json!({ "success": true })))
}

fn linked(environment: EnvironmentRecord) -> Result<EnvironmentRecord, HubStoreError> {
    if environment.link.is_some() {
        return Ok(environment);
    }
    Err(HubStoreError::Conflict(format!(
        "{name} is not linked to a repository; link it with `orwd link {name} {name}`",
        name = environment.full_name()
    )))
}

/// Restarts the host processes of an environment with its new settings. Their
/// sessions resume.
pub(crate) async fn apply_settings(state: &HubState, environment: &EnvironmentRecord) {
    state.instances.stop_of(&environment.id).await;
}
