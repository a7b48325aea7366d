//! What there is beyond the contract: sessions listed, looked at,
//! forked and vouched for.
//!
//! Routes of their own, which ordinary clients never meet. What somebody may
//! see is what is theirs.

use hyper::StatusCode;
use serde::Deserialize;

use super::answer::{self, Answer};
use super::error::Failure;
use super::route::Beyond as Route;
use orwd_model::SessionId;
use orwd_session::{Beyond, BeyondError, Principal};

/// The body of a fork.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForkRequest {
    /// The calls that the children have behind them; all, if there is none.
    #[serde(default)]
    at: Option<u64>,
    /// How many children.
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

/// Answers one of these routes.
pub(super) async fn answer(
    service: &impl Beyond,
    principal: &Principal,
    route: Route<'_>,
    body: &[u8],
) -> Result<Answer, Failure> {
    match route {
        Route::Sessions => {
            let sessions = service.overviews(principal);
            written(&serde_json::json!({ "sessions": sessions }))
        }
        Route::Session(id) => written(&service.detail(principal, &named(id)?).await?),
        Route::Receipt(id) => {
            let receipt = service.receipt(principal, &named(id)?).await?;
            Ok(answer::json(StatusCode::OK, receipt))
        }
        Route::Fork(id) => {
            let body = if body.is_empty() { b"{}" } else { body };
            let request: ForkRequest =
                serde_json::from_slice(body).map_err(|error| Failure::Unfit(error.to_string()))?;
            let ForkRequest { at, count } = request;
            let children = service.fork(principal, &named(id)?, at, count).await?;
            let ids: Vec<&str> = children.iter().map(SessionId::as_str).collect();
            written(&serde_json::json!({ "sessions": ids }))
        }
    }
}

fn named(id: &str) -> Result<SessionId, Failure> {
    SessionId::new(id).ok_or(Failure::Beyond(BeyondError::NoSession))
}

fn written(value: &impl serde::Serialize) -> Result<Answer, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::Unfit(error.to_string()))?;
    Ok(answer::json(StatusCode::OK, text))
}
