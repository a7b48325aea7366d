//! Renaming, deleting and restoring environments.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use orwd_hub_store::audit::{AuditQuery, latest};
use orwd_hub_store::environments::{DetailsChange, change_details, find_to_change, list_deleted};
use orwd_web::pages;

use super::card::{Name, settings_form};
use crate::api::deletion::{delete_environment, remove_environment, restore_environment};
use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::web::accounts::audit::row;
use crate::web::form::Form;
use crate::web::page::{Page, PageError};
use crate::web::viewer::{Viewer, redirect};

/// Changes that the page shows.
const CHANGES: i64 = 20;

/// Gives an environment another name. The former one leads to it.
pub(in crate::web) async fn rename(
    State(state): State<Shared>,
    Path((owner, name)): Path<Name>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let change = DetailsChange {
        name: Some(form.text("name")),
        ..DetailsChange::default()
    };
    let (of, former, changer) = (owner.clone(), name.clone(), caller.clone());
    let changed = state
        .database
        .run(move |transaction| {
            let before = find_to_change(transaction, &of, &former, &changer)?;
            change_details(transaction, &changer, &before, change)
        })
        .await
        .map_err(ApiError::from);
    match changed {
        Ok(changed) => {
            let name = changed.full_name();
            tracing::info!(environment = name, "environment renamed");
            Ok(redirect(&format!("/{name}/settings")))
        }
        Err(error)
            if matches!(
                error.status(),
                StatusCode::BAD_REQUEST | StatusCode::CONFLICT
            ) =>
        {
            let problem = error.message().to_owned();
            refused(&state, &form, (owner, name), error.status(), problem).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Shows the settings again, with what was wrong.
async fn refused(
    state: &Shared,
    form: &Form,
    (owner, name): Name,
    status: StatusCode,
    problem: String,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let finder = caller.clone();
    let environment = state
        .database
        .read(move |transaction| find_to_change(transaction, &owner, &name, &finder))
        .await?;
    let mut shown = settings_form(&environment, &caller, &environment.settings);
    shown.problem = Some(problem);
    let page = pages::settings(&form.viewer.frame(), &shown);
    Ok((status, Html(page)).into_response())
}

/// Deletes an environment whose whole name was typed.
pub(in crate::web) async fn delete(
    State(state): State<Shared>,
    Path((owner, name)): Path<Name>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    if form.text("confirm") != format!("{owner}/{name}") {
        let problem = format!("Nothing was deleted: type {owner}/{name} to confirm.");
        let status = StatusCode::BAD_REQUEST;
        return refused(&state, &form, (owner, name), status, problem).await;
    }
    delete_environment(&state, caller, (owner, name)).await?;
    Ok(redirect("/settings/deleted"))
}

/// Shows the deleted environments, and the log of changes.
pub(in crate::web) async fn deleted(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
) -> Page {
    let caller = viewer.signed_in()?;
    let (rows, changes) = state
        .database
        .read(move |transaction| {
            let newest = AuditQuery {
                limit: CHANGES,
                ..AuditQuery::default()
            };
            let changes = latest(transaction, &caller.changeable(), &newest)?;
            Ok((list_deleted(transaction, &caller)?, changes))
        })
        .await?;
    let page = pages::DeletedPage {
        rows: rows
            .into_iter()
            .map(|row| pages::DeletedRow {
                name: row.full_name(),
                id: row.id,
                deleted_at: row.deleted_at,
                remove_at: row.remove_at,
            })
            .collect(),
        changes: changes.into_iter().map(row).collect(),
    };
    Ok(Html(pages::deleted(&viewer.frame(), &page)))
}

/// Restores a deleted environment.
pub(in crate::web) async fn restore(
    State(state): State<Shared>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let restored = restore_environment(&state, caller, id).await?;
    Ok(redirect(&format!("/{}", restored.full_name())))
}

/// Removes a deleted environment for good.
pub(in crate::web) async fn remove(
    State(state): State<Shared>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    remove_environment(&state, caller, id).await?;
    Ok(redirect("/settings/deleted"))
}
