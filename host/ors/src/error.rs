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
use orwd_model::{Fault, FaultCode, InvalidSeed, TOOLSETS, quoted};
use orwd_session::{BeyondError, CatalogError, CreateError, SessionError};

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
mod tests;
