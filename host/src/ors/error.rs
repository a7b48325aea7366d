//! The one place where failures become statuses (wire contract sections 2 to 5
//! and 11).
//!
//! The caller's fault is 4xx, the guest's 500 or 410, ours 5xx. A text is
//! either the contract's, the guest's own, or a fault's sentence; causes stay in
//! the log.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::again::UnfitKey;
use super::answer::{self, Answer};
use super::body::BodyError;
use super::document::Unreadable;
use super::framing::Doubt;
use super::hosts::Foreign;
use super::problems::Problems;
use super::python;
use super::render;
use crate::model::{Fault, FaultCode, InvalidSeed, TOOLSETS, quoted};
use crate::session::{BeyondError, CatalogError, CreateError, SessionError};

/// Why a request has no other answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is not clear where the request ends, or for whom it is.
    Doubtful(Doubt),
    /// It names a host or an origin that it may not.
    Foreign(Foreign),
    /// It has no key, or a wrong one.
    NoKey,
    /// The same, and there were many; in so much time there may be another.
    TooManyWrongKeys(Duration),
    /// Sessions are opened too fast; in so much time one may be.
    TooManyCreations(Duration),
    /// There is no such path.
    NotFound,
    /// The path takes this method alone.
    Only(&'static str),
    /// No session is named.
    NoSessionHeader,
    /// There is no such session.
    NoSession,
    /// The body cannot be had.
    Body(BodyError),
    /// The body claims to be JSON and is no text.
    NotText,
    /// The body is not what it should be.
    Invalid(Problems),
    /// The header that sets the seed holds none.
    Seed(InvalidSeed),
    /// The idempotency key is none.
    Key(UnfitKey),
    /// There is no environment of this name.
    UnknownEnvironment(String),
    /// This environment, named as in the path, scores no groups.
    NoScoring(String),
    /// A question about tasks has no answer.
    Catalog(CatalogError),
    /// The session was not created.
    Create(CreateError),
    /// The session cannot answer.
    Session(SessionError),
    /// The body of a request beyond the contract is not what it should be.
    Unfit(String),
    /// A question beyond the contract has no answer.
    Beyond(BeyondError),
}

macro_rules! from {
    ($($kind:ident($error:ty)),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::$kind(error)
            }
        })+
    };
}

from!(
    Doubtful(Doubt),
    Foreign(Foreign),
    Body(BodyError),
    Invalid(Problems),
    Seed(InvalidSeed),
    Catalog(CatalogError),
    Create(CreateError),
    Session(SessionError),
    Beyond(BeyondError)
);

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Failure {
        match unreadable {
            Unreadable::NotJson(problems) => Failure::Invalid(problems),
            Unreadable::NotText => Failure::NotText,
        }
    }
}

/// A client that finds this on a 503 asks again for minutes.
const BACKEND_STATE: HeaderName = HeaderName::from_static("x-backend-state");

/// What the log says of a guest's error. The words may hold what only the
/// session's owner may know, such as a secret.
const IN_ITS_OWN_WORDS: &str = "the environment failed, and told its client why";

/// What a failure becomes.
struct Told {
    status: StatusCode,
    detail: Detail,
    /// What the log says in place of the detail, where that is for the client
    /// alone.
    log: Option<String>,
    allow: Option<&'static str>,
    retry: Retry,
}

/// What the body says.
enum Detail {
    /// A sentence.
    Text(String),
    /// The guest's own words, which are for the session's owner and not for
    /// the log.
    Words(String),
    /// All that is wrong with the request's body.
    Problems(Problems),
}

/// When the client should ask again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// Not at all.
    No,
    /// A few times, soon.
    Soon,
    /// In so much time.
    In(Duration),
    /// Until the session has started.
    WhenStarted,
}

impl Failure {
    /// The answer, and its text for the log.
    pub(super) fn answer(self) -> (Answer, Option<String>) {
        let told = self.told();
        let mut body = String::with_capacity(64);
        match &told.detail {
            Detail::Text(text) | Detail::Words(text) => {
                render::single(&mut body, "detail", text);
            }
            Detail::Problems(problems) => {
                body.push_str("{\"detail\":");
                body.push_str(&problems.to_json());
                body.push('}');
            }
        }
        let mut answer = answer::json(told.status, body);
        let headers = answer.headers_mut();
        if let Some(method) = told.allow {
            headers.insert(ALLOW, HeaderValue::from_static(method));
        }
        if told.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        match told.retry {
            Retry::No => {}
            Retry::Soon | Retry::WhenStarted => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
            }
            Retry::In(wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
        }
        if told.retry == Retry::WhenStarted {
            headers.insert(BACKEND_STATE, HeaderValue::from_static("starting"));
        }
        // What ordinary mistakes say is no news.
        let log = match (told.log, told.detail) {
            (Some(text), _) => Some(text),
            (None, Detail::Text(text))
                if told.status.is_server_error()
                    || matches!(
                        told.status,
                        StatusCode::GONE | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
                    ) =>
            {
                Some(text)
            }
            (None, Detail::Words(_)) => Some(IN_ITS_OWN_WORDS.to_owned()),
            _ => None,
        };
        (answer, log)
    }

    fn told(self) -> Told {
        match self {
            Failure::Doubtful(doubt) => told(StatusCode::BAD_REQUEST, doubt.sentence()),
            Failure::Foreign(foreign) => told(StatusCode::FORBIDDEN, refused(&foreign)),
            Failure::NoKey => told(StatusCode::UNAUTHORIZED, "Invalid API key"),
            Failure::TooManyWrongKeys(wait) => {
                let detail = "too many requests with a wrong API key come from this address";
                too_many(detail, Retry::In(wait))
            }
            Failure::TooManyCreations(wait) => {
                too_many("sessions are created too fast", Retry::In(wait))
            }
            Failure::NotFound => told(StatusCode::NOT_FOUND, "Not Found"),
            Failure::Only(method) => Told {
                allow: Some(method),
                ..told(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            },
            Failure::NoSessionHeader => {
                told(StatusCode::BAD_REQUEST, "X-Session-ID header is required")
            }
            Failure::NoSession => told(StatusCode::NOT_FOUND, "Active environment not found"),
            Failure::Body(BodyError::TooLarge) => told(
                StatusCode::PAYLOAD_TOO_LARGE,
                "The request body is too large",
            ),
            Failure::Body(BodyError::TooSlow) => told(
                StatusCode::REQUEST_TIMEOUT,
                "The request body did not come in time",
            ),
            Failure::Body(BodyError::Broken) | Failure::NotText => told(
                StatusCode::BAD_REQUEST,
                "There was an error parsing the body",
            ),
            Failure::Invalid(problems) => Told {
                detail: Detail::Problems(problems),
                ..told(StatusCode::UNPROCESSABLE_ENTITY, "")
            },
            Failure::Seed(error) => told(StatusCode::BAD_REQUEST, format!("X-ORWD-Seed: {error}")),
            Failure::Key(UnfitKey) => told(
                StatusCode::BAD_REQUEST,
                "Idempotency-Key: a key is 1 to 255 printable characters of ASCII",
            ),
            Failure::UnknownEnvironment(name) => unknown_environment(&name),
            Failure::NoScoring(name) => told(
                StatusCode::NOT_FOUND,
                format!("Environment '{name}' does not implement score_group"),
            ),
            Failure::Catalog(error) => catalog(error),
            Failure::Create(error) => create(error),
            Failure::Session(error) => session(error),
            Failure::Unfit(why) => told(StatusCode::UNPROCESSABLE_ENTITY, why),
            Failure::Beyond(error) => beyond(&error),
        }
    }
}

fn told(status: StatusCode, detail: impl Into<String>) -> Told {
    Told {
        status,
        detail: Detail::Text(detail.into()),
        log: None,
        allow: None,
        retry: Retry::No,
    }
}

fn soon(detail: impl Into<String>) -> Told {
    Told {
        retry: Retry::Soon,
        ..told(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

fn too_many(detail: impl Into<String>, retry: Retry) -> Told {
    Told {
        retry,
        ..told(StatusCode::TOO_MANY_REQUESTS, detail)
    }
}

/// Clients read whole seconds, and it must not be too early then.
fn whole_seconds(time: Duration) -> u64 {
    time.as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// Says why, since whoever reads it may well be the server's own user.
fn refused(foreign: &Foreign) -> String {
    let (what, named) = match foreign {
        Foreign::Host(host) => ("Host", host),
        Foreign::Origin(origin) => ("Origin", origin),
    };
    format!(
        "the {what} {} is not this machine's own, so a web page may be behind this request; \
         start the server with --allow-host NAME if it is a name of yours",
        quoted(named)
    )
}

fn unknown_environment(name: &str) -> Told {
    let name = quoted(name);
    told(StatusCode::NOT_FOUND, format!("unknown environment {name}"))
}

/// The guest's own words, in the form that the reference gives an exception.
fn raised(message: &str) -> Told {
    Told {
        detail: Detail::Words(format!("RuntimeError: {message}")),
        ..told(StatusCode::INTERNAL_SERVER_ERROR, "")
    }
}

/// The same, for the session's owner and not for the log.
fn raised_to_owner(message: &str) -> Told {
    Told {
        log: Some("the environment failed, and told its owner why".to_owned()),
        ..raised(message)
    }
}

/// A fault that ended a session, told to the session's owner. What the guest
/// said is nothing for the log.
fn to_owner(fault: &Fault, more: &str, told: impl FnOnce(String) -> Told) -> Told {
    Told {
        log: Some(fault.to_string()),
        ..told(fault.for_owner(more))
    }
}

/// A fault that ended the session of this request.
fn ended(fault: &Fault) -> Told {
    let Told { status, retry, .. } = faulted(fault);
    to_owner(fault, "", |detail| Told {
        retry,
        ..told(status, detail)
    })
}

/// A fault that has no owner: the guest answered for all. What the host could
/// not do now it may do soon.
fn faulted(fault: &Fault) -> Told {
    match fault.code {
        FaultCode::Overloaded | FaultCode::Interrupted => soon(fault.to_string()),
        _ => told(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()),
    }
}

fn catalog(error: CatalogError) -> Told {
    match &error {
        CatalogError::InvalidSplit
        | CatalogError::InvalidIndex
        | CatalogError::ListingUnsupported => told(StatusCode::BAD_REQUEST, error.to_string()),
        CatalogError::Failed(message) => raised(message),
        CatalogError::Faulted(fault) => faulted(fault),
    }
}

fn create(error: CreateError) -> Told {
    match error {
        CreateError::Exists => told(StatusCode::BAD_REQUEST, "Session already exists"),
        CreateError::UnknownEnvironment(name) => unknown_environment(&name),
        CreateError::Task(error) => catalog(error),
        CreateError::Secrets(why) => told(StatusCode::INTERNAL_SERVER_ERROR, why),
        CreateError::Refused(message) => raised_to_owner(&message),
        CreateError::TooDeep(why) => told(StatusCode::BAD_REQUEST, why),
        CreateError::Faulted(fault) => ended(&fault),
        CreateError::UnknownToolset(name) => {
            let (name, known) = (quoted(&name), python::list(&TOOLSETS));
            let detail = format!("unknown toolset {name}; valid options are {known}");
            told(StatusCode::BAD_REQUEST, detail)
        }
        CreateError::NoSandbox(name) => {
            let name = quoted(&name);
            let detail = format!("toolset {name} needs a sandbox, and this server has none");
            told(StatusCode::BAD_REQUEST, detail)
        }
        CreateError::Full => soon("the server holds as many sessions as it may"),
        CreateError::TooMany => too_many(error.to_string(), Retry::Soon),
        CreateError::Stopping => soon("the server is stopping"),
        CreateError::Unwritten => Told {
            retry: Retry::WhenStarted,
            ..soon("the server cannot write the session down")
        },
    }
}

fn session(error: SessionError) -> Told {
    match &error {
        SessionError::Deleted => told(StatusCode::GONE, "Session deleted"),
        SessionError::Starting => Told {
            retry: Retry::WhenStarted,
            ..told(
                StatusCode::SERVICE_UNAVAILABLE,
                "Environment still starting.",
            )
        },
        SessionError::SetupFailed(message) | SessionError::Failed(message) => {
            raised_to_owner(message)
        }
        SessionError::Faulted(fault) => ended(fault),
        SessionError::Gone(fault) => to_owner(
            fault,
            "; the session ended then, without a teardown",
            |detail| told(StatusCode::GONE, detail),
        ),
        SessionError::Lost(_) => told(StatusCode::GONE, error.to_string()),
        SessionError::KeyReused => told(StatusCode::CONFLICT, error.to_string()),
        SessionError::TooManyCalls => too_many(error.to_string(), Retry::Soon),
    }
}

fn beyond(error: &BeyondError) -> Told {
    let status = match error {
        BeyondError::NoSession => StatusCode::NOT_FOUND,
        BeyondError::NoSuchStep(_) | BeyondError::Count(_) => StatusCode::BAD_REQUEST,
        BeyondError::NoJournal | BeyondError::NotReplayable => StatusCode::CONFLICT,
        BeyondError::Lost(_) | BeyondError::Damaged(_) => StatusCode::GONE,
        BeyondError::TooMany => return too_many(error.to_string(), Retry::Soon),
        BeyondError::Unwritten | BeyondError::Full => return soon(error.to_string()),
    };
    told(status, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::answer::Payload;
    use super::*;

    fn seen(failure: Failure) -> (u16, String, Vec<String>) {
        let (answer, _) = failure.answer();
        let (parts, payload) = answer.into_parts();
        let Payload::Text(Some(body)) = payload else {
            panic!("no text");
        };
        let mut headers: Vec<String> = parts
            .headers
            .iter()
            .filter(|(name, _)| *name != "content-type")
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        assert_eq!(parts.headers["content-type"], "application/json");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let detail = body["detail"].as_str().unwrap().to_owned();
        (parts.status.as_u16(), detail, headers)
    }

    #[test]
    fn every_failure_has_its_status_and_text() {
        let fault = |code| Fault::new(code, "a sentence");
        let soon = ["retry-after: 2"];
        let none: [&str; 0] = [];
        let cases: Vec<(Failure, u16, &str, &[&str])> = vec![
            (Failure::NotFound, 404, "Not Found", &none),
            (
                Failure::NoKey,
                401,
                "Invalid API key",
                &["www-authenticate: Bearer"],
            ),
            (
                Failure::TooManyWrongKeys(Duration::from_millis(2001)),
                429,
                "too many requests with a wrong API key come from this address",
                &["retry-after: 3"],
            ),
            (
                Failure::TooManyCreations(Duration::from_nanos(1_000_000)),
                429,
                "sessions are created too fast",
                &["retry-after: 1"],
            ),
            (
                CreateError::TooMany.into(),
                429,
                "this key holds as many sessions as it may",
                &soon,
            ),
            (
                SessionError::TooManyCalls.into(),
                429,
                "this key has as many calls in flight as it may",
                &soon,
            ),
            (
                Doubt::Lengths.into(),
                400,
                "the request has more than one Content-Length",
                &none,
            ),
            (
                Foreign::Origin("null".into()).into(),
                403,
                "the Origin 'null' is not this machine's own, so a web page may be behind this \
                 request; start the server with --allow-host NAME if it is a name of yours",
                &none,
            ),
            (
                Failure::Only("GET"),
                405,
                "Method Not Allowed",
                &["allow: GET"],
            ),
            (
                Failure::NoSessionHeader,
                400,
                "X-Session-ID header is required",
                &none,
            ),
            (
                Failure::NoSession,
                404,
                "Active environment not found",
                &none,
            ),
            (
                Failure::NotText,
                400,
                "There was an error parsing the body",
                &none,
            ),
            (
                BodyError::TooLarge.into(),
                413,
                "The request body is too large",
                &none,
            ),
            (
                BodyError::TooSlow.into(),
                408,
                "The request body did not come in time",
                &none,
            ),
            (
                Failure::UnknownEnvironment("it's".into()),
                404,
                "unknown environment \"it's\"",
                &none,
            ),
            (
                Failure::NoScoring("Alpha".into()),
                404,
                "Environment 'Alpha' does not implement score_group",
                &none,
            ),
            (
                CatalogError::InvalidSplit.into(),
                400,
                "Invalid split",
                &none,
            ),
            (
                CatalogError::InvalidIndex.into(),
                400,
                "Invalid index",
                &none,
            ),
            (
                CatalogError::ListingUnsupported.into(),
                400,
                "list_tasks is not supported for this environment. Use the index-based API (num_tasks + get_task) instead.",
                &none,
            ),
            (
                CatalogError::Failed("boom".into()).into(),
                500,
                "RuntimeError: boom",
                &none,
            ),
            (
                CatalogError::Faulted(fault(FaultCode::LimitCpu)).into(),
                500,
                "limit_cpu: a sentence",
                &none,
            ),
            (
                CatalogError::Faulted(fault(FaultCode::Overloaded)).into(),
                503,
                "overloaded: a sentence",
                &soon,
            ),
            (
                CreateError::Exists.into(),
                400,
                "Session already exists",
                &none,
            ),
            (
                CreateError::UnknownEnvironment("".into()).into(),
                404,
                "unknown environment ''",
                &none,
            ),
            (
                CreateError::Task(CatalogError::InvalidIndex).into(),
                400,
                "Invalid index",
                &none,
            ),
            (
                CreateError::Secrets("KeyError: 'value'".into()).into(),
                500,
                "KeyError: 'value'",
                &none,
            ),
            (
                CreateError::Refused("no".into()).into(),
                500,
                "RuntimeError: no",
                &none,
            ),
            (
                CreateError::Faulted(fault(FaultCode::EnvTrap)).into(),
                500,
                "env_trap: a sentence",
                &none,
            ),
            (
                CreateError::UnknownToolset("no-such".into()).into(),
                400,
                "unknown toolset 'no-such'; valid options are ['backsearch', 'claude-code', 'cli', 'codex', 'gemini-cli', 'hermes', 'openclaw', 'web']",
                &none,
            ),
            (
                CreateError::NoSandbox("cli".into()).into(),
                400,
                "toolset 'cli' needs a sandbox, and this server has none",
                &none,
            ),
            (
                CreateError::Full.into(),
                503,
                "the server holds as many sessions as it may",
                &soon,
            ),
            (
                CreateError::Stopping.into(),
                503,
                "the server is stopping",
                &soon,
            ),
            (SessionError::Deleted.into(), 410, "Session deleted", &none),
            (
                SessionError::Starting.into(),
                503,
                "Environment still starting.",
                &["retry-after: 2", "x-backend-state: starting"],
            ),
            (
                SessionError::SetupFailed("boom".into()).into(),
                500,
                "RuntimeError: boom",
                &none,
            ),
            (
                SessionError::Failed("boom".into()).into(),
                500,
                "RuntimeError: boom",
                &none,
            ),
            (
                SessionError::Faulted(fault(FaultCode::Internal)).into(),
                500,
                "internal: a sentence",
                &none,
            ),
            (
                SessionError::Faulted(fault(FaultCode::Interrupted)).into(),
                503,
                "interrupted: a sentence",
                &soon,
            ),
            (
                CreateError::Unwritten.into(),
                503,
                "the server cannot write the session down",
                &["retry-after: 2", "x-backend-state: starting"],
            ),
            (
                SessionError::Lost("record 3 differs".into()).into(),
                410,
                "the session is lost: record 3 differs",
                &none,
            ),
            (
                SessionError::KeyReused.into(),
                409,
                "the idempotency key was used for another request",
                &none,
            ),
            (
                SessionError::Gone(fault(FaultCode::LimitMemory)).into(),
                410,
                "limit_memory: a sentence; the session ended then, without a teardown",
                &none,
            ),
        ];
        for (failure, status, detail, headers) in cases {
            let name = format!("{failure:?}");
            let (seen_status, seen_detail, seen_headers) = seen(failure);
            assert_eq!(seen_status, status, "{name}");
            assert_eq!(seen_detail, detail, "{name}");
            assert_eq!(seen_headers, headers, "{name}");
        }
    }

    #[test]
    fn what_a_guest_said_is_told_to_its_owner_and_not_to_the_log() {
        let fault = || Fault {
            words: Some("the\nsecret".to_owned()),
            ..Fault::new(FaultCode::EnvExit, "it went")
        };
        let words = "; its last words: 'the\\nsecret'";
        let cases: Vec<(Failure, &str, &str)> = vec![
            (SessionError::Faulted(fault()).into(), "", words),
            (
                SessionError::Gone(fault()).into(),
                "; the session ended then, without a teardown",
                words,
            ),
            (CreateError::Faulted(fault()).into(), "", words),
            // Nobody's own: the guest answered for all.
            (CatalogError::Faulted(fault()).into(), "", ""),
        ];
        for failure in [
            Failure::Session(SessionError::SetupFailed("a secret".into())),
            SessionError::Failed("a secret".into()).into(),
            CreateError::Refused("a secret".into()).into(),
        ] {
            let (answer, log) = failure.answer();
            let (_, Payload::Text(Some(body))) = answer.into_parts() else {
                panic!("no text");
            };
            assert_eq!(body, "{\"detail\":\"RuntimeError: a secret\"}");
            assert!(!log.unwrap().contains("secret"));
        }
        for (failure, more, words) in cases {
            let (answer, log) = failure.answer();
            let (_, Payload::Text(Some(body))) = answer.into_parts() else {
                panic!("no text");
            };
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let expected = format!("env_exit: it went{more}{words}");
            assert_eq!(body["detail"], expected);
            assert_eq!(log.as_deref(), Some("env_exit: it went"));
        }
    }
}
