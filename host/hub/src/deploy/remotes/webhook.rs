//! Webhooks: a forge says that something was pushed.
//!
//! The request has no API key. Its signature shows that it comes from who knows the
//! secret, and then the repository is read as in each interval: nothing in the request
//! says what is deployed. So a request that comes twice does no more than one.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use orwd_hub_store::environments::{RemoteRecord, check_remote, remote_of};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::signature::{SignedBody, secret};
use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};

/// Bytes of a body: what GitHub sends at most. It is not kept.
const MAX_BODY: usize = 25 << 20;

/// The time for a body.
const TIME: Duration = Duration::from_secs(60);

/// The headers that name the event.
const EVENTS: [&str; 4] = [
    "x-github-event",
    "x-gitea-event",
    "x-gogs-event",
    "x-gitlab-event",
];

/// Returns the secret of the webhook of a repository.
pub(crate) fn secret_of(state: &HubState, remote: &RemoteRecord) -> String {
    secret(&state.webhook_key, &remote.environment, &remote.webhook)
}

/// Returns the path to which the webhook of a repository is sent.
pub(crate) fn path_of(remote: &RemoteRecord) -> String {
    format!("/v1/orwd/hooks/{}", remote.environment)
}

/// Takes a webhook. An unknown one and one with a wrong signature get the same reply,
/// after the same time.
pub(crate) async fn receive(
    State(state): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let wanted = id.clone();
    let remote = state
        .database
        .read(move |transaction| remote_of(transaction, &wanted))
        .await?;
    let webhook = remote.as_ref().map_or("", |remote| remote.webhook.as_str());
    let mut signed = SignedBody::new(secret(&state.webhook_key, &id, webhook));
    read(body, &mut signed).await?;
    let is_signed = signed.verify(&headers);
    let Some(remote) = remote.filter(|_| is_signed) else {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "there is no such webhook, or its signature is not valid; compare its address and \
             secret with `orwd webhook OWNER/NAME`",
        ));
    };
    let mut names = EVENTS.iter().filter_map(|name| headers.get(*name));
    let event = names.next().and_then(|value| value.to_str().ok());
    let (status, text) = match event {
        Some("ping") => (StatusCode::OK, "pong"),
        None | Some("push" | "Push Hook") => (StatusCode::ACCEPTED, "accepted"),
        Some(_) => (StatusCode::OK, "ignored"),
    };
    if status == StatusCode::ACCEPTED {
        tracing::info!(environment = remote.environment, "webhook received");
        state
            .database
            .run(move |transaction| check_remote(transaction, &remote.environment))
            .await?;
        state.remotes.notify_one();
    }
    Ok((status, Json(json!({ "status": text }))))
}

async fn read(mut body: Body, signed: &mut SignedBody) -> Result<(), ApiError> {
    let whole = async {
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::invalid("the body ended early"))?;
            if let Ok(data) = frame.into_data() {
                length += data.len();
                if length > MAX_BODY {
                    return Err(ApiError::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        format!("the body has more than {MAX_BODY} bytes"),
                    ));
                }
                signed.add(&data);
            }
        }
        Ok(())
    };
    timeout(TIME, whole).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
        ))
    })
}
