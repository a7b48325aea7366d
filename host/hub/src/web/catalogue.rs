//! The list of environments, and new ones.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use orwd_hub_store::accounts::check_namespace;
use orwd_hub_store::environments::{
    EnvironmentRecord, ListQuery, NewEnvironment, create as insert, link, list,
};
use orwd_web::pages;

use super::form::Form;
use super::page::{Page, PageError};
use super::viewer::{Viewer, redirect};
use crate::git::repository;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;

/// Rows of a page.
const ROWS: i64 = 50;

/// Lists the environments that the viewer sees.
pub(super) async fn all(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    query: QueryParameters,
) -> Page {
    page(&state, &viewer, None, &query).await
}

/// Lists those of one namespace.
pub(super) async fn of_owner(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(owner): Path<String>,
    query: QueryParameters,
) -> Page {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "the address leads nowhere");
    check_namespace(&owner).map_err(|_| missing())?;
    page(&state, &viewer, Some(owner), &query).await
}

async fn page(
    state: &Shared,
    viewer: &Viewer,
    owner: Option<String>,
    query: &QueryParameters,
) -> Page {
    let number = page_number(query)?;
    let search = query.text("search").unwrap_or_default();
    let listed = ListQuery {
        owner: owner.clone(),
        search: Some(search.clone()),
        limit: ROWS,
        offset: (number - 1).saturating_mul(ROWS),
    };
    let caller = viewer.maybe();
    let (rows, total) = state
        .database
        .read(move |transaction| list(transaction, caller.as_ref(), &listed))
        .await?;
    let page = pages::CataloguePage {
        owner,
        search,
        rows: rows.into_iter().map(row).collect(),
        total,
        number,
        has_more: number.saturating_mul(ROWS) < total,
    };
    Ok(Html(pages::catalogue(&viewer.frame(), &page)))
}

/// Returns the number of a page of a list, from 1.
pub(super) fn page_number(query: &QueryParameters) -> Result<i64, ApiError> {
    let number = query.number("page")?.unwrap_or(1);
    if (1..=1_000_000).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::invalid("page must be 1 to 1000000"))
}

fn row(environment: EnvironmentRecord) -> pages::CatalogueRow {
    pages::CatalogueRow {
        owner: environment.owner,
        name: environment.name,
        description: environment.description,
        is_private: environment.is_private,
        is_deployed: environment.served.is_some(),
        updated_at: environment.updated_at,
    }
}

/// Shows the form for a new environment.
pub(super) async fn new_page(Extension(viewer): Extension<Viewer>) -> Page {
    let caller = viewer.signed_in()?;
    let form = pages::NewEnvironmentForm {
        owner: caller.name.to_string(),
        owners: caller.changeable(),
        ..pages::NewEnvironmentForm::default()
    };
    Ok(Html(pages::create(&viewer.frame(), &form)))
}

/// Creates an environment, and links it to its own repository, so that a push
/// deploys it.
pub(super) async fn create(State(state): State<Shared>, form: Form) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let owners = caller.changeable();
    let new = NewEnvironment {
        owner: form.text("owner"),
        name: form.text("name"),
        description: form.text("description"),
        is_private: form.text("visibility") == "private",
    };
    let inserted = new.clone();
    let created = state
        .database
        .run(move |transaction| {
            let created = insert(transaction, &caller, &inserted)?;
            link(transaction, &created.id, &created.id, None)
        })
        .await
        .map_err(ApiError::from);
    let created = match created {
        Ok(created) => created,
        Err(error) if error.status().is_client_error() => {
            let shown = pages::NewEnvironmentForm {
                owner: new.owner,
                name: new.name,
                description: new.description,
                is_private: new.is_private,
                owners,
                problem: Some(error.message().to_owned()),
            };
            let page = pages::create(&form.viewer.frame(), &shown);
            return Ok((error.status(), Html(page)).into_response());
        }
        Err(error) => return Err(error.into()),
    };
    repository::create(&state, &created.id).await?;
    tracing::info!(environment = created.full_name(), "environment created");
    Ok(redirect(&format!("/{}", created.full_name())))
}
