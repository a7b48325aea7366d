//! What bounds each request, as the broker gets it from its parent.

use std::time::Duration;

use orwd_model::HttpLimits;
use serde::{Deserialize, Serialize};

/// Bytes that the values of secrets add to the headers of a request.
const SECRET_BYTES: usize = 48 << 10;

/// The limits that the broker keeps.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SendLimits {
    /// Requests that are sent at once.
    pub(crate) at_once: usize,
    /// Time until one address accepts the connection.
    pub(crate) connect: Duration,
    /// Time from then until the head of the response has come.
    pub(crate) head: Duration,
    /// Time of all of it.
    pub(crate) total: Duration,
    /// Bytes of the headers of a request.
    pub(crate) request_headers: usize,
    /// Bytes of the head of a response.
    pub(crate) response_head: usize,
}

impl SendLimits {
    /// Returns how many bytes the values of headers have with the secrets in them.
    pub(crate) fn filled_headers(&self) -> usize {
        self.request_headers + SECRET_BYTES
    }
}

impl From<HttpLimits> for SendLimits {
    fn from(limits: HttpLimits) -> SendLimits {
        SendLimits {
            at_once: limits.at_once,
            connect: limits.connect,
            head: limits.head,
            total: limits.total,
            request_headers: limits.request_headers,
            response_head: limits.response_head,
        }
    }
}
