//! Serves one request: authenticates it, runs its route, and logs it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, EXPECT};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};
use orwd_session::{Principal, SessionService};
use tokio_util::sync::CancellationToken;

use super::config::ServerConfig;
use crate::auth::authenticate::{AuthError, authenticate};
use crate::connection::access_log::{AccessLogEntry, REQUEST_ID};
use crate::connection::activity::ConnectionActivity;
use crate::connection::body::{BodyLimits, BodyPace, RequestBody};
use crate::connection::framing;
use crate::encode::response::{self, LoggedBody};
use crate::error::request_error::RequestError;
use crate::limit::client::Client;
use crate::limit::connection_limit::ConnectionPermit;
use crate::limit::log_throttle::LogThrottle;
use crate::limit::rate_limit::RateLimits;
use crate::limit::transfer_memory::TransferMemory;
use crate::routes::context::RequestContext;

/// What all requests share.
pub(super) struct HttpService<S> {
    pub(super) sessions: S,
    pub(super) config: ServerConfig,
    pub(super) rate_limits: RateLimits,
    /// Limits the warnings about deployments that no environment has the name of.
    pub(super) deployment_warning: LogThrottle,
    pub(super) memory: TransferMemory,
    /// Cancelled when the server begins to shut down.
    pub(super) stopping: CancellationToken,
}

/// The other side of a connection.
pub(super) struct Peer {
    pub(super) address: IpAddr,
    pub(super) permit: ConnectionPermit,
    pub(super) activity: Arc<ConnectionActivity>,
}

/// Responds to one request.
pub(super) async fn respond<S: SessionService>(
    service: &HttpService<S>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<LoggedBody>, Infallible> {
    let config = &service.config;
    let (head, incoming) = request.into_parts();
    let mut log_entry = AccessLogEntry::new(
        head.method.clone(),
        head.uri.clone(),
        &head.headers,
        peer.address,
        peer.activity.clone(),
    );
    let mut body = RequestBody::new(
        incoming,
        BodyLimits {
            call: config.body_limit,
            group: config.group_body_limit,
        },
        BodyPace {
            timeout: config.body_timeout,
            min_rate: config.body_rate,
        },
        head.headers.contains_key(EXPECT),
    );
    let from = peer.address;
    let framing_error = peer.activity.framing_error();
    let (keys, proxy) = (config.keys.as_ref(), config.proxy.as_ref());
    let mut client = Client::of(&Principal::Anyone, from);
    let (result, reusable) = match authenticate(&head, framing_error, &config.hosts, keys, proxy) {
        Ok(principal) if peer.permit.count_for(&principal).is_err() => {
            log_entry.principal = principal;
            body.discard().await;
            let limit = config.connections_per_key;
            (Err(RequestError::TooManyConnections(limit)), false)
        }
        Ok(principal) => {
            log_entry.principal = principal.clone();
            client = Client::of(&principal, from);
            body.charge_to(&service.memory.requests, client.clone());
            let mut context = RequestContext {
                service: &service.sessions,
                head: &head,
                body,
                log_entry: &mut log_entry,
                principal,
                from,
                rate_limits: &service.rate_limits,
                deployment_warning: &service.deployment_warning,
                scheme: if config.tls.is_some() {
                    "https"
                } else {
                    "http"
                },
                stopping: service.stopping.is_cancelled(),
                memory: &service.memory,
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
    let mut refuse = |error: RequestError| {
        let (response, detail) = error.into_response();
        log_entry.detail = detail;
        response
    };
    let response = result.unwrap_or_else(&mut refuse);
    let charged = response::charge(response, &service.memory, &client);
    let mut response = charged.unwrap_or_else(|_| refuse(RequestError::ResponsesBusy));
    if !reusable || wants_close(&head) || service.stopping.is_cancelled() {
        response::close_connection(&mut response);
    }
    response
        .headers_mut()
        .insert(REQUEST_ID, log_entry.request_id());
    config.metrics.responded(response.status().as_u16());
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
