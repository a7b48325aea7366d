//! Who sends a request.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use orwd_hub_store::accounts::{Caller, KeyHash, caller_of_key};

use super::error::ApiError;
use super::state::{HubState, Shared};
use crate::admission::source::identify;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The holder of the API key, which the route requires.
pub(crate) struct Authenticated(pub(crate) Caller);

/// The holder of the API key, if there is one.
pub(crate) struct MaybeCaller(pub(crate) Option<Caller>);

impl FromRequestParts<Shared> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let caller = caller(state, &parts.headers, &parts.extensions).await?;
        caller.map(Authenticated).ok_or_else(ApiError::unauthorized)
    }
}

impl FromRequestParts<Shared> for MaybeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        caller(state, &parts.headers, &parts.extensions)
            .await
            .map(MaybeCaller)
    }
}

/// Returns the holder of the API key of a request, if it has one. A wrong key is
/// refused, also where none is required.
pub(crate) async fn caller(
    state: &HubState,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Caller>, ApiError> {
    let key = key(headers)?;
    match key {
        None => Ok(None),
        Some(key) => caller_of(state, key, extensions).await.map(Some),
    }
}

async fn caller_of(
    state: &HubState,
    key: String,
    extensions: &Extensions,
) -> Result<Caller, ApiError> {
    let hash = KeyHash::of(&key);
    let found = state
        .database
        .read(move |transaction| caller_of_key(transaction, &hash))
        .await?;
    let caller = found.ok_or_else(ApiError::unauthorized)?;
    identify(extensions, &caller.name)?;
    Ok(caller)
}

/// Returns the key in `X-API-Key` or `Authorization`. Two different ones are
/// ambiguous.
fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let bare = headers
        .get_all(API_KEY)
        .iter()
        .map(|value| value.to_str().ok());
    let bearer = headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|value| credentials(value, "bearer "))
        .map(|token| Some(token.trim()));
    let mut found: Option<&str> = None;
    for key in bare.chain(bearer) {
        let key = key.ok_or_else(ApiError::unauthorized)?;
        match found {
            _ if key.is_empty() => {}
            Some(other) if other != key => return Err(ApiError::unauthorized()),
            _ => found = Some(key),
        }
    }
    Ok(found.map(str::to_owned))
}

/// Returns the holder of the API key that git sends as a password.
pub(crate) async fn caller_of_git(
    state: &HubState,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, ApiError> {
    let password = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| credentials(value, "basic "))
        .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| {
            text.split_once(':')
                .map(|(_, password)| password.to_owned())
        })
        .filter(|password| !password.is_empty());
    let key = password.ok_or_else(ApiError::git_unauthorized)?;
    match caller_of(state, key, extensions).await {
        Err(error) if error.is_unauthorized() => Err(ApiError::git_unauthorized()),
        found => found,
    }
}

/// Returns the credentials of this scheme, whose name ends with a space.
fn credentials<'v>(value: &'v str, scheme: &str) -> Option<&'v str> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Result<Option<String>, ()> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        key(&map).map_err(|_| ())
    }

    #[test]
    fn a_request_has_one_key() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("x-api-key", "")]), Ok(None));
        assert_eq!(read(&[("x-api-key", "k")]), some("k"));
        assert_eq!(read(&[("authorization", "bEARER  k")]), some("k"));
        assert_eq!(read(&[("authorization", "Basic eDp5")]), Ok(None));
        assert_eq!(
            read(&[("x-api-key", "k"), ("authorization", "Bearer k")]),
            some("k")
        );
        assert_eq!(
            read(&[("x-api-key", "k"), ("authorization", "Bearer l")]),
            Err(())
        );
        assert_eq!(read(&[("x-api-key", "k"), ("x-api-key", "l")]), Err(()));
        assert_eq!(read(&[("x-api-key", "ü")]), Err(()));
    }
}
