//! A request with everything that its response depends on, and the steps that
//! routes share.

use std::net::IpAddr;

use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use orwd_model::{EnvName, SessionId};
use orwd_session::{Principal, Session, SessionService};

use super::router::TargetEnv;
use crate::connection::access_log::{AccessLogEntry, EscapedText};
use crate::connection::body::{BodyKind, RequestBody};
use crate::decode::body_text::BodyText;
use crate::decode::json_body::{BodyParseError, JsonBody, is_json_type};
use crate::error::request_error::RequestError;
use crate::headers::deployment::DeploymentName;
use crate::headers::session;
use crate::limit::client::Client;
use crate::limit::log_throttle::LogThrottle;
use crate::limit::rate_limit::RateLimits;
use crate::limit::transfer_memory::TransferMemory;

/// The size from which a body is decoded on another thread.
const DECODED_APART: usize = 256 * 1024;

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
    /// Limits the warnings about deployments that no environment has the name of.
    pub(crate) deployment_warning: &'x LogThrottle,
    /// The scheme of the server's own addresses.
    pub(crate) scheme: &'static str,
    /// Whether the server is shutting down.
    pub(crate) stopping: bool,
    pub(crate) memory: &'x TransferMemory,
}

impl<S: SessionService> RequestContext<'_, S> {
    /// Reads the whole body of a request without content of its own.
    pub(super) async fn read_body(&mut self) -> Result<BodyText, RequestError> {
        self.read_body_as(BodyKind::Small).await
    }

    /// Reads the whole body.
    pub(super) async fn read_body_as(&mut self, kind: BodyKind) -> Result<BodyText, RequestError> {
        let (sent, charge) = self.body.read_as(kind).await?.into_parts();
        Ok(BodyText::new(sent).with_charge(charge))
    }

    /// Parses a body according to its content type.
    pub(super) fn parse_json<'b>(
        &self,
        body: &'b BodyText,
    ) -> Result<JsonBody<'b>, BodyParseError> {
        body.parse(self.is_json())
    }

    /// Parses a body and decodes it with `decode`. A long one is decoded on
    /// another thread, so that it does not hold other requests up. Returns the
    /// body as well, which keeps its charge: until the value is charged to another
    /// budget or dropped.
    pub(super) async fn decode<T: Send + 'static>(
        &self,
        body: BodyText,
        decode: fn(JsonBody<'_>) -> T,
    ) -> Result<(T, BodyText), RequestError> {
        let is_json = self.is_json();
        if body.sent().len() < DECODED_APART {
            let value = decode(body.parse(is_json)?);
            return Ok((value, body));
        }
        let decoded = tokio::task::spawn_blocking(move || {
            let value = body.parse(is_json).map(decode);
            value.map(|value| (value, body)).map_err(RequestError::from)
        });
        decoded.await.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot decode request body");
            Err(RequestError::BodyNotUtf8)
        })
    }

    fn is_json(&self) -> bool {
        let content_type = self.head.headers.get(CONTENT_TYPE);
        content_type.is_some_and(|value| is_json_type(value.as_bytes()))
    }

    /// Returns whom the limits count.
    pub(super) fn client(&self) -> Client {
        Client::of(&self.principal, self.from)
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

    /// Returns the deployment that the request names.
    pub(super) fn deployment(&self) -> Option<DeploymentName<'_>> {
        DeploymentName::read(&self.head.headers)
    }

    /// Returns the environment that the request is for.
    pub(super) fn environment(&mut self, target: TargetEnv<'_>) -> Result<EnvName, RequestError> {
        let env = match target {
            TargetEnv::Path(name) => self
                .service
                .environment(name)
                .ok_or_else(|| RequestError::UnknownEnvironment(name.to_owned())),
            TargetEnv::Deployment => self.default_environment(),
        };
        self.log_entry.environment = env.as_ref().ok().cloned();
        env
    }

    /// Returns the environment of a request that names none in its path or body:
    /// the one of its deployment, else the default one.
    pub(super) fn default_environment(&self) -> Result<EnvName, RequestError> {
        let environments = self.service.environments();
        let Some(deployment) = self.deployment() else {
            let default = environments.first().cloned();
            return default.ok_or_else(|| RequestError::UnknownDeployment(String::new()));
        };
        if let Some((first, other)) = DeploymentName::conflict(&self.head.headers) {
            return Err(RequestError::AmbiguousDeployment(
                first.to_text(),
                other.to_text(),
            ));
        }
        let named = |env: &&EnvName| deployment.names(env.as_str());
        match (environments.iter().find(named), environments) {
            (Some(env), _) => Ok(env.clone()),
            (None, [only]) => {
                if self.deployment_warning.allows() {
                    tracing::warn!(
                        deployment = %EscapedText(&deployment.to_text()),
                        environment = %only,
                        "unknown deployment answered by the only environment"
                    );
                }
                Ok(only.clone())
            }
            (None, _) => Err(RequestError::UnknownDeployment(deployment.to_text())),
        }
    }
}
