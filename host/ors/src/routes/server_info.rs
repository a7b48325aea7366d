//! Routes about the server as a whole.

use orwd_model::EnvName;
use orwd_session::{Readiness, SessionService};
use serde_json::{Map, Value, json};

use super::context::RequestContext;
use crate::encode::response::{self, RouteResponse};
use crate::server::operations;

impl<S: SessionService> RequestContext<'_, S> {
    pub(super) fn health(&mut self) -> RouteResponse {
        self.log_entry.set_quiet();
        response::json(&json!({ "status": "ok" }))
    }

    /// Says whether the server takes work: for load balancers, which send none to
    /// a server that answers with another status than 200.
    pub(super) async fn readiness(&mut self) -> RouteResponse {
        self.log_entry.set_quiet();
        let readiness = match self.stopping {
            true => Readiness::Draining,
            false => self.service.readiness().await,
        };
        let (status, text) = operations::status(Some(readiness));
        response::json_text(status, json!({ "status": text }).to_string())
    }

    /// The contract requires the first two members; the others are extensions.
    /// They say what a client may rely on, and nothing about file paths.
    pub(super) fn version(&self) -> RouteResponse {
        let environments = self.service.environments().iter().map(|env| {
            let limits = self.service.limits(env).into_iter();
            let limits: Map<String, Value> = limits
                .map(|(name, amount)| (name.to_owned(), amount.into()))
                .collect();
            let mut shown = json!({ "name": env.as_str(), "limits": limits });
            let network = self.service.network(env);
            if let Some(members) = shown.as_object_mut().filter(|_| !network.is_empty()) {
                members.insert("network".to_owned(), network.into());
            }
            shown
        });
        response::json(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "build_sha": option_env!("ORWD_BUILD_SHA"),
            "name": "orwd",
            "engine": self.service.engine(),
            "environments": environments.collect::<Vec<_>>(),
        }))
    }

    pub(super) fn list_environments(&self) -> RouteResponse {
        let names = self.service.environments().iter().map(EnvName::as_str);
        response::json(&names.collect::<Vec<_>>())
    }

    /// A client may give the name of a deployment, which is no environment; the
    /// response then has the secrets of all environments.
    pub(super) fn required_secrets(&mut self, name: &str) -> RouteResponse {
        self.log_entry.environment = self.service.environment(name);
        let environments = match &self.log_entry.environment {
            Some(env) => std::slice::from_ref(env),
            None => self.service.environments(),
        };
        let mut names: Vec<String> = Vec::new();
        for env in environments {
            for name in self.service.required_secrets(env) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        response::json(&json!({ "secrets": names }))
    }
}
