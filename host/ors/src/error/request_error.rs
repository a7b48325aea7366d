//! The reasons for which a request fails.

use std::time::Duration;

use orwd_model::InvalidSeed;
use orwd_session::{AdminError, CatalogError, CreateError, SessionError};

use crate::auth::host_check::HostRejection;
use crate::auth::key_time::KeyTime;
use crate::connection::body::BodyError;
use crate::connection::framing::FramingError;
use crate::decode::json_body::BodyParseError;
use crate::decode::validation_error::ValidationErrors;
use crate::headers::idempotency::InvalidIdempotencyKey;

/// Why a request fails.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// Its framing or its host is ambiguous.
    Framing(FramingError),
    /// It names a foreign host or origin.
    Host(HostRejection),
    /// It has no API key, or a wrong one.
    InvalidApiKey,
    /// Its API key expired at this time.
    ExpiredApiKey(KeyTime),
    /// There were too many wrong API keys; the next is allowed after this time.
    TooManyAuthFailures(Duration),
    /// Sessions are created too fast; the next is allowed after this time.
    TooManyCreations(Duration),
    /// The API key has as many connections as it may; the limit.
    TooManyConnections(usize),
    /// Responses that are not read take the memory for responses.
    ResponsesBusy,
    /// There is no such path.
    NotFound,
    /// The path supports only this method.
    MethodNotAllowed(&'static str),
    /// The session header is missing.
    NoSessionHeader,
    /// There is no such session.
    NoSession,
    /// The body cannot be read.
    Body(BodyError),
    /// The content type is JSON and the body is not UTF-8.
    BodyNotUtf8,
    /// The body is invalid.
    Validation(ValidationErrors),
    /// The seed header is invalid.
    Seed(InvalidSeed),
    /// The idempotency key is invalid.
    IdempotencyKey(InvalidIdempotencyKey),
    /// There is no environment of this name.
    UnknownEnvironment(String),
    /// There is no environment of the name of the request's deployment, which is
    /// this.
    UnknownDeployment(String),
    /// The request names two deployments.
    AmbiguousDeployment(String, String),
    /// This environment, named as in the path, does not score groups.
    NoScoring(String),
    /// The environment cannot provide the tasks.
    Catalog(CatalogError),
    /// The session was not created.
    Create(CreateError),
    /// The session cannot respond.
    Session(SessionError),
    /// The body of an admin request is invalid.
    InvalidAdminRequest(String),
    /// The admin request failed.
    Admin(AdminError),
}

macro_rules! from {
    ($($variant:ident($error:ty)),+ $(,)?) => {
        $(impl From<$error> for RequestError {
            fn from(error: $error) -> RequestError {
                RequestError::$variant(error)
            }
        })+
    };
}

from!(
    Framing(FramingError),
    Host(HostRejection),
    Body(BodyError),
    Validation(ValidationErrors),
    Seed(InvalidSeed),
    IdempotencyKey(InvalidIdempotencyKey),
    Catalog(CatalogError),
    Create(CreateError),
    Session(SessionError),
    Admin(AdminError),
);

impl From<BodyParseError> for RequestError {
    fn from(error: BodyParseError) -> RequestError {
        match error {
            BodyParseError::InvalidJson(errors) => RequestError::Validation(errors),
            BodyParseError::NotUtf8 => RequestError::BodyNotUtf8,
        }
    }
}
