//! The admin API: lists, inspects and forks sessions, and signs receipts.
//!
//! An extension of orwd with its own paths, which ordinary clients never use. A
//! principal sees only its own sessions.

use hyper::{Method, StatusCode};
use orwd_model::SessionId;
use orwd_session::{AdminError, SessionPage, SessionService, StepPage};
use percent_encoding::percent_decode_str;
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
        match route {
            AdminRoute::Sessions => {
                let (after, limit) = self.page(SESSIONS)?;
                let page = SessionPage { after, limit };
                Ok(response::json(&service.summaries(principal, page).await?))
            }
            AdminRoute::Session(id) => {
                let (after, limit) = self.page(STEPS)?;
                let after = after.map(|after| after.parse());
                let after = after.transpose().map_err(|_| AdminError::InvalidCursor)?;
                let page = StepPage { after, limit };
                let detail = service.detail(principal, &session_id(id)?, page).await?;
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

/// The sizes of a page: the default, and the most.
type PageSizes = (usize, usize);

const SESSIONS: PageSizes = (10_000, 100_000);
const STEPS: PageSizes = (10_000, 100_000);

impl<S: SessionService> RequestContext<'_, S> {
    /// Returns which page of a list the query asks for: `after` and `limit`.
    fn page(&self, (default, most): PageSizes) -> Result<(Option<String>, usize), RequestError> {
        let (mut after, mut limit) = (None, default);
        let query = self.head.uri.query().unwrap_or_default();
        for member in query.split('&').filter(|member| !member.is_empty()) {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            match name {
                "after" => after = Some(value.into_owned()),
                "limit" => {
                    let wanted = value.parse().ok().filter(|n| (1..=most).contains(n));
                    limit = wanted.ok_or_else(|| {
                        let reason = format!("limit: expected a number from 1 to {most}");
                        RequestError::InvalidAdminRequest(reason)
                    })?;
                }
                _ => {
                    let reason = format!("unknown parameter {name:?}; known are after and limit");
                    return Err(RequestError::InvalidAdminRequest(reason));
                }
            }
        }
        Ok((after, limit))
    }
}

fn session_id(id: &str) -> Result<SessionId, RequestError> {
    SessionId::new(id).ok_or(RequestError::Admin(AdminError::NoSession))
}
