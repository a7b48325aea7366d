//! `X-Session-ID`, which names the session, and `X-ORWD-Resumable`, which tells
//! the client whether its session survives a restart of the server.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use orwd_model::SessionId;
use orwd_session::Resumability;

const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");

/// An extension of orwd, not part of the contract.
const RESUMABLE: HeaderName = HeaderName::from_static("x-orwd-resumable");

/// Returns the session that a request names.
pub(crate) fn session_id(headers: &HeaderMap) -> Option<SessionId> {
    let value = headers.get(SESSION_ID)?;
    match value.to_str() {
        Ok(text) => SessionId::new(text),
        // Header bytes that are not ASCII are Latin-1.
        Err(_) => {
            let latin1 = value.as_bytes().iter().map(|b| char::from(*b));
            SessionId::new(&latin1.collect::<String>())
        }
    }
}

/// Sets the response header that says whether the session can be resumed.
pub(crate) fn set_resumable(headers: &mut HeaderMap, resumability: Resumability) {
    let value = match resumability.obstacle() {
        None => Ok(HeaderValue::from_static("yes")),
        Some(obstacle) => HeaderValue::try_from(format!("no; {obstacle}")),
    };
    if let Ok(value) = value {
        headers.insert(RESUMABLE, value);
    }
}
