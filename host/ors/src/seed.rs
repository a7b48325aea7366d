//! The header by which a client sets the seed of a session, and is told it.
//!
//! It is ours, not the contract's. One that is no number is refused, since the
//! client would otherwise believe in numbers that it does not get.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::answer::Answer;
use orwd_model::{InvalidSeed, Seed};

/// The name of the header, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-orwd-seed");

/// The seed that a request asks for.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Seed>, InvalidSeed> {
    headers
        .get(HEADER)
        .map(|value| Seed::parse(value.to_str().map_err(|_| InvalidSeed)?))
        .transpose()
}

/// Tells a client the seed that it got.
pub(super) fn tell(answer: &mut Answer, seed: Seed) {
    answer
        .headers_mut()
        .insert(HEADER, HeaderValue::from(seed.get()));
}
