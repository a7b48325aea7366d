//! The admin API: lists, inspects and forks sessions, and signs receipts.
//!
//! An extension of orwd with its own paths, which ordinary clients never use. A
//! principal sees only its own sessions.

use hyper::{Method, StatusCode};
use orwd_model::SessionId;
use orwd_session::{AdminError, SessionPage, SessionService, StepCursor, StepRange};
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
        let mut query = Query::parse(self.head.uri.query().unwrap_or_default());
        match route {
            AdminRoute::Sessions => match query.take("state").as_deref() {
                None | Some("open") => {
                    let (after, limit) = query.page(SESSIONS)?;
                    let page = SessionPage { after, limit };
                    Ok(response::json(&service.summaries(principal, page).await?))
                }
                Some("ended") => {
                    let after = query.take("after");
                    query.finish("after and state")?;
                    let ended = service.ended(principal, after.as_deref()).await?;
                    Ok(response::json(&ended))
                }
                Some(_) => Err(invalid("state: expected open or ended")),
            },
            AdminRoute::Steps(id) => {
                let from = match query.take("from") {
                    Some(text) => StepCursor::parse(&text).ok_or_else(|| {
                        invalid("from: expected the number of a record, or the `next` of a page")
                    })?,
                    None => StepCursor::default(),
                };
                query.finish("from")?;
                let id = session_id(id)?;
                let page = service.steps(principal, &id, from).await?;
                Ok(response::json(&page))
            }
            AdminRoute::Session(id) => {
                let (after, limit) = query.page(STEPS)?;
                let after = after.map(|after| after.parse());
                let after = after.transpose().map_err(|_| AdminError::InvalidCursor)?;
                let range = StepRange { after, limit };
                let detail = service.detail(principal, &session_id(id)?, range).await?;
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

/// The parameters of a query that are not read yet.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Query {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let members = text.split('&').filter(|member| !member.is_empty());
        let pairs = members.map(|member| member.split_once('=').unwrap_or((member, "")));
        Query(
            pairs
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// Removes and returns a parameter.
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Returns which page of a list is wanted: `after` and `limit`.
    fn page(
        &mut self,
        (default, most): PageSizes,
    ) -> Result<(Option<String>, usize), RequestError> {
        let after = self.take("after");
        let limit = match self.take("limit") {
            None => default,
            Some(text) => {
                let wanted = text.parse().ok().filter(|n| (1..=most).contains(n));
                wanted
                    .ok_or_else(|| invalid(&format!("limit: expected a number from 1 to {most}")))?
            }
        };
        self.finish("after and limit")?;
        Ok((after, limit))
    }

    /// Refuses parameters that nothing has read.
    fn finish(&self, known: &str) -> Result<(), RequestError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(&format!(
                "unknown parameter {name:?}; known are {known}"
            ))),
        }
    }
}

fn invalid(reason: &str) -> RequestError {
    RequestError::InvalidAdminRequest(reason.to_owned())
}

fn session_id(id: &str) -> Result<SessionId, RequestError> {
    SessionId::new(id).ok_or(RequestError::Admin(AdminError::NoSession))
}
