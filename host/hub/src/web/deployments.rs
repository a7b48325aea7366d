//! The deployments of an environment.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{Html, Response};
use orwd_hub_store::HubStoreError;
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::deployments::{DeploymentRecord, get, log_text, page_of_environment};
use orwd_hub_store::environments::{EnvironmentRecord, find_to_change};
use orwd_web::pages;

use super::catalogue::page_number;
use super::environment::{Name, head};
use super::form::Form;
use super::page::{Page, PageError};
use super::viewer::{Viewer, redirect};
use crate::api::deployments::serve_again;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;

/// Rows of a page.
const ROWS: i64 = 50;

/// An owner, a name, and the id of a deployment, as a path has them.
pub(super) type DeploymentName = (String, String, String);

fn row(deployment: DeploymentRecord, environment: &EnvironmentRecord) -> pages::DeploymentRow {
    pages::DeploymentRow {
        is_served: environment.served.as_ref() == Some(&deployment.id),
        id: deployment.id,
        status: deployment.status.as_str(),
        branch: deployment.branch,
        commit: deployment.commit,
        created_by: deployment.created_by,
        created_at: deployment.created_at,
        updated_at: deployment.updated_at,
        digest: deployment.digest,
        error: deployment.error,
    }
}

/// Lists the deployments of an environment.
pub(super) async fn list(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path((owner, name)): Path<Name>,
    query: QueryParameters,
) -> Page {
    let caller = viewer.signed_in()?;
    let number = page_number(&query)?;
    let finder = caller.clone();
    let (environment, mut rows) = state
        .database
        .read(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &finder)?;
            let offset = (number - 1).saturating_mul(ROWS);
            let rows = page_of_environment(transaction, &environment.id, ROWS + 1, offset)?;
            Ok((environment, rows))
        })
        .await?;
    let has_more = rows.len() as i64 > ROWS;
    rows.truncate(ROWS as usize);
    let page = pages::DeploymentsPage {
        head: head(&environment, Some(&caller)),
        rows: rows
            .into_iter()
            .map(|found| row(found, &environment))
            .collect(),
        number,
        has_more,
    };
    Ok(Html(pages::deployments(&viewer.frame(), &page)))
}

/// Returns a deployment of an environment that the caller may change, and its
/// build log.
pub(super) async fn found(
    state: &Shared,
    caller: Caller,
    (owner, name, id): DeploymentName,
) -> Result<(EnvironmentRecord, DeploymentRecord, String), ApiError> {
    let found = state
        .database
        .read(move |transaction| {
            let environment = find_to_change(transaction, &owner, &name, &caller)?;
            let missing = || {
                HubStoreError::Missing(format!(
                    "{} has no deployment {id}",
                    environment.full_name()
                ))
            };
            let deployment = get(transaction, &id).map_err(|error| match error {
                HubStoreError::Missing(_) => missing(),
                other => other,
            })?;
            if deployment.environment != environment.id {
                return Err(missing());
            }
            let log = log_text(transaction, &id)?;
            Ok((environment, deployment, log))
        })
        .await?;
    Ok(found)
}

/// Shows a deployment and its build log.
pub(super) async fn one(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<DeploymentName>,
) -> Page {
    let caller = viewer.signed_in()?;
    let (environment, deployment, log) = found(&state, caller.clone(), name).await?;
    let page = pages::DeploymentPage {
        head: head(&environment, Some(&caller)),
        row: row(deployment, &environment),
        log,
    };
    Ok(Html(pages::deployment(&viewer.frame(), &page)))
}

/// Makes the environment serve an earlier version.
pub(super) async fn serve(
    State(state): State<Shared>,
    Path((owner, name, id)): Path<DeploymentName>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let changed = serve_again(&state, caller, (owner, name), id).await?;
    Ok(redirect(&format!("/{}/deployments", changed.full_name())))
}
