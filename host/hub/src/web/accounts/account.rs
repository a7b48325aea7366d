//! What belongs to a user: API keys and the password.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use orwd_hub_store::accounts::{
    KeyHash, add_key, end_browser_sessions, generate_key, is_administrator, keys_of, revoke_key,
    set_password,
};
use orwd_web::pages;

use super::sign_in::new_password;
use crate::admission::source::RequestSource;
use crate::api::accounts::check_password;
use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::web::form::Form;
use crate::web::page::{Page, PageError};
use crate::web::viewer::{Viewer, redirect, sign_in};

/// Changes the password of a user, and ends their other browser sessions.
pub(in crate::web) async fn password(
    State(state): State<Shared>,
    Extension(source): Extension<RequestSource>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let current = form.text("current");
    let problem = match check_password(&state, &source, &caller.name, current).await {
        Ok(()) => None,
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            Some("The current password is wrong.")
        }
        Err(error) => return Err(error.into()),
    };
    let changed = match problem {
        Some(problem) => Err(problem),
        None => new_password(&form).await?,
    };
    let hash = match changed {
        Ok(hash) => hash,
        Err(problem) => {
            let problem = Some(problem.to_owned());
            let page = account_page(&state, &headers, &form.viewer, None, problem).await?;
            return Ok((StatusCode::BAD_REQUEST, page).into_response());
        }
    };
    let name = caller.name.to_string();
    state
        .database
        .run(move |transaction| {
            set_password(transaction, &caller.name, &hash)?;
            end_browser_sessions(transaction, &caller.name)
        })
        .await?;
    Ok(sign_in(&state, &form.viewer, name, "/settings").await?)
}

/// Shows the account of a user.
pub(in crate::web) async fn account(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
) -> Page {
    Ok(account_page(&state, &headers, &viewer, None, None).await?)
}

async fn account_page(
    state: &Shared,
    headers: &HeaderMap,
    viewer: &Viewer,
    new_key: Option<String>,
    problem: Option<String>,
) -> Result<Html<String>, ApiError> {
    let caller = viewer.signed_in()?;
    let name = caller.name.clone();
    let (keys, is_admin) = state
        .database
        .read(move |transaction| {
            Ok((
                keys_of(transaction, &name)?,
                is_administrator(transaction, &name)?,
            ))
        })
        .await?;
    let memberships = caller.memberships.iter();
    let page = pages::AccountPage {
        keys: keys
            .into_iter()
            .map(|key| pages::ApiKeyRow {
                id: key.id,
                name: key.name,
                created_at: key.created_at,
            })
            .collect(),
        new_key,
        memberships: memberships
            .map(|(name, role)| (name.clone(), format!("{role:?}").to_lowercase()))
            .collect(),
        is_admin,
        base: state.base_url(headers),
        problem,
    };
    Ok(Html(pages::account(&viewer.frame(), &page)))
}

/// Makes an API key, which this response alone shows.
pub(in crate::web) async fn make_key(
    State(state): State<Shared>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let (key, name) = (generate_key(), form.text("name"));
    let hash = KeyHash::of(&key);
    let owner = caller.name.clone();
    let added = state
        .database
        .run(move |transaction| add_key(transaction, &owner, &name, &hash))
        .await
        .map_err(ApiError::from);
    let (status, key, problem) = match added {
        Ok(()) => (StatusCode::OK, Some(key), None),
        Err(error) if error.status().is_client_error() => {
            (error.status(), None, Some(error.message().to_owned()))
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(
        user = &*caller.name,
        is_made = key.is_some(),
        "API key requested"
    );
    let page = account_page(&state, &headers, &form.viewer, key, problem).await?;
    Ok((status, page).into_response())
}

/// Revokes an API key.
pub(in crate::web) async fn revoke(
    State(state): State<Shared>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let owner = caller.name.clone();
    let is_revoked = state
        .database
        .run(move |transaction| revoke_key(transaction, &owner, &id))
        .await?;
    if !is_revoked {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "you have no such key").into());
    }
    tracing::info!(user = &*caller.name, "API key revoked");
    Ok(redirect("/settings"))
}
