//! Several requests at once.

use crate::http::message::{HttpError, Request, Response};
use crate::http::wire;

/// Sends requests at once, and waits for all results, which are in the order of the
/// requests. Redirects are not followed.
///
/// ```no_run
/// use orwd_sdk::http::{self, Request};
///
/// let votes = http::send_all((0..3).map(|vote| {
///     Request::post("https://a.com/vote").body(vote.to_string())
/// }));
/// assert_eq!(votes.len(), 3);
/// ```
pub fn send_all(requests: impl IntoIterator<Item = Request>) -> Vec<Result<Response, HttpError>> {
    all(requests.into_iter().collect())
}

/// How many are started before the first result is awaited; the host takes twice as
/// many.
#[cfg(target_arch = "wasm32")]
const AT_ONCE: usize = 32;

#[cfg(target_arch = "wasm32")]
fn all(requests: Vec<Request>) -> Vec<Result<Response, HttpError>> {
    use crate::component::network_bindings::orwd::network::http;
    use crate::http::message::ErrorKind;

    let none = || HttpError {
        kind: ErrorKind::Failed,
        message: "the host has no result".to_owned(),
    };
    let mut results: Vec<_> = requests.iter().map(|_| Err(none())).collect();
    let mut put = |place: usize, result| {
        if let Some(slot) = results.get_mut(place) {
            *slot = result;
        }
    };
    let mut started: Vec<(u32, usize)> = Vec::new();
    let mut waiting = requests.into_iter().enumerate();
    loop {
        while started.len() < AT_ONCE
            && let Some((place, request)) = waiting.next()
        {
            match http::start(&wire::sent(request)) {
                Ok(number) => started.push((number, place)),
                Err(error) => put(place, Err(wire::refused(error))),
            }
        }
        // None is left when nothing is started.
        let Some(finished) = http::wait() else {
            break;
        };
        let found = started
            .iter()
            .position(|(number, _)| *number == finished.number);
        // Otherwise another part of the environment started it, and an earlier call
        // has ended.
        if let Some(found) = found {
            let (_, place) = started.swap_remove(found);
            put(place, wire::received(finished.result));
        }
    }
    results
}

#[cfg(not(target_arch = "wasm32"))]
fn all(requests: Vec<Request>) -> Vec<Result<Response, HttpError>> {
    requests.into_iter().map(wire::send).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::ErrorKind;

    #[test]
    fn a_native_test_gets_an_error_for_each() {
        let requests = ["https://a.com", "https://b.com"].map(Request::get);
        let results = send_all(requests);
        let kinds: Vec<_> = results
            .into_iter()
            .map(|result| result.unwrap_err().kind())
            .collect();
        assert_eq!(kinds, [ErrorKind::Unavailable; 2]);
    }
}
