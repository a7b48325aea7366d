//! `X-ORWD-Seed`: sets the seed of a session and tells the client the seed in
//! use.
//!
//! It is an extension of orwd, not part of the contract. An invalid seed is
//! refused: a client that sets one relies on it.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use orwd_model::{InvalidSeed, Seed};

/// The name of the header, in both directions.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-orwd-seed");

/// Returns the seed that a request sets.
pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Seed>, InvalidSeed> {
    headers
        .get(HEADER)
        .map(|value| Seed::parse(value.to_str().map_err(|_| InvalidSeed)?))
        .transpose()
}

/// Sets the response header.
pub(crate) fn set(headers: &mut HeaderMap, seed: Seed) {
    headers.insert(HEADER, HeaderValue::from(seed.get()));
}
