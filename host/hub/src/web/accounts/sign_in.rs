//! Signing in and out, and the colours of a browser.

use std::fs;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use orwd_hub_store::accounts::{
    InvitationHash, accept_invitation, administrator_without_password, end_browser_sessions,
    invited, set_password,
};
use orwd_web::{Theme, pages};

use crate::admission::source::RequestSource;
use crate::api::accounts::check_password;
use crate::http::bootstrap::hash;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;
use crate::web::form::Form;
use crate::web::page::{Page, PageError};
use crate::web::viewer::{Viewer, local, redirect, sign_in, with_theme};

/// Characters of a password.
const MIN_PASSWORD: usize = 10;

/// Bytes of a password. Hashing a longer one would take time for nothing.
const MAX_PASSWORD: usize = 1024;

/// Shows the page on which a user signs in.
pub(in crate::web) async fn login_page(
    Extension(viewer): Extension<Viewer>,
    query: QueryParameters,
) -> Html<String> {
    let next = query.text("next").unwrap_or_default();
    Html(pages::sign_in(&viewer.frame(), "", local(&next), None))
}

/// Signs a user in.
pub(in crate::web) async fn login(
    State(state): State<Shared>,
    Extension(source): Extension<RequestSource>,
    form: Form,
) -> Result<Response, PageError> {
    let (name, next) = (form.text("name"), form.text("next"));
    let password = form.text("password");
    let checked = if password.len() > MAX_PASSWORD {
        Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "wrong name or password",
        ))
    } else {
        check_password(&state, &source, &name, password).await
    };
    match checked {
        Ok(()) => Ok(sign_in(&state, &form.viewer, name, &next).await?),
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            let problem = Some("The name or the password is wrong.");
            let page = pages::sign_in(&form.viewer.frame(), &name, local(&next), problem);
            Ok((StatusCode::FORBIDDEN, Html(page)).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Signs this browser out.
pub(in crate::web) async fn logout(
    State(state): State<Shared>,
    form: Form,
) -> Result<Response, PageError> {
    form.viewer.end(&state).await?;
    Ok(redirect("/"))
}

/// Signs a user out of every browser.
pub(in crate::web) async fn sign_out_everywhere(
    State(state): State<Shared>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    state
        .database
        .run(move |transaction| end_browser_sessions(transaction, &caller.name))
        .await?;
    Ok(redirect("/login"))
}

/// Sets the colours of this browser.
pub(in crate::web) async fn theme(form: Form) -> Result<Response, PageError> {
    Ok(with_theme(
        redirect(&form.text("next")),
        Theme::of(&form.text("theme")),
    )?)
}

/// Whom the link to a page of set-up is for.
enum Link {
    /// The first administrator, by the file of the state directory.
    First(String),
    /// A user, by an invitation.
    Invitation(String),
}

impl Link {
    fn user(&self) -> &str {
        match self {
            Link::First(user) | Link::Invitation(user) => user,
        }
    }
}

fn no_link() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "this link was used, is too old, or never existed; sign in, or ask for a new one",
    )
}

/// Returns whom a link is for.
async fn link(state: &Shared, secret: &str) -> Result<Link, ApiError> {
    let hash = InvitationHash::of(secret);
    let user = state
        .database
        .read(move |transaction| invited(transaction, &hash))
        .await?;
    if let Some(user) = user {
        return Ok(Link::Invitation(user));
    }
    let expected = fs::read_to_string(state.layout.first_sign_in()).map_err(|_| no_link())?;
    // Hashes are compared in constant time.
    if blake3::hash(expected.as_bytes()) != blake3::hash(secret.as_bytes()) {
        return Err(no_link());
    }
    let found = state.database.read(administrator_without_password).await?;
    found.map(Link::First).ok_or_else(no_link)
}

/// Shows the page on which a user chooses a password.
pub(in crate::web) async fn set_up_page(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(secret): Path<String>,
) -> Page {
    let link = link(&state, &secret).await?;
    Ok(Html(pages::set_up(&viewer.frame(), link.user(), None)))
}

/// Sets the password of a user, and signs them in.
pub(in crate::web) async fn set_up(
    State(state): State<Shared>,
    Path(secret): Path<String>,
    form: Form,
) -> Result<Response, PageError> {
    let link = link(&state, &secret).await?;
    let user = link.user().to_owned();
    let hash = match new_password(&form).await? {
        Ok(hash) => hash,
        Err(problem) => {
            let page = pages::set_up(&form.viewer.frame(), &user, Some(problem));
            return Ok((StatusCode::BAD_REQUEST, Html(page)).into_response());
        }
    };
    // Of two requests with one link, the first uses it.
    match link {
        Link::First(name) => {
            fs::remove_file(state.layout.first_sign_in()).map_err(|_| no_link())?;
            state
                .database
                .run(move |transaction| set_password(transaction, &name, &hash))
                .await?;
        }
        Link::Invitation(_) => {
            let invitation = InvitationHash::of(&secret);
            let used = state
                .database
                .run(move |transaction| accept_invitation(transaction, &invitation, &hash))
                .await?;
            used.ok_or_else(no_link)?;
        }
    }
    tracing::info!(user, "password chosen by a link");
    Ok(sign_in(&state, &form.viewer, user, "/").await?)
}

/// Returns the hash of the new password of a form, or what is wrong with it.
pub(super) async fn new_password(form: &Form) -> Result<Result<String, &'static str>, ApiError> {
    let password = form.text("password");
    if password.chars().count() < MIN_PASSWORD {
        return Ok(Err("The password has less than 10 characters."));
    }
    if password.len() > MAX_PASSWORD {
        return Ok(Err("The password is longer than 1024 bytes."));
    }
    if password != form.text("again") {
        return Ok(Err("The two passwords are not the same."));
    }
    tokio::task::spawn_blocking(move || hash(&password))
        .await
        .map_err(|error| ApiError::internal("password not hashed", error))?
        .map(Ok)
        .map_err(|error| ApiError::internal("password not hashed", error))
}
