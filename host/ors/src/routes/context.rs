//! A request with everything that its response depends on, and the steps that
//! routes share.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use orwd_model::{EnvName, SessionId};
use orwd_session::{Principal, Session, SessionService};

use crate::connection::access_log::AccessLogEntry;
use crate::connection::body::RequestBody;
use crate::decode::json_body::{BodyParseError, JsonBody, is_json_type};
use crate::error::request_error::RequestError;
use crate::headers::session;
use crate::limit::rate_limit::RateLimits;

/// One request.
pub(crate) struct RequestContext<'x, S: SessionService> {
    pub(crate) service: &'x S,
    pub(crate) head: &'x Parts,
    pub(crate) body: RequestBody,
    pub(crate) log_entry: &'x mut AccessLogEntry,
    pub(crate) principal: Principal,
    /// The client's address.
    pub(crate) from: IpAddr,
    pub(crate) rate_limits: &'x RateLimits,
}

impl<S: SessionService> RequestContext<'_, S> {
    /// Parses a body according to its content type.
    pub(super) fn parse_json<'b>(&self, body: &'b Bytes) -> Result<JsonBody<'b>, BodyParseError> {
        let content_type = self.head.headers.get(CONTENT_TYPE);
        let is_json = content_type.is_some_and(|value| is_json_type(value.as_bytes()));
        JsonBody::parse(body, is_json)
    }

    /// Returns the session id of the request.
    pub(super) fn session_id(&mut self) -> Result<SessionId, RequestError> {
        let id = session::session_id(&self.head.headers);
        self.log_entry.session.clone_from(&id);
        id.ok_or(RequestError::NoSessionHeader)
    }

    /// Returns the principal's session of the request.
    pub(super) fn session(&mut self) -> Result<S::Session, RequestError> {
        let id = self.session_id()?;
        let session = self.service.session(&self.principal, &id);
        let session = session.ok_or(RequestError::NoSession)?;
        self.log_entry.environment = Some(session.environment().clone());
        Ok(session)
    }

    /// Returns the session of the request once its setup is complete.
    pub(super) async fn ready_session(&mut self) -> Result<S::Session, RequestError> {
        let session = self.session()?;
        session.ready().await?;
        Ok(session)
    }

    /// Returns the environment of this name.
    pub(super) fn environment(&mut self, name: &str) -> Result<EnvName, RequestError> {
        let env = self.service.environment(name);
        self.log_entry.environment.clone_from(&env);
        env.ok_or_else(|| RequestError::UnknownEnvironment(name.to_owned()))
    }
}
