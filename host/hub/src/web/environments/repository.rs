//! The page of the repository that an environment is deployed from.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use orwd_hub_store::HubStoreError;
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::environments::{
    EnvironmentRecord, RemoteRecord, check_relative_path, find_to_change, link, remote_of,
    renew_webhook, unlink,
};
use orwd_web::pages::{self, Elsewhere, RepositoryPage};

use super::card::{Name, head};
use crate::api::links::{NewRemote, link_elsewhere};
use crate::deploy::remotes::webhook::{path_of, secret_of};
use crate::deploy::repositories::deploy_head;
use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};
use crate::web::form::Form;
use crate::web::page::{Page, PageError};
use crate::web::viewer::{Viewer, redirect};

/// Returns what the page shows of an environment.
fn shown(
    state: &HubState,
    headers: &HeaderMap,
    caller: &Caller,
    environment: &EnvironmentRecord,
    remote: Option<&RemoteRecord>,
) -> RepositoryPage {
    let link = environment.link.as_ref();
    let elsewhere = remote.map(|remote| Elsewhere {
        url: remote.url.clone(),
        branch: remote.branch.clone(),
        commit: remote.commit.clone(),
        checked_at: remote.checked_at.clone(),
        problem: remote.problem.clone(),
        webhook: format!("{}{}", state.base_url(headers), path_of(remote)),
    });
    RepositoryPage {
        head: head(environment, Some(caller)),
        own: link
            .filter(|link| link.remote.is_none())
            .map(|link| link.repository_name.clone()),
        url: remote.map(|remote| remote.url.clone()).unwrap_or_default(),
        subdirectory: link
            .and_then(|link| link.subdirectory.clone())
            .unwrap_or_default(),
        elsewhere,
        ..RepositoryPage::default()
    }
}

async fn found(
    state: &Shared,
    caller: Caller,
    (owner, name): Name,
) -> Result<(EnvironmentRecord, Option<RemoteRecord>), ApiError> {
    let found = state
        .database
        .read(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            let remote = remote_of(transaction, &environment.id)?;
            Ok((environment, remote))
        })
        .await?;
    Ok(found)
}

/// Shows the repository of an environment.
pub(in crate::web) async fn page(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<Name>,
    headers: HeaderMap,
) -> Page {
    let caller = viewer.signed_in()?;
    let (environment, remote) = found(&state, caller.clone(), name).await?;
    let page = shown(&state, &headers, &caller, &environment, remote.as_ref());
    Ok(Html(pages::repository(&viewer.frame(), &page)))
}

/// Links an environment to a repository elsewhere, or to its own one.
pub(in crate::web) async fn change(
    State(state): State<Shared>,
    Path((owner, name)): Path<Name>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let (url, subdirectory) = (form.text("url"), form.text("subdirectory"));
    let path = (owner.clone(), name.clone());
    let linked = match url.trim() {
        "" => link_own(&state, caller.clone(), path, subdirectory.clone())
            .await
            .map(|linked| (linked, None)),
        url => {
            let new = NewRemote {
                url: url.to_owned(),
                subdirectory: Some(subdirectory.clone()),
                settings: None,
            };
            let linked = link_elsewhere(&state, caller.clone(), path, new).await;
            linked.map(|(linked, remote)| (linked, Some(remote)))
        }
    };
    let (status, page) = match linked {
        Ok((environment, Some(remote))) => {
            let mut page = shown(&state, &headers, &caller, &environment, Some(&remote));
            page.secret = Some(secret_of(&state, &remote));
            (StatusCode::OK, page)
        }
        Ok((environment, None)) => {
            let address = format!("/{}/repository", environment.full_name());
            return Ok(redirect(&address));
        }
        Err(error) if error.status() == StatusCode::BAD_REQUEST => {
            let (environment, remote) = found(&state, caller.clone(), (owner, name)).await?;
            let mut page = shown(&state, &headers, &caller, &environment, remote.as_ref());
            page.problem = Some(error.message().to_owned());
            (page.url, page.subdirectory) = (url, subdirectory);
            (error.status(), page)
        }
        Err(error) => return Err(error.into()),
    };
    let html = pages::repository(&form.viewer.frame(), &page);
    Ok((status, Html(html)).into_response())
}

/// Links an environment to its own repository, whose head is then deployed.
async fn link_own(
    state: &Shared,
    caller: Caller,
    (owner, name): Name,
    subdirectory: String,
) -> Result<EnvironmentRecord, ApiError> {
    let author = caller.name.to_string();
    let linked = state
        .database
        .run(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            let folder = match subdirectory.as_str() {
                "" => None,
                path => Some(check_relative_path(path)?),
            };
            link(transaction, &environment.id, &environment.id, folder)
        })
        .await?;
    deploy_head(state, linked.clone(), author).await?;
    tracing::info!(environment = linked.full_name(), "environment linked");
    Ok(linked)
}

/// Gives the webhook a new secret, and shows it.
pub(in crate::web) async fn renew(
    State(state): State<Shared>,
    Path((owner, name)): Path<Name>,
    headers: HeaderMap,
    form: Form,
) -> Page {
    let caller = form.viewer.signed_in()?;
    let (path, changer) = ((owner.clone(), name.clone()), caller.clone());
    let remote = state
        .database
        .run(move |transaction| renew_webhook(transaction, &owner, &name, &changer))
        .await?;
    let (environment, _) = found(&state, caller.clone(), path).await?;
    let mut page = shown(&state, &headers, &caller, &environment, Some(&remote));
    page.secret = Some(secret_of(&state, &remote));
    Ok(Html(pages::repository(&form.viewer.frame(), &page)))
}

/// Removes the link. The served version stays.
pub(in crate::web) async fn remove(
    State(state): State<Shared>,
    Path((owner, name)): Path<Name>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let unlinked = state
        .database
        .run(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            unlink(transaction, &environment.id)?;
            Ok::<_, HubStoreError>(environment)
        })
        .await?;
    let name = unlinked.full_name();
    tracing::info!(environment = name, "environment unlinked");
    Ok(redirect(&format!("/{name}/repository")))
}
