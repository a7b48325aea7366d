//! The access log: one line per request.
//!
//! The line is written when the response has been sent, or when it is certain
//! that it will not be. It holds the client's address and the name of its key, the
//! route, the request id and the session id. Of a call it also holds the
//! outcome, the fault, the reward, and the tool once that has run. It never holds
//! a body or another header. Text that comes from a client or a guest is escaped
//! and shortened, so that one entry is one line.

use std::fmt::{self, Display, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use orwd_model::{EnvName, FaultCode, Reward, RunOutcome, Seed, SessionId};
use orwd_session::Principal;

use super::activity::{ConnectionActivity, WriteHold};

/// The header that carries the request id, in both directions.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken from a client.
const MAX_REQUEST_ID_LENGTH: usize = 64;

/// The access log entry of one request; written when dropped.
pub(crate) struct AccessLogEntry {
    request_id: HeaderValue,
    method: Method,
    uri: Uri,
    started: Instant,
    address: IpAddr,
    activity: Arc<ConnectionActivity>,
    /// `None` if there was no response.
    status: Option<StatusCode>,
    quiet: bool,
    end: ResponseEnd,
    /// The principal that sent the request.
    pub(crate) principal: Principal,
    /// The session that the request names.
    pub(crate) session: Option<SessionId>,
    /// The environment that the request is about.
    pub(crate) environment: Option<EnvName>,
    /// The seed of the session that the request created.
    pub(crate) seed: Option<Seed>,
    /// The tool that the request calls, shortened. It is logged once the tool has
    /// run: a name that is refused can be any text of the client, and a secret.
    tool: Option<String>,
    /// The outcome of the call or scoring.
    pub(crate) run_end: Option<RunEnd>,
    /// Why the request was refused.
    pub(crate) detail: Option<String>,
}

/// The outcome of a call or scoring, without anything that the guest says.
#[derive(Clone, Copy)]
pub(crate) struct RunEnd {
    outcome: &'static str,
    is_refused: bool,
    fault: Option<FaultCode>,
    reward: Option<Reward>,
}

impl RunEnd {
    pub(crate) fn of(outcome: &RunOutcome) -> RunEnd {
        let (name, fault, reward) = match outcome {
            RunOutcome::Output(output) => ("output", None, output.reward),
            RunOutcome::Scores(_) => ("output", None, None),
            RunOutcome::Refused(_) => ("refused", None, None),
            RunOutcome::Failed(_) => ("failed", None, None),
            RunOutcome::Faulted(fault) => ("faulted", Some(fault.code), None),
        };
        RunEnd {
            outcome: name,
            is_refused: matches!(outcome, RunOutcome::Refused(_)),
            fault,
            reward,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ResponseEnd {
    /// The client left before the response was complete.
    ClientLeft,
    /// The response is complete.
    Complete,
    /// The server aborted the stream.
    Aborted,
}

impl AccessLogEntry {
    /// Begins the entry of a request that has just arrived.
    pub(crate) fn new(
        method: Method,
        uri: Uri,
        headers: &HeaderMap,
        address: IpAddr,
        activity: Arc<ConnectionActivity>,
    ) -> AccessLogEntry {
        activity.begin();
        AccessLogEntry {
            request_id: request_id(headers),
            method,
            uri,
            started: Instant::now(),
            address,
            activity,
            status: None,
            quiet: false,
            end: ResponseEnd::ClientLeft,
            principal: Principal::Anyone,
            session: None,
            environment: None,
            seed: None,
            tool: None,
            run_end: None,
            detail: None,
        }
    }

    /// Returns the request id that the response carries.
    pub(crate) fn request_id(&self) -> HeaderValue {
        self.request_id.clone()
    }

    /// Sets the tool that the request calls.
    pub(crate) fn set_tool(&mut self, name: &str) {
        // One more, which shows that there are more.
        self.tool = Some(name.chars().take(MAX_LOGGED_CHARS + 1).collect());
    }

    /// Lowers the level of the line to debug.
    pub(crate) fn set_quiet(&mut self) {
        self.quiet = true;
    }

    /// Sets the status of the response.
    pub(crate) fn set_status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Sets what the connection does with the bytes of the response.
    pub(crate) fn set_hold(&self, hold: WriteHold) {
        self.activity.set_hold(hold);
    }

    /// Notes that the response is complete.
    pub(crate) fn set_complete(&mut self) {
        self.end = ResponseEnd::Complete;
    }

    /// Notes that the server aborted the stream.
    pub(crate) fn set_aborted(&mut self, reason: &impl Display) {
        self.end = ResponseEnd::Aborted;
        self.detail = Some(reason.to_string());
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        self.activity.end();
        self.activity.set_hold(WriteHold::None);
        // The response to a HEAD request has no body whose end could be seen.
        let complete = self.end == ResponseEnd::Complete || self.method == Method::HEAD;
        let has_run = self.run_end.is_some_and(|end| !end.is_refused);
        let tool = self.tool.as_deref().filter(|_| has_run);
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    request = self.request_id.to_str().unwrap_or_default(),
                    address = %self.address.to_canonical(),
                    method = %EscapedText(self.method.as_str()),
                    path = %EscapedText(self.uri.path()),
                    status = self.status.map(|status| status.as_u16()),
                    ms = self.started.elapsed().as_micros() as f64 / 1000.0,
                    key = self.principal.name(),
                    session = self.session.as_ref().map(|id| tracing::field::display(EscapedText(id.as_str()))),
                    environment = self.environment.as_ref().map(EnvName::as_str),
                    seed = self.seed.map(tracing::field::display),
                    tool = tool.map(|name| tracing::field::display(EscapedText(name))),
                    outcome = self.run_end.map(|end| end.outcome),
                    fault = self.run_end.and_then(|end| end.fault).map(FaultCode::as_str),
                    reward = self.run_end.and_then(|end| end.reward).map(Reward::get),
                    detail = self.detail.as_deref().map(|text| tracing::field::display(EscapedText(text))),
                    incomplete = (!complete).then_some(true),
                    "request"
                )
            };
        }
        let failed = self.status.is_some_and(|status| status.is_server_error());
        if failed || self.end == ResponseEnd::Aborted {
            log!(warn);
        } else if self.quiet {
            log!(debug);
        } else {
            log!(info);
        }
    }
}

/// Returns the client's request id if it is short and plain, else a random one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=MAX_REQUEST_ID_LENGTH).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
    };
    headers
        .get(REQUEST_ID)
        .filter(plain)
        .cloned()
        .or_else(|| HeaderValue::try_from(format!("{:016x}", rand::random::<u64>())).ok())
        .unwrap_or(HeaderValue::from_static("-"))
}

/// Displays untrusted text for the log: escaped and shortened.
pub(crate) struct EscapedText<'a>(pub(crate) &'a str);

/// The number of characters of an [`EscapedText`] that are logged.
const MAX_LOGGED_CHARS: usize = 200;

impl Display for EscapedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.chars().enumerate() {
            if at == MAX_LOGGED_CHARS {
                return f.write_char('…');
            }
            match c {
                '"' | '\'' => f.write_char(c)?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_short_plain_request_id_and_replaces_any_other() {
        for (sent, kept) in [
            (Some("abc-123_x.y:z"), true),
            (Some(""), false),
            (Some("a b"), false),
            (Some("a\tb"), false),
            (None, false),
            (Some(&*"x".repeat(65)), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(REQUEST_ID, HeaderValue::from_str(sent).unwrap());
            }
            let id = request_id(&headers);
            assert_eq!(id.to_str().ok() == sent, kept, "{sent:?}");
            assert!(!id.is_empty());
        }
    }

    #[test]
    fn escapes_and_shortens_untrusted_text() {
        for (text, expected) in [
            ("/alpha/tools", "/alpha/tools"),
            ("a\nb\u{1b}[31m\u{7f}", "a\\nb\\u{1b}[31m\\u{7f}"),
            ("it's \"é\"", "it's \"é\""),
            ("a\u{2028}b\u{202e}", "a\\u{2028}b\\u{202e}"),
        ] {
            assert_eq!(EscapedText(text).to_string(), expected);
        }
        let long = EscapedText(&"x".repeat(10_000)).to_string();
        assert_eq!(long.chars().count(), MAX_LOGGED_CHARS + 1);
    }
}
