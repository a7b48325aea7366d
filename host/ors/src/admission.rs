//! Whether a request may come in, and whose it is.
//!
//! Asked of every request before its route is looked at, in the order of what
//! is worst: a request whose end is doubtful, one that a web page may be
//! behind, one without a right key. Only `/health` needs no key, so that
//! whatever watches the server needs none.

use hyper::http::request::Parts;

use super::error::Failure;
use super::framing::{self, Doubt};
use super::hosts::Hosts;
use super::keys::Keys;
use orwd_session::Principal;

/// What answers without a key.
const OPEN: &str = "/health";

/// Whose request this is, or why it goes no further. `wrong_key` is asked how
/// a wrong key is refused.
pub(super) fn admit(
    head: &Parts,
    doubt: Option<Doubt>,
    hosts: &Hosts,
    keys: Option<&Keys>,
    wrong_key: impl FnOnce() -> Failure,
) -> Result<Principal, Failure> {
    if let Some(doubt) = doubt.or_else(|| framing::doubt(head)) {
        return Err(doubt.into());
    }
    hosts.admit(&head.headers)?;
    match keys {
        Some(keys) if head.uri.path() != OPEN => {
            keys.principal(&head.headers).ok_or_else(wrong_key)
        }
        _ => Ok(Principal::Anyone),
    }
}
