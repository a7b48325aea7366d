//! One log line for each request.
//!
//! The line is written when the answer is out, or when it is known that it
//! never will be. It holds the route and never a body, nor any header but the
//! request's id and the session's. Text made by a client or a guest is escaped
//! and cut, so that a line of the log is a line.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};

use super::socket::Activity;
use super::stream::BrokenOff;
use orwd_model::{EnvName, Seed, SessionId};
use orwd_session::Principal;

/// The header that carries a request's id, both ways.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's own id is taken if it is no longer than this, and plain.
const LONGEST_ID: usize = 64;

/// What is logged of one request. Written when dropped.
pub(super) struct Record {
    id: HeaderValue,
    method: Method,
    uri: Uri,
    started: Instant,
    activity: Arc<Activity>,
    /// None if there never was an answer.
    status: Option<StatusCode>,
    quiet: bool,
    end: End,
    /// Whose key it came with.
    pub(super) principal: Principal,
    /// The session that the request names.
    pub(super) session: Option<SessionId>,
    /// The environment that it is about.
    pub(super) environment: Option<EnvName>,
    /// The seed of the session that it opened.
    pub(super) seed: Option<Seed>,
    /// Why it was refused.
    pub(super) detail: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client left before the answer was out.
    Left,
    /// The answer is out.
    Out,
    /// The stream was broken off.
    BrokenOff,
}

impl Record {
    /// Begins the record of a request that has just come.
    pub(super) fn new(
        method: Method,
        uri: Uri,
        headers: &HeaderMap,
        activity: Arc<Activity>,
    ) -> Record {
        activity.begin();
        Record {
            id: request_id(headers),
            method,
            uri,
            started: Instant::now(),
            activity,
            status: None,
            quiet: false,
            end: End::Left,
            principal: Principal::Anyone,
            session: None,
            environment: None,
            seed: None,
            detail: None,
        }
    }

    /// The id that the answer carries.
    pub(super) fn id(&self) -> HeaderValue {
        self.id.clone()
    }

    /// The line is of interest to nobody but those who look for it.
    pub(super) fn quiet(&mut self) {
        self.quiet = true;
    }

    /// The answer has this status.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// The answer is out.
    pub(super) fn ended(&mut self) {
        self.end = End::Out;
    }

    /// The stream was broken off.
    pub(super) fn broken_off(&mut self, why: &BrokenOff) {
        self.end = End::BrokenOff;
        self.detail = Some(why.to_string());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.activity.end();
        // The answer to a HEAD request has no body to come to the end of.
        let out = self.end == End::Out || self.method == Method::HEAD;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request = self.id.to_str().unwrap_or_default(),
                    method = %self.method,
                    path = %Plain(self.uri.path()),
                    status = self.status.map(|status| status.as_u16()),
                    ms = self.started.elapsed().as_micros() as f64 / 1000.0,
                    key = self.principal.name(),
                    session = self.session.as_ref().map(|id| tracing::field::display(Plain(id.as_str()))),
                    environment = self.environment.as_ref().map(EnvName::as_str),
                    seed = self.seed.map(Seed::get),
                    detail = self.detail.as_deref().map(|text| tracing::field::display(Plain(text))),
                    incomplete = (!out).then_some(true),
                    "request"
                )
            };
        }
        let failed = self.status.is_some_and(|status| status.is_server_error());
        if failed || self.end == End::BrokenOff {
            line!(warn);
        } else if self.quiet {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

/// The client's own id if it is short and plain, else a drawn one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=LONGEST_ID).contains(&bytes.len())
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

/// Text of somebody else's in a log: escaped, and cut.
pub(super) struct Plain<'a>(pub(super) &'a str);

/// So many characters of somebody else's text are logged.
const LONGEST_TEXT: usize = 200;

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.chars().enumerate() {
            if at == LONGEST_TEXT {
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
    fn a_short_plain_id_is_kept_and_any_other_replaced() {
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
    fn text_of_others_is_escaped_and_cut() {
        for (text, expected) in [
            ("/alpha/tools", "/alpha/tools"),
            ("a\nb\u{1b}[31m\u{7f}", "a\\nb\\u{1b}[31m\\u{7f}"),
            ("it's \"é\"", "it's \"é\""),
            ("a\u{2028}b\u{202e}", "a\\u{2028}b\\u{202e}"),
        ] {
            assert_eq!(Plain(text).to_string(), expected);
        }
        let long = Plain(&"x".repeat(10_000)).to_string();
        assert_eq!(long.chars().count(), LONGEST_TEXT + 1);
    }
}
