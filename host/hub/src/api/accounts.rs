//! Namespaces and API keys.

use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordVerifier, phc::PasswordHash};
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use orwd_hub_store::accounts::{KeyHash, NamespaceKind, add_key, generate_key, password_of};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::shares::place;
use crate::admission::source::RequestSource;
use crate::http::auth::Authenticated;
use crate::http::body::{self, SIGN_IN};
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::{HubState, Shared};

/// The time by which a wrong password delays the next check for its address.
const PENALTY: Duration = Duration::from_secs(1);

/// Returns the namespace of the key. One that is not of the wanted type is a 404,
/// which the command line takes as a hint to ask for the other.
pub(crate) async fn namespace(
    Authenticated(caller): Authenticated,
    query: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let kind = caller.kind.as_str();
    match query.text("type").as_deref() {
        None => {}
        Some(wanted) if wanted == kind => {}
        Some(_) => {
            let hint = match caller.kind {
                NamespaceKind::User => "is that of a user",
                NamespaceKind::Organisation => "is that of an organisation; pass --namespace",
            };
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                format!("this API key {hint} ({})", caller.name),
            ));
        }
    }
    Ok(Json(
        json!({ "id": &*caller.id, "name": &*caller.name, "type": kind }),
    ))
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
    key_name: String,
}

/// Creates an API key for the user with this password.
pub(crate) async fn login(
    State(state): State<Shared>,
    Extension(source): Extension<RequestSource>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let login: Login = body::json(body, SIGN_IN).await?;
    check_password(&state, &source, &login.name, login.password).await?;
    let key = generate_key();
    let hash = KeyHash::of(&key);
    let (name, key_name) = (login.name, login.key_name);
    state
        .database
        .run(move |transaction| add_key(transaction, &name, &key_name, &hash))
        .await?;
    Ok(Json(json!({ "key": key })))
}

/// Checks the password of a user. A wrong one takes time, and is a 401.
pub(crate) async fn check_password(
    state: &HubState,
    source: &RequestSource,
    name: &str,
    password: String,
) -> Result<(), ApiError> {
    let wrong = || ApiError::new(StatusCode::UNAUTHORIZED, "wrong name or password");
    let name = name.to_owned();
    let hash = state
        .database
        .read(move |transaction| password_of(transaction, &name))
        .await?;
    let place = place(&state.shares.logins, &source.network(), 1).await?;
    let is_right = tokio::task::spawn_blocking(move || verify(&password, hash.as_deref()))
        .await
        .map_err(|error| ApiError::internal("password check failed", error))?;
    if !is_right {
        tokio::time::sleep(PENALTY).await;
        return Err(wrong());
    }
    drop(place);
    Ok(())
}

/// Returns whether a password has this hash. It takes as long without one, so
/// that the names of users are not found by the time of the response.
fn verify(password: &str, hash: Option<&str>) -> bool {
    const OF_NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                             AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let parsed = PasswordHash::new(hash.unwrap_or(OF_NOBODY));
    let matches = parsed.is_ok_and(|parsed| {
        Argon2::default()
            .verify_password(password.as_bytes(), &parsed)
            .is_ok()
    });
    matches && hash.is_some()
}
