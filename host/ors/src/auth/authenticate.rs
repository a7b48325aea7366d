//! Decides whether a request may proceed, and as which principal.
//!
//! Runs before routing. The checks go from the most to the least severe:
//! ambiguous framing, a foreign host or origin, a missing or wrong API key. Only
//! `/health` and `/ready` need no key, so that monitoring needs none.

use hyper::http::request::Parts;
use orwd_session::Principal;

use super::api_keys::ApiKeys;
use super::host_check::{AllowedHosts, HostRejection};
use super::key_file::KeyRejection;
use super::key_time::KeyTime;
use super::proxy_key::ProxyKey;
use crate::connection::framing::{self, FramingError};

/// The paths that need no API key.
const UNAUTHENTICATED_PATHS: [&str; 2] = ["/health", "/ready"];

/// Why a request may not proceed.
#[derive(Debug)]
pub(crate) enum AuthError {
    /// Its framing is ambiguous.
    Framing(FramingError),
    /// It names a foreign host or origin.
    Host(HostRejection),
    /// It has no API key, or a wrong one.
    InvalidKey,
    /// Its API key expired at this time.
    ExpiredKey(KeyTime),
}

/// Returns the principal of a request. `framing_error` is what the connection
/// found before hyper read the head.
pub(crate) fn authenticate(
    head: &Parts,
    framing_error: Option<FramingError>,
    hosts: &AllowedHosts,
    keys: Option<&ApiKeys>,
    proxy: Option<&ProxyKey>,
) -> Result<Principal, AuthError> {
    if let Some(error) = framing_error.or_else(|| framing::check_head(head)) {
        return Err(AuthError::Framing(error));
    }
    hosts.check(&head.headers).map_err(AuthError::Host)?;
    if UNAUTHENTICATED_PATHS.contains(&head.uri.path()) {
        return Ok(Principal::Anyone);
    }
    if let Some(proxy) = proxy {
        return proxy.principal(&head.headers).ok_or(AuthError::InvalidKey);
    }
    match keys {
        Some(keys) => keys
            .principal(&head.headers)
            .map_err(|rejection| match rejection {
                KeyRejection::Invalid => AuthError::InvalidKey,
                KeyRejection::Expired(at) => AuthError::ExpiredKey(at),
            }),
        None => Ok(Principal::Anyone),
    }
}
