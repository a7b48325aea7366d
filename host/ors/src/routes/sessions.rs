//! Routes that create, keep and end sessions
//! (`docs/src/reference/wire-contract.md#section-5`).

use hyper::header::HeaderMap;
use orwd_model::{SessionId, TaskSource};
use orwd_session::{NewSession, SessionService};
use serde_json::json;
use uuid::Uuid;

use super::context::RequestContext;
use crate::connection::body::BodyKind;
use crate::decode::requests::CreateRequest;
use crate::encode::response::{self, RouteResponse};
use crate::encode::sse::event;
use crate::error::request_error::RequestError;
use crate::headers::{idempotency, secrets, seed, session};

impl<S: SessionService> RequestContext<'_, S> {
    pub(super) async fn create_session(&mut self) -> Result<RouteResponse, RequestError> {
        self.body.discard().await;
        // All 128 bits are random; only the form is that of a UUID.
        let id = Uuid::from_u128(rand::random()).hyphenated().to_string();
        let mut events = event("task_id", &id);
        events.push_str(&event("end", ""));
        Ok(response::events(events))
    }

    pub(super) async fn create(&mut self) -> Result<RouteResponse, RequestError> {
        let headers: &HeaderMap = &self.head.headers;
        let body = self.read_body_as(BodyKind::Call).await?;
        let (request, body) = self.decode(body, CreateRequest::read).await?;
        let id = self.session_id()?;
        let request = request?;
        let seed = seed::read(headers)?;
        // A name in the body decides, whatever the headers say.
        self.log_entry.environment = match &request.env_name {
            Some(name) => self.service.environment(name),
            None => Some(self.default_environment()?),
        };
        self.log_entry.detail = self.other_deployment();
        let deployed = match (&request.env_name, &self.log_entry.environment) {
            (None, Some(env)) if self.deployment().is_some() => Some(env.as_str().to_owned()),
            _ => None,
        };
        self.rate_limits
            .create(&self.principal, self.from)
            .map_err(RequestError::TooManyCreations)?;
        let secrets = match headers.get(secrets::HEADER) {
            Some(header) => secrets::read(header.as_bytes()),
            None => Ok(Default::default()),
        };
        if let TaskSource::Spec(spec) = &request.source
            && let Some(place) = spec.non_finite()
        {
            let detail = format!("task_spec: {place} is NaN or infinite and was read as null");
            self.log_entry.detail = Some(detail);
        }
        let deployment = deployed.as_deref();
        let new = NewSession {
            fingerprint: idempotency::create_fingerprint(headers, deployment, body.sent()),
            environment: request.env_name.or(deployed),
            source: request.source,
            secrets,
            toolset: request.toolset_name,
            seed,
        };
        let created = self
            .service
            .create(&self.principal, id.clone(), new)
            .await?;
        self.log_entry.seed = Some(created.seed);
        let mut response = sid(&id);
        seed::set(response.headers_mut(), created.seed);
        session::set_resumable(response.headers_mut(), created.resumability);
        created.delivery.set();
        Ok(response)
    }

    /// Describes a name in the header that is that of another environment than the
    /// one in the body, which decides.
    fn other_deployment(&self) -> Option<String> {
        let decides = self.log_entry.environment.as_ref()?;
        let deployment = self.deployment()?;
        let mut served = self.service.environments().iter();
        let other = served.find(|env| deployment.names(env.as_str()))?;
        (other != decides)
            .then(|| format!("X-Deployment names {other}; env_name {decides} decides before it"))
    }

    pub(super) async fn ping(&mut self) -> Result<RouteResponse, RequestError> {
        self.log_entry.set_quiet();
        self.body.discard().await;
        self.session()?;
        Ok(response::json(&json!({ "status": "ok" })))
    }

    pub(super) async fn delete(&mut self) -> Result<RouteResponse, RequestError> {
        self.body.discard().await;
        let id = self.session_id()?;
        self.service.delete(&self.principal, &id).await;
        Ok(sid(&id))
    }

    /// Clients end every session with this, after `/delete`; it has no effect.
    pub(super) async fn delete_session(&mut self) -> Result<RouteResponse, RequestError> {
        self.body.discard().await;
        Ok(sid(&self.session_id()?))
    }
}

fn sid(id: &SessionId) -> RouteResponse {
    response::json(&json!({ "sid": id.as_str() }))
}
