//! The admin API: lists, inspects and forks sessions, and signs receipts.
//!
//! An extension of orwd with its own paths, which ordinary clients never use. A
//! principal sees only its own sessions.

use hyper::{Method, StatusCode};
use orwd_model::SessionId;
use orwd_session::{AdminError, SessionService};
use serde::Deserialize;
use serde_json::json;

use super::context::RequestContext;
use super::router::AdminRoute;
use crate::encode::response::{self, RouteResponse};
use crate::error::request_error::RequestError;

/// The body of a fork.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForkRequest {
    /// The number of calls that the children share; all if absent.
    #[serde(default)]
    at: Option<u64>,
    /// The number of children.
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

impl<S: SessionService> RequestContext<'_, S> {
    pub(super) async fn admin(
        &mut self,
        route: AdminRoute<'_>,
    ) -> Result<RouteResponse, RequestError> {
        let body = if self.head.method == Method::POST {
            self.body.read().await?
        } else {
            Default::default()
        };
        let (service, principal) = (self.service, &self.principal);
        let query = self.head.uri.query().unwrap_or_default();
        match route {
            AdminRoute::Sessions => match parameter(query, "state") {
                None | Some("open") => {
                    let sessions = service.summaries(principal);
                    Ok(response::json(&json!({ "sessions": sessions })))
                }
                Some("ended") => {
                    let after = parameter(query, "after");
                    Ok(response::json(&service.ended(principal, after).await?))
                }
                Some(_) => Err(RequestError::InvalidAdminRequest(
                    "`state` is `open` or `ended`".to_owned(),
                )),
            },
            AdminRoute::Steps(id) => {
                let from = match parameter(query, "from").map(str::parse) {
                    None => 0,
                    Some(Ok(from)) => from,
                    Some(Err(_)) => {
                        return Err(RequestError::InvalidAdminRequest(
                            "`from` is the number of a record".to_owned(),
                        ));
                    }
                };
                let page = service.steps(principal, &session_id(id)?, from).await?;
                Ok(response::json(&page))
            }
            AdminRoute::Session(id) => {
                let detail = service.detail(principal, &session_id(id)?).await?;
                Ok(response::json(&detail))
            }
            AdminRoute::Receipt(id) => {
                let receipt = service.receipt(principal, &session_id(id)?).await?;
                Ok(response::json_text(StatusCode::OK, receipt))
            }
            AdminRoute::Fork(id) => {
                let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
                let ForkRequest { at, count } = serde_json::from_slice(body)
                    .map_err(|error| RequestError::InvalidAdminRequest(error.to_string()))?;
                let id = session_id(id)?;
                let burst = self.rate_limits.create_burst();
                if count > burst {
                    return Err(RequestError::Admin(AdminError::InvalidCount(burst)));
                }
                self.rate_limits
                    .create_many(principal, self.from, count)
                    .map_err(RequestError::TooManyCreations)?;
                let children = service.fork(principal, &id, at, count).await?;
                let ids: Vec<&str> = children.iter().map(SessionId::as_str).collect();
                Ok(response::json(&json!({ "sessions": ids })))
            }
        }
    }
}

/// Returns a parameter of a query. Its values are words and numbers, which need
/// no decoding.
fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn session_id(id: &str) -> Result<SessionId, RequestError> {
    SessionId::new(id).ok_or(RequestError::Admin(AdminError::NoSession))
}
