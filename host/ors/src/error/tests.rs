use std::time::Duration;

use orwd_model::{Fault, FaultCode};
use orwd_session::{CatalogError, CreateError, DiskRefusal, SessionError};

use super::request_error::RequestError;
use crate::auth::host_check::HostRejection;
use crate::auth::key_time::KeyTime;
use crate::connection::body::{BodyError, BodyLimit};
use crate::connection::framing::FramingError;
use crate::encode::response::Payload;

fn response(error: RequestError) -> (u16, String, Vec<String>) {
    let (response, _) = error.into_response();
    let (parts, payload) = response.into_parts();
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
fn each_error_has_its_status_and_text() {
    let fault = |code| Fault::new(code, "a sentence");
    let soon = ["retry-after: 2"];
    let none: [&str; 0] = [];
    let cases: Vec<(RequestError, u16, &str, &[&str])> = vec![
        (RequestError::NotFound, 404, "Not Found", &none),
        (
            RequestError::InvalidApiKey,
            401,
            "Invalid API key",
            &["www-authenticate: Bearer"],
        ),
        (
            RequestError::ExpiredApiKey(KeyTime::from_unix(1_800_000_000)),
            401,
            "API key expired at 2027-01-15T08:00:00Z; ask the server's operator for a new one",
            &["www-authenticate: Bearer"],
        ),
        (
            RequestError::TooManyAuthFailures(Duration::from_millis(2001)),
            429,
            "too many requests with a wrong API key come from this address",
            &["retry-after: 3"],
        ),
        (
            RequestError::TooManyCreations(Duration::from_nanos(1_000_000)),
            429,
            "sessions are created too fast",
            &["retry-after: 1"],
        ),
        (
            CreateError::TooManySessions.into(),
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
            FramingError::RepeatedLength.into(),
            400,
            "the request has more than one Content-Length",
            &none,
        ),
        (
            HostRejection::Origin("null".into()).into(),
            403,
            "the Origin 'null' is not this machine's own, so a web page may be behind this \
             request; start the server with --allow-host NAME if it is a name of yours",
            &none,
        ),
        (
            RequestError::MethodNotAllowed("GET"),
            405,
            "Method Not Allowed",
            &["allow: GET"],
        ),
        (
            RequestError::NoSessionHeader,
            400,
            "X-Session-ID header is required",
            &none,
        ),
        (
            RequestError::NoSession,
            404,
            "Active environment not found",
            &none,
        ),
        (
            RequestError::BodyNotUtf8,
            400,
            "There was an error parsing the body",
            &none,
        ),
        (
            BodyError::TooLarge(BodyLimit {
                bytes: 16 << 20,
                flag: Some("--body-limit"),
            })
            .into(),
            413,
            "The request body is too large: 16MiB are allowed (--body-limit)",
            &none,
        ),
        (
            BodyError::NoMemory.into(),
            503,
            "request bodies take all memory for them; try again (--request-memory)",
            &["retry-after: 2", "x-backend-state: starting"],
        ),
        (
            RequestError::TooManyConnections(4096),
            503,
            "this API key has as many connections as it may: 4096, and fewer while the server \
             has few left (--max-connections-per-key, --max-connections)",
            &["retry-after: 2", "x-backend-state: starting"],
        ),
        (
            BodyError::TooSlow.into(),
            408,
            "The request body did not come in time",
            &none,
        ),
        (
            RequestError::UnknownEnvironment("it's".into()),
            404,
            "unknown environment \"it's\"",
            &none,
        ),
        (
            RequestError::NoScoring("Alpha".into()),
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
            CreateError::JournalUnavailable.into(),
            503,
            "the server cannot write the session down",
            &["retry-after: 2", "x-backend-state: starting"],
        ),
        (
            SessionError::Disk(DiskRefusal::Share { used: 5 << 20 }).into(),
            403,
            "disk quota exceeded: the server's disk is almost full, and the sessions of this \
             client take 5 MiB of it; delete sessions that are open, or have the operator free \
             disk space",
            &none,
        ),
        (
            CreateError::Disk(DiskRefusal::NoSpace).into(),
            503,
            "the server's disk is full",
            &["retry-after: 2", "x-backend-state: starting"],
        ),
        (
            CreateError::DataOutgrown("more than 10 files (--data-entries)".into()).into(),
            503,
            "more than 10 files (--data-entries)",
            &soon,
        ),
        (
            RequestError::AmbiguousDeployment("me/a".into(), "b".into()),
            400,
            "X-Deployment names both 'me/a' and 'b'; send one of them",
            &none,
        ),
        (
            SessionError::DataDiffers("its data has changed".into()).into(),
            503,
            "the session waits for its data: its data has changed",
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
    for (error, status, detail, headers) in cases {
        let name = format!("{error:?}");
        let (actual_status, actual_detail, actual_headers) = response(error);
        assert_eq!(actual_status, status, "{name}");
        assert_eq!(actual_detail, detail, "{name}");
        assert_eq!(actual_headers, headers, "{name}");
    }
}

#[test]
fn guest_text_is_sent_to_the_owner_and_not_logged() {
    let fault = || Fault {
        stderr_tail: Some("the\nsecret".to_owned()),
        ..Fault::new(FaultCode::EnvExit, "it went")
    };
    let words = "; its last words: 'the\\nsecret'";
    let cases: Vec<(RequestError, &str, &str)> = vec![
        (SessionError::Faulted(fault()).into(), "", words),
        (
            SessionError::Gone(fault()).into(),
            "; the session ended then, without a teardown",
            words,
        ),
        (CreateError::Faulted(fault()).into(), "", words),
        // No owner: the guest served all clients.
        (CatalogError::Faulted(fault()).into(), "", ""),
    ];
    for error in [
        RequestError::Session(SessionError::SetupFailed("a secret".into())),
        SessionError::Failed("a secret".into()).into(),
        CreateError::Refused("a secret".into()).into(),
    ] {
        let (response, log) = error.into_response();
        let (_, Payload::Text(Some(body))) = response.into_parts() else {
            panic!("no text");
        };
        assert_eq!(body, "{\"detail\":\"RuntimeError: a secret\"}");
        assert!(!log.unwrap().contains("secret"));
    }
    for (error, more, words) in cases {
        let (response, log) = error.into_response();
        let (_, Payload::Text(Some(body))) = response.into_parts() else {
            panic!("no text");
        };
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = format!("env_exit: it went{more}{words}");
        assert_eq!(body["detail"], expected);
        assert_eq!(log.as_deref(), Some("env_exit: it went"));
    }
}
