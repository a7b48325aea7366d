//! Turns a failure into a response; no other module chooses an error status
//! (`docs/src/reference/wire-contract.md`, sections 2 to 5 and 11).
//!
//! The client's mistakes are 4xx, failures of the guest 500 or 410, and failures
//! of the server 5xx. The text is the contract's, the guest's own, or the sentence
//! of a fault. Causes are logged and not sent.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use orwd_model::{ByteSize, Fault, FaultCode, TOOLSETS, python_repr};
use orwd_session::{AdminError, CatalogError, CreateError, DiskRefusal, SessionError};
use serde_json::json;

use super::request_error::RequestError;
use crate::auth::host_check::HostRejection;
use crate::connection::body::{BodyError, BodyLimit};
use crate::decode::validation_error::ValidationErrors;
use crate::encode::python_repr::repr_list;
use crate::encode::response::{self, RouteResponse};
use crate::headers::idempotency::InvalidIdempotencyKey;

/// A client that finds this header on a 503 retries for minutes.
const BACKEND_STATE: HeaderName = HeaderName::from_static("x-backend-state");

/// Logged in place of a guest's error text, which may contain what only the
/// session's owner may know, such as a secret.
const GUEST_ERROR_WITHHELD: &str = "the environment failed; its error text was sent to the client";

/// The parts of an error response.
struct ErrorResponse {
    status: StatusCode,
    detail: ErrorDetail,
    /// The text for the log, if the detail is for the client alone.
    log: Option<String>,
    allow: Option<&'static str>,
    retry: RetryAdvice,
}

/// The `detail` of an error response.
enum ErrorDetail {
    /// A sentence.
    Text(String),
    /// The guest's own text, which is for the session's owner and not for the
    /// log.
    GuestText(String),
    /// The validation errors of the body.
    Validation(ValidationErrors),
}

/// When the client should retry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RetryAdvice {
    /// Never.
    Never,
    /// A few times, soon.
    Soon,
    /// After this time.
    After(Duration),
    /// Until the session has started.
    UntilStarted,
}

impl RequestError {
    /// Returns the response, and its text for the log.
    pub(crate) fn into_response(self) -> (RouteResponse, Option<String>) {
        let parts = self.parts();
        let body = match &parts.detail {
            ErrorDetail::Text(text) | ErrorDetail::GuestText(text) => {
                json!({ "detail": text }).to_string()
            }
            ErrorDetail::Validation(errors) => format!("{{\"detail\":{}}}", errors.to_json()),
        };
        let mut response = response::json_text(parts.status, body);
        let headers = response.headers_mut();
        if let Some(method) = parts.allow {
            headers.insert(ALLOW, HeaderValue::from_static(method));
        }
        if parts.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        match parts.retry {
            RetryAdvice::Never => {}
            RetryAdvice::Soon | RetryAdvice::UntilStarted => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
            }
            RetryAdvice::After(wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
        }
        if parts.retry == RetryAdvice::UntilStarted {
            headers.insert(BACKEND_STATE, HeaderValue::from_static("starting"));
        }
        // Ordinary mistakes of clients need no text in the log.
        let log = match (parts.log, parts.detail) {
            (Some(text), _) => Some(text),
            (None, ErrorDetail::Text(text))
                if parts.status.is_server_error()
                    || matches!(
                        parts.status,
                        StatusCode::GONE | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
                    ) =>
            {
                Some(text)
            }
            (None, ErrorDetail::GuestText(_)) => Some(GUEST_ERROR_WITHHELD.to_owned()),
            _ => None,
        };
        (response, log)
    }

    fn parts(self) -> ErrorResponse {
        match self {
            RequestError::Framing(error) => {
                error_response(StatusCode::BAD_REQUEST, error.message())
            }
            RequestError::Host(rejection) => {
                error_response(StatusCode::FORBIDDEN, host_rejected(&rejection))
            }
            RequestError::InvalidApiKey => {
                error_response(StatusCode::UNAUTHORIZED, "Invalid API key")
            }
            RequestError::ExpiredApiKey(at) => error_response(
                StatusCode::UNAUTHORIZED,
                format!("API key expired at {at}; ask the server's operator for a new one"),
            ),
            RequestError::TooManyAuthFailures(wait) => {
                let detail = "too many requests with a wrong API key come from this address";
                too_many_requests(detail, RetryAdvice::After(wait))
            }
            RequestError::TooManyCreations(wait) => {
                too_many_requests("sessions are created too fast", RetryAdvice::After(wait))
            }
            RequestError::TooManyConnections(limit) => busy(format!(
                "this API key has as many connections as it may: {limit}, and fewer while the \
                 server has few left (--max-connections-per-key, --max-connections)"
            )),
            RequestError::ResponsesBusy => busy(
                "responses that are not read yet take all memory for them; try again \
                 (--response-memory)",
            ),
            RequestError::NotFound => error_response(StatusCode::NOT_FOUND, "Not Found"),
            RequestError::MethodNotAllowed(method) => ErrorResponse {
                allow: Some(method),
                ..error_response(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            },
            RequestError::NoSessionHeader => {
                error_response(StatusCode::BAD_REQUEST, "X-Session-ID header is required")
            }
            RequestError::NoSession => {
                error_response(StatusCode::NOT_FOUND, "Active environment not found")
            }
            RequestError::Body(BodyError::TooLarge(limit)) => {
                error_response(StatusCode::PAYLOAD_TOO_LARGE, body_too_large(limit))
            }
            RequestError::Body(BodyError::NoMemory) => {
                busy("request bodies take all memory for them; try again (--request-memory)")
            }
            RequestError::Body(BodyError::TooSlow) => error_response(
                StatusCode::REQUEST_TIMEOUT,
                "The request body did not come in time",
            ),
            RequestError::Body(BodyError::Incomplete) | RequestError::BodyNotUtf8 => {
                error_response(
                    StatusCode::BAD_REQUEST,
                    "There was an error parsing the body",
                )
            }
            RequestError::Validation(errors) => ErrorResponse {
                detail: ErrorDetail::Validation(errors),
                ..error_response(StatusCode::UNPROCESSABLE_ENTITY, "")
            },
            RequestError::Seed(error) => {
                error_response(StatusCode::BAD_REQUEST, format!("X-ORWD-Seed: {error}"))
            }
            RequestError::IdempotencyKey(InvalidIdempotencyKey) => error_response(
                StatusCode::BAD_REQUEST,
                "Idempotency-Key: a key is 1 to 255 printable characters of ASCII",
            ),
            RequestError::UnknownEnvironment(name) => unknown_environment(&name),
            // Clients look for these words.
            RequestError::UnknownDeployment(name) => ErrorResponse {
                log: Some(format!("unknown deployment {}", python_repr(&name))),
                ..error_response(StatusCode::NOT_FOUND, "Deployment not found.")
            },
            RequestError::AmbiguousDeployment(first, other) => {
                let (first, other) = (python_repr(&first), python_repr(&other));
                let detail =
                    format!("X-Deployment names both {first} and {other}; send one of them");
                error_response(StatusCode::BAD_REQUEST, detail)
            }
            RequestError::NoScoring(name) => error_response(
                StatusCode::NOT_FOUND,
                format!("Environment '{name}' does not implement score_group"),
            ),
            RequestError::Catalog(error) => catalog_error(error),
            RequestError::Create(error) => create_error(error),
            RequestError::Session(error) => session_error(error),
            RequestError::InvalidAdminRequest(reason) => {
                error_response(StatusCode::UNPROCESSABLE_ENTITY, reason)
            }
            RequestError::Admin(error) => admin_error(&error),
        }
    }
}

fn error_response(status: StatusCode, detail: impl Into<String>) -> ErrorResponse {
    ErrorResponse {
        status,
        detail: ErrorDetail::Text(detail.into()),
        log: None,
        allow: None,
        retry: RetryAdvice::Never,
    }
}

fn unavailable(detail: impl Into<String>) -> ErrorResponse {
    ErrorResponse {
        retry: RetryAdvice::Soon,
        ..error_response(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

/// Something is taken at the moment. Clients wait for minutes, as for a session
/// that is starting, since what others hold is released.
fn busy(detail: impl Into<String>) -> ErrorResponse {
    ErrorResponse {
        retry: RetryAdvice::UntilStarted,
        ..error_response(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

fn body_too_large(limit: BodyLimit) -> String {
    let bytes = ByteSize::bytes(u64::try_from(limit.bytes).unwrap_or(u64::MAX));
    match limit.flag {
        Some(flag) => format!("The request body is too large: {bytes} are allowed ({flag})"),
        None => format!("The request body is too large: {bytes} are allowed here"),
    }
}

fn too_many_requests(detail: impl Into<String>, retry: RetryAdvice) -> ErrorResponse {
    ErrorResponse {
        retry,
        ..error_response(StatusCode::TOO_MANY_REQUESTS, detail)
    }
}

/// Rounds up: clients read whole seconds and must not retry too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// Says what to do, because the reader may be the server's own user.
pub(crate) fn host_rejected(rejection: &HostRejection) -> String {
    let (header, value) = match rejection {
        HostRejection::Host(host) => ("Host", host),
        HostRejection::Origin(origin) => ("Origin", origin),
    };
    format!(
        "the {header} {} is not this machine's own, so a web page may be behind this request; \
         start the server with --allow-host NAME if it is a name of yours",
        python_repr(value)
    )
}

fn unknown_environment(name: &str) -> ErrorResponse {
    let name = python_repr(name);
    error_response(StatusCode::NOT_FOUND, format!("unknown environment {name}"))
}

/// The guest's own text, in the form that the reference gives an exception.
fn guest_error(message: &str) -> ErrorResponse {
    ErrorResponse {
        detail: ErrorDetail::GuestText(format!("RuntimeError: {message}")),
        ..error_response(StatusCode::INTERNAL_SERVER_ERROR, "")
    }
}

/// The same for the session's owner.
fn guest_error_to_owner(message: &str) -> ErrorResponse {
    ErrorResponse {
        log: Some("the environment failed; its error text was sent to the session's owner".into()),
        ..guest_error(message)
    }
}

/// A fault that ended a session, with the guest's last words for the session's
/// owner and without them for the log.
fn fault_to_owner(
    fault: &Fault,
    suffix: &str,
    respond: impl FnOnce(String) -> ErrorResponse,
) -> ErrorResponse {
    ErrorResponse {
        log: Some(fault.to_string()),
        ..respond(fault.owner_message(suffix))
    }
}

/// A fault that ended the session of this request.
fn session_fault(fault: &Fault) -> ErrorResponse {
    let ErrorResponse { status, retry, .. } = shared_fault(fault);
    fault_to_owner(fault, "", |detail| ErrorResponse {
        retry,
        ..error_response(status, detail)
    })
}

/// A fault without an owner: the guest served all clients. A failure of the host
/// may be temporary.
fn shared_fault(fault: &Fault) -> ErrorResponse {
    match fault.code {
        FaultCode::Overloaded | FaultCode::Interrupted => unavailable(fault.to_string()),
        _ => error_response(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()),
    }
}

fn catalog_error(error: CatalogError) -> ErrorResponse {
    match &error {
        CatalogError::InvalidSplit
        | CatalogError::InvalidIndex
        | CatalogError::ListingUnsupported
        | CatalogError::ListingLimit(_) => {
            error_response(StatusCode::BAD_REQUEST, error.to_string())
        }
        CatalogError::ListingTooSlow(reason) => unavailable(reason),
        CatalogError::Busy(reason) => busy(reason),
        CatalogError::Failed(message) => guest_error(message),
        CatalogError::Faulted(fault) => shared_fault(fault),
    }
}

fn create_error(error: CreateError) -> ErrorResponse {
    match error {
        CreateError::Exists => error_response(StatusCode::BAD_REQUEST, "Session already exists"),
        CreateError::UnknownEnvironment(name) => unknown_environment(&name),
        CreateError::Task(error) => catalog_error(error),
        CreateError::InvalidTask(message) => ErrorResponse {
            detail: ErrorDetail::GuestText(message),
            ..error_response(StatusCode::BAD_REQUEST, "")
        },
        CreateError::Secrets(reason) => error_response(StatusCode::INTERNAL_SERVER_ERROR, reason),
        CreateError::Refused(message) => guest_error_to_owner(&message),
        CreateError::TooDeep(reason) => error_response(StatusCode::BAD_REQUEST, reason),
        CreateError::Faulted(fault) => session_fault(&fault),
        CreateError::UnknownToolset(name) => {
            let (name, known) = (python_repr(&name), repr_list(&TOOLSETS));
            let detail = format!("unknown toolset {name}; valid options are {known}");
            error_response(StatusCode::BAD_REQUEST, detail)
        }
        CreateError::NoSandbox(name) => {
            let name = python_repr(&name);
            let detail = format!("toolset {name} needs a sandbox, and this server has none");
            error_response(StatusCode::BAD_REQUEST, detail)
        }
        CreateError::Full => unavailable("the server holds as many sessions as it may"),
        CreateError::TooManySessions => too_many_requests(error.to_string(), RetryAdvice::Soon),
        CreateError::Disk(refusal) => no_disk_space(&refusal),
        CreateError::Stopping => unavailable("the server is stopping"),
        CreateError::Busy(reason) => busy(reason),
        // Clients show this after a few attempts, since only the operator can act.
        CreateError::DataOutgrown(reason) => unavailable(reason),
        CreateError::JournalUnavailable => ErrorResponse {
            retry: RetryAdvice::UntilStarted,
            ..unavailable("the server cannot write the session down")
        },
    }
}

fn session_error(error: SessionError) -> ErrorResponse {
    match &error {
        SessionError::Deleted => error_response(StatusCode::GONE, "Session deleted"),
        SessionError::Starting => ErrorResponse {
            retry: RetryAdvice::UntilStarted,
            ..error_response(
                StatusCode::SERVICE_UNAVAILABLE,
                "Environment still starting.",
            )
        },
        SessionError::DataDiffers(_) => ErrorResponse {
            retry: RetryAdvice::UntilStarted,
            ..error_response(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        },
        SessionError::SetupFailed(message) | SessionError::Failed(message) => {
            guest_error_to_owner(message)
        }
        SessionError::Faulted(fault) => session_fault(fault),
        SessionError::Gone(fault) => fault_to_owner(
            fault,
            "; the session ended then, without a teardown",
            |detail| error_response(StatusCode::GONE, detail),
        ),
        SessionError::Lost(_) => error_response(StatusCode::GONE, error.to_string()),
        SessionError::KeyReused => error_response(StatusCode::CONFLICT, error.to_string()),
        SessionError::Busy(reason) => busy(*reason),
        SessionError::TooManyCalls => too_many_requests(error.to_string(), RetryAdvice::Soon),
        SessionError::Disk(refusal) => no_disk_space(refusal),
    }
}

/// Retrying does not help an owner that has used its share, so clients get the
/// reason at once. Space that others have used may become free.
fn no_disk_space(refusal: &DiskRefusal) -> ErrorResponse {
    if refusal.is_owners_fault() {
        return error_response(StatusCode::FORBIDDEN, refusal.to_string());
    }
    ErrorResponse {
        retry: RetryAdvice::UntilStarted,
        ..unavailable(refusal.to_string())
    }
}

fn admin_error(error: &AdminError) -> ErrorResponse {
    let status = match error {
        AdminError::NoSession => StatusCode::NOT_FOUND,
        AdminError::NoSuchStep(_) | AdminError::InvalidCount(_) | AdminError::InvalidCursor => {
            StatusCode::BAD_REQUEST
        }
        AdminError::NoJournal | AdminError::NotReplayable | AdminError::Imported => {
            StatusCode::CONFLICT
        }
        AdminError::Lost(_) | AdminError::Damaged(_) => StatusCode::GONE,
        AdminError::TooManySessions => {
            return too_many_requests(error.to_string(), RetryAdvice::Soon);
        }
        AdminError::Disk(refusal) => return no_disk_space(refusal),
        AdminError::Busy => return busy(error.to_string()),
        AdminError::JournalUnavailable | AdminError::Full => return unavailable(error.to_string()),
    };
    error_response(status, error.to_string())
}
