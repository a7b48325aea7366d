//! Serves one request: authenticates it, runs its route, and logs it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, EXPECT};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};
use orwd_session::SessionService;
use tokio_util::sync::CancellationToken;

use super::config::ServerConfig;
use crate::auth::authenticate::{AuthError, authenticate};
use crate::connection::access_log::{AccessLogEntry, REQUEST_ID};
use crate::connection::activity::ConnectionActivity;
use crate::connection::body::{BodyPace, RequestBody};
use crate::connection::framing;
use crate::encode::response::{self, LoggedBody};
use crate::error::request_error::RequestError;
use crate::limit::log_throttle::LogThrottle;
use crate::limit::rate_limit::RateLimits;
use crate::routes::context::RequestContext;

/// What all requests share.
pub(super) struct HttpService<S> {
    pub(super) sessions: S,
    pub(super) config: ServerConfig,
    pub(super) rate_limits: RateLimits,
    /// Limits the warnings about deployments that no environment has the name of.
    pub(super) deployment_warning: LogThrottle,
    /// Cancelled when the server begins to shut down.
    pub(super) stopping: CancellationToken,
}

/// Responds to one request.
pub(super) async fn respond<S: SessionService>(
    service: &HttpService<S>,
    from: IpAddr,
    activity: &Arc<ConnectionActivity>,
    request: Request<Incoming>,
) -> Result<Response<LoggedBody>, Infallible> {
    let config = &service.config;
    let (head, incoming) = request.into_parts();
    let mut log_entry = AccessLogEntry::new(
        head.method.clone(),
        head.uri.clone(),
        &head.headers,
        activity.clone(),
    );
    let mut body = RequestBody::new(
        incoming,
        config.body_limit,
        BodyPace {
            timeout: config.body_timeout,
            min_rate: config.body_rate,
        },
        head.headers.contains_key(EXPECT),
    );
    let framing_error = activity.framing_error();
    let keys = config.keys.as_ref();
    let (result, reusable) = match authenticate(&head, framing_error, &config.hosts, keys) {
        Ok(principal) => {
            log_entry.principal = principal.clone();
            let mut context = RequestContext {
                service: &service.sessions,
                head: &head,
                body,
                log_entry: &mut log_entry,
                principal,
                from,
                rate_limits: &service.rate_limits,
                deployment_warning: &service.deployment_warning,
                stopping: service.stopping.is_cancelled(),
            };
            let result = context.respond().await;
            (result, context.body_ended() && !framing::is_last(&head))
        }
        Err(error) => {
            let ambiguous = matches!(error, AuthError::Framing(_));
            let error = match error {
                AuthError::Framing(error) => error.into(),
                AuthError::Host(rejection) => rejection.into(),
                // No guess: who sends it had the key.
                AuthError::ExpiredKey(at) => RequestError::ExpiredApiKey(at),
                AuthError::InvalidKey => match service.rate_limits.auth_failure(from) {
                    Ok(()) => RequestError::InvalidApiKey,
                    Err(wait) => {
                        // These lines would fill the log.
                        log_entry.set_quiet();
                        RequestError::TooManyAuthFailures(wait)
                    }
                },
            };
            // What follows an ambiguous head may be anything.
            if !ambiguous {
                body.discard().await;
            }
            let reusable = !ambiguous && body.ended() && !framing::is_last(&head);
            (Err(error), reusable)
        }
    };
    let mut response = result.unwrap_or_else(|error: RequestError| {
        let (response, detail) = error.into_response();
        log_entry.detail = detail;
        response
    });
    if !reusable || wants_close(&head) || service.stopping.is_cancelled() {
        response::close_connection(&mut response);
    }
    response
        .headers_mut()
        .insert(REQUEST_ID, log_entry.request_id());
    log_entry.set_status(response.status());
    Ok(response.map(|payload| LoggedBody::new(payload, log_entry)))
}

/// Returns whether the client uses the connection for this request only.
fn wants_close(head: &Parts) -> bool {
    head.version != Version::HTTP_11
        || head
            .headers
            .get(CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}
