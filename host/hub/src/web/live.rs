//! What changes while a page is open, as server-sent events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use orwd_hub_store::deployments::{DeploymentStatus, get, log_after, newest_of};
use orwd_hub_store::environments::find_to_change;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::deployments::{DeploymentName, found};
use super::environment::Name;
use super::page::PageError;
use super::viewer::Viewer;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;
use crate::storage::channel_body::channel_body;

/// Pages that are open at once. A further one is as it was when it was loaded.
const MAX_STREAMS: usize = 256;

/// The time between two looks at the database.
const POLL: Duration = Duration::from_millis(400);

/// The time after which a stream ends; the browser begins another one.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The time between two signs of life, by which a closed page is noticed.
const PING: Duration = Duration::from_secs(15);

static STREAMS: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(MAX_STREAMS)));

/// A stream to one page.
struct Stream {
    events: mpsc::Sender<Bytes>,
    began: Instant,
    last: Instant,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// Begins a stream. Returns it and the response.
    fn begin() -> Result<(Stream, Response), ApiError> {
        let place = STREAMS.clone().try_acquire_owned().map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many pages wait for changes",
            )
        })?;
        let (events, chunks) = mpsc::channel(16);
        let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
        let response = (headers, channel_body(chunks)).into_response();
        let now = Instant::now();
        let stream = Stream {
            events,
            began: now,
            last: now,
            _place: place,
        };
        Ok((stream, response))
    }

    /// Sends an event. Its data is JSON, which has no line break.
    async fn send(&mut self, name: &str, data: Value) -> Result<(), ()> {
        self.last = Instant::now();
        let text = format!("event: {name}\ndata: {data}\n\n");
        self.events.send(text.into()).await.map_err(|_| ())
    }

    /// Waits until the next look. Fails when the page was closed, or the stream is
    /// old.
    async fn pause(&mut self) -> Result<(), ()> {
        tokio::time::sleep(POLL).await;
        if self.last.elapsed() > PING {
            self.last = Instant::now();
            self.events
                .send(Bytes::from_static(b": ping\n\n"))
                .await
                .map_err(|_| ())?;
        }
        let is_over = self.events.is_closed() || self.began.elapsed() > LIFETIME;
        if is_over { Err(()) } else { Ok(()) }
    }
}

/// Waits for the first deployment of an environment, and sends the address of its
/// page.
pub(super) async fn first_push(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path((owner, name)): Path<Name>,
) -> Result<Response, PageError> {
    let caller = viewer.signed_in()?;
    let environment = state
        .database
        .read(move |transaction| find_to_change(transaction, &owner, &name, &caller))
        .await?;
    let (mut stream, response) = Stream::begin()?;
    tokio::spawn(async move {
        loop {
            let id = environment.id.clone();
            let newest = state
                .database
                .read(move |transaction| newest_of(transaction, &id))
                .await;
            if let Ok(Some(deployment)) = newest {
                let address = format!("/{}/deployments/{}", environment.full_name(), deployment.id);
                return stream.send("deployment", address.into()).await;
            }
            stream.pause().await?;
        }
    });
    Ok(response)
}

/// Sends what is added to a build log, until the deployment has ended.
pub(super) async fn build_log(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<DeploymentName>,
    query: QueryParameters,
) -> Result<Response, PageError> {
    let caller = viewer.signed_in()?;
    let mut sent: i64 = query.number("after")?.unwrap_or(0).max(0);
    let (_, deployment, _) = found(&state, caller, name).await?;
    let (mut stream, response) = Stream::begin()?;
    tokio::spawn(async move {
        let mut status = deployment.status;
        loop {
            let id = deployment.id.clone();
            let looked = state.database.read(move |transaction| {
                let deployment = get(transaction, &id)?;
                Ok((deployment, log_after(transaction, &id, sent)?))
            });
            if let Ok((now, added)) = looked.await {
                if !added.is_empty() {
                    sent = sent.saturating_add(added.chars().count() as i64);
                    stream.send("log", added.into()).await?;
                }
                if now.status != status {
                    status = now.status;
                    stream.send("status", status.as_str().into()).await?;
                }
                let is_open = matches!(
                    status,
                    DeploymentStatus::Queued
                        | DeploymentStatus::Building
                        | DeploymentStatus::Deploying
                );
                if !is_open {
                    return stream.send("end", Value::Null).await;
                }
            }
            stream.pause().await?;
        }
    });
    Ok(response)
}
