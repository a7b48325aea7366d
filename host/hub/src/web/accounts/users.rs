//! The users of the platform, for its administrators.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use orwd_hub_store::accounts::{InvitationHash, invite, invite_again, users};
use orwd_web::pages;

use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::web::form::Form;
use crate::web::page::{Page, PageError};
use crate::web::viewer::Viewer;

/// Users that the page shows.
const ROWS: i64 = 1000;

/// Shows the users.
pub(in crate::web) async fn list(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
) -> Page {
    let page = pages::UsersPage::default();
    Ok(rendered(&state, &viewer, page).await?)
}

async fn rendered(
    state: &Shared,
    viewer: &Viewer,
    mut page: pages::UsersPage,
) -> Result<Html<String>, ApiError> {
    let caller = viewer.signed_in()?;
    let found = state
        .database
        .read(move |transaction| users(transaction, &caller.name, ROWS))
        .await?;
    page.rows = found
        .into_iter()
        .map(|user| pages::UserRow {
            name: user.name,
            is_admin: user.is_admin,
            has_password: user.has_password,
            created_at: user.created_at,
        })
        .collect();
    Ok(Html(pages::users(&viewer.frame(), &page)))
}

/// Creates a user, or makes a new link for one. This response alone shows the link.
pub(in crate::web) async fn make_link(
    State(state): State<Shared>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let (name, is_again) = (form.text("name"), form.text("again") == "yes");
    let secret = blake3::Hash::from_bytes(rand::random()).to_hex();
    let (hash, invited) = (InvitationHash::of(&secret), name.clone());
    let made = state
        .database
        .run(move |transaction| match is_again {
            true => invite_again(transaction, &caller.name, &invited, &hash),
            false => invite(transaction, &caller.name, &invited, &hash),
        })
        .await
        .map_err(ApiError::from);
    let mut page = pages::UsersPage::default();
    let status = match made {
        Ok(()) => {
            tracing::info!(user = name, is_again, "link for a user made");
            let link = format!("{}/setup/{secret}", state.base_url(&headers));
            page.link = Some((name, link));
            StatusCode::OK
        }
        Err(error)
            if matches!(
                error.status(),
                StatusCode::BAD_REQUEST | StatusCode::CONFLICT
            ) =>
        {
            page.problem = Some(error.message().to_owned());
            error.status()
        }
        Err(error) => return Err(error.into()),
    };
    let html = rendered(&state, &form.viewer, page).await?;
    Ok((status, html).into_response())
}
