//! Redirects of pages from the former names of environments. Requests of the API
//! and of git are not redirected: clients do not repeat a POST or PUT, so they
//! reach the environment itself.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use orwd_hub_store::accounts::{Caller, check_namespace};
use orwd_hub_store::environments::{check_name, renamed};

use crate::http::error::ApiError;
use crate::http::state::Shared;

/// Redirects to a path, with the same method.
pub(in crate::web) fn redirect(path: String) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, path)]).into_response()
}

/// Returns the path by the current name if a request is for `/{owner}/{name}` or
/// below it, and the name is a former one of an environment that the caller sees.
pub(in crate::web) async fn moved(
    state: &Shared,
    caller: Option<Caller>,
    uri: &Uri,
) -> Result<Option<String>, ApiError> {
    let Some((owner, name, below)) = named(uri) else {
        return Ok(None);
    };
    let (of, former) = (owner.to_owned(), name.to_owned());
    let current = state
        .database
        .read(move |transaction| renamed(transaction, &of, &former, caller.as_ref()))
        .await?;
    Ok(current.map(|current| format!("/{owner}/{current}{below}")))
}

/// Returns the owner and the name in a path, and what follows them.
fn named(uri: &Uri) -> Option<(&str, &str, &str)> {
    let rest = uri.path_and_query()?.as_str().strip_prefix('/')?;
    let (owner, rest) = rest.split_once('/')?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (name, below) = rest.split_at_checked(end)?;
    check_namespace(owner).ok()?;
    check_name(name).ok()?;
    Some((owner, name, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_environment_and_what_follows_stays() {
        let of = |path: &'static str| {
            let uri = Uri::from_static(path);
            named(&uri).map(|(owner, name, below)| format!("{owner} {name} {below}"))
        };
        assert_eq!(of("/a/env"), Some("a env ".to_owned()));
        assert_eq!(of("/a/env?x=/y"), Some("a env ?x=/y".to_owned()));
        assert_eq!(of("/a/env/x%2Fy?z"), Some("a env /x%2Fy?z".to_owned()));
        for path in ["/", "/a", "/a/", "/a/no", "/a/e%6Ev", "/a?b=/env"] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
