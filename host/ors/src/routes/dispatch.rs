//! Runs the route of a request (`docs/src/reference/wire-contract.md`, sections 4
//! to 9 and 11).
//!
//! Each route is a method of [`RequestContext`]. The order of its steps is the
//! order in which the client learns of its mistakes.

use hyper::header::HOST;
use hyper::{Method, StatusCode};
use orwd_model::EnvName;
use orwd_session::SessionService;

use super::context::RequestContext;
use super::router::{EnvRoute, Route, RoutingDecision, decide, decode_path};
use crate::encode::response::{self, RouteResponse};
use crate::error::request_error::RequestError;

impl<S: SessionService> RequestContext<'_, S> {
    /// Returns the response to the request.
    pub(crate) async fn respond(&mut self) -> Result<RouteResponse, RequestError> {
        let head = self.head;
        let path = decode_path(head.uri.path());
        let service = self.service;
        let is_environment = |name: &str| service.environment(name).is_some();
        let has_deployment = self.deployment().is_some();
        let route = match decide(head.method.as_str(), &path, is_environment, has_deployment) {
            RoutingDecision::Serve(route) => route,
            other => {
                self.body.discard().await;
                return self.not_served(other);
            }
        };
        if matches!(head.method, Method::GET | Method::HEAD) {
            self.body.discard().await;
        }
        match route {
            Route::Health => Ok(self.health()),
            Route::Ready => Ok(self.readiness().await),
            Route::Version => Ok(self.version()),
            Route::ListEnvironments => Ok(self.list_environments()),
            Route::RequiredSecrets { name } => Ok(self.required_secrets(name)),
            Route::CreateSession => self.create_session().await,
            Route::Create => self.create().await,
            Route::Ping => self.ping().await,
            Route::Delete => self.delete().await,
            Route::DeleteSession => self.delete_session().await,
            Route::Admin(route) => self.admin(route).await,
            Route::Env { target, route } => match route {
                EnvRoute::Tools => self.tools(target),
                EnvRoute::Splits => self.splits(target),
                EnvRoute::Tasks => self.tasks(target).await,
                EnvRoute::NumTasks => self.num_tasks(target).await,
                EnvRoute::Task => self.task(target).await,
                EnvRoute::TaskRange => self.task_range(target).await,
                EnvRoute::TaskTools => self.task_tools().await,
                EnvRoute::Prompt => self.prompt().await,
                EnvRoute::Messages => self.messages().await,
                EnvRoute::Call => self.call().await,
                EnvRoute::ScoreGroup => self.score_group(target).await,
            },
        }
    }

    /// Returns whether the whole body was read, so that the connection can be
    /// used again.
    pub(crate) fn body_ended(&self) -> bool {
        self.body.ended()
    }

    fn not_served(&self, decision: RoutingDecision<'_>) -> Result<RouteResponse, RequestError> {
        let uri = &self.head.uri;
        let query = uri.query().map(|query| format!("?{query}"));
        let query = query.unwrap_or_default();
        let (status, location) = match decision {
            RoutingDecision::RedirectToDefault => {
                let default = self.service.environments().first();
                let default = default.map_or("", EnvName::as_str);
                let slash = if uri.path().starts_with('/') { "" } else { "/" };
                let location = format!("/{default}{slash}{}{query}", uri.path());
                (StatusCode::PERMANENT_REDIRECT, location)
            }
            RoutingDecision::RedirectWithoutSlash => {
                let path = uri.path().trim_end_matches('/');
                let host = self.head.headers.get(HOST).and_then(|h| h.to_str().ok());
                let base = host.map(|host| format!("{}://{host}", self.scheme));
                let location = format!("{}{path}{query}", base.unwrap_or_default());
                (StatusCode::TEMPORARY_REDIRECT, location)
            }
            RoutingDecision::MethodNotAllowed(method) => {
                return Err(RequestError::MethodNotAllowed(method));
            }
            RoutingDecision::NotFound | RoutingDecision::Serve(_) => {
                return Err(RequestError::NotFound);
            }
        };
        response::redirect(status, &location).ok_or(RequestError::NotFound)
    }
}
