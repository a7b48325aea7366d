//! The viewer's sessions: their list, their transcripts, and forks.
//!
//! A session belongs to the key's namespace, and to the host process of the version
//! that it began with, which is why its address has both.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use orwd_hub_store::HubStoreError;
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::deployments::{DeploymentStatus, get, page_of_environment};
use orwd_hub_store::environments::{EnvironmentRecord, find};
use orwd_hub_store::sessions::{SessionVersion, bind, find as version_of_session, generations_of};
use orwd_web::episode::{self, EpisodePage, Fork, SessionRow, ShownSession, VersionChoice};
use orwd_web::pages::EnvironmentHead;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::environment::{Name, head};
use super::form::Form;
use super::page::{Page, PageError};
use super::viewer::{Viewer, redirect};
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;
use crate::sessions::proxy::ask;
use crate::sessions::target::Target;
use crate::sessions::versions::of_session;
use crate::storage::channel_body::channel_body;

/// Versions that can be chosen.
const VERSIONS: i64 = 50;

/// Generations of the files of a version whose sessions are listed.
const GENERATIONS: i64 = 4;

/// Open sessions that are listed.
const OPEN: usize = 200;

/// An owner, a name, a version and the id of a session, as a path has them.
pub(super) type SessionName = (String, String, String, String);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed {
    sessions: Vec<ShownSession>,
    next: Option<String>,
}

fn parsed<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::internal("response not read", error))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Returns the address of the page of a session.
fn address(environment: &EnvironmentHead, version: &SessionVersion, id: &str) -> String {
    format!(
        "/{}/sessions/{}.{}/{}",
        environment.full_name(),
        version.deployment,
        version.generation,
        encode(id)
    )
}

/// Lists the viewer's sessions on a version of an environment.
pub(super) async fn list(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path((owner, name)): Path<Name>,
    query: QueryParameters,
) -> Page {
    let caller = viewer.signed_in()?;
    let (finder, wanted) = (caller.clone(), query.text("version"));
    let (environment, versions, chosen, generations) = state
        .database
        .read(move |transaction| {
            let environment = find(transaction, &owner, &name, Some(&finder))?;
            let mut versions = page_of_environment(transaction, &environment.id, VERSIONS, 0)?;
            versions.retain(|version| version.status == DeploymentStatus::Deployed);
            let chosen = wanted.or_else(|| environment.served.clone());
            let chosen = match chosen {
                Some(id) => Some(of_environment(transaction, &environment, &id)?),
                None => None,
            };
            let mut generations = match &chosen {
                Some(id) => generations_of(transaction, &finder.name, id, GENERATIONS)?,
                None => Vec::new(),
            };
            // A session that was deleted is known to its host process alone.
            generations.extend([environment.generation, 0]);
            generations.sort_unstable_by_key(|generation| std::cmp::Reverse(*generation));
            generations.dedup();
            Ok((environment, versions, chosen, generations))
        })
        .await?;
    let mut page = episode::SessionsPage {
        head: head(&environment, Some(&caller)),
        versions: versions
            .into_iter()
            .map(|version| VersionChoice {
                id: version.id,
                commit: version.commit,
                at: version.updated_at,
            })
            .collect(),
        version: chosen.clone().unwrap_or_default(),
        ..episode::SessionsPage::default()
    };
    if let Some(deployment) = chosen {
        let after = query.text("after");
        for generation in generations {
            let version = SessionVersion {
                deployment: deployment.clone(),
                generation,
            };
            if !state.layout.instance(&version).exists() {
                continue;
            }
            match listed(&state, &caller, &version, after.as_deref()).await {
                Ok((open, ended)) => {
                    let row = |summary: ShownSession| SessionRow {
                        address: address(&page.head, &version, &summary.session),
                        summary,
                    };
                    page.open
                        .extend(open.sessions.into_iter().rev().take(OPEN).map(row));
                    page.ended.extend(ended.sessions.into_iter().map(row));
                    page.next = page.next.or(ended.next);
                }
                Err(error) => page.problem = Some(error.message().to_owned()),
            }
        }
    }
    Ok(Html(episode::sessions(&viewer.frame(), &page)))
}

/// Returns the id of a deployment if it is one of the environment.
fn of_environment(
    transaction: &mut dyn orwd_hub_store::Transaction,
    environment: &EnvironmentRecord,
    id: &str,
) -> Result<String, HubStoreError> {
    match get(transaction, id) {
        Ok(found) if found.environment == environment.id => Ok(found.id),
        Ok(_) | Err(HubStoreError::Missing(_)) => Err(HubStoreError::Missing(format!(
            "{} has no version {id}",
            environment.full_name()
        ))),
        Err(error) => Err(error),
    }
}

/// Asks the host process of a version for the open and the ended sessions.
async fn listed(
    state: &Shared,
    caller: &Caller,
    version: &SessionVersion,
    after: Option<&str>,
) -> Result<(Listed, Listed), ApiError> {
    let target = of_session(state, version.clone()).await?;
    let open = match after {
        None => parsed(&ask(state, caller, &target, "/orwd/sessions", None).await?)?,
        Some(_) => Listed::default(),
    };
    let mut path = "/orwd/sessions?state=ended".to_owned();
    if let Some(after) = after {
        path.push_str(&format!("&after={}", encode(after)));
    }
    let ended = parsed(&ask(state, caller, &target, &path, None).await?)?;
    Ok((open, ended))
}

/// What a path to a session leads to.
struct Found {
    caller: Caller,
    environment: EnvironmentRecord,
    version: SessionVersion,
    target: Target,
    id: String,
}

impl Found {
    /// Returns a path of the admin API about the session.
    fn path(&self, rest: &str) -> String {
        format!("/orwd/sessions/{}{rest}", encode(&self.id))
    }

    /// Returns the address of the page of a session of the same version.
    fn address(&self, id: &str) -> String {
        address(&head(&self.environment, None), &self.version, id)
    }
}

/// Returns whether a text can be the id of a deployment.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

async fn found(
    state: &Shared,
    viewer: &Viewer,
    (owner, name, version, id): SessionName,
) -> Result<Found, ApiError> {
    let caller = viewer.signed_in()?;
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "there is no such session of yours");
    let (deployment, generation) = version.split_once('.').ok_or_else(missing)?;
    let version = SessionVersion {
        deployment: deployment.to_owned(),
        generation: generation.parse().map_err(|_| missing())?,
    };
    // A version that nobody played is not started for a look.
    if !is_plain(deployment) || !state.layout.instance(&version).exists() {
        return Err(missing());
    }
    let (finder, wanted) = (caller.clone(), version.deployment.clone());
    let environment = state
        .database
        .read(move |transaction| {
            let environment = find(transaction, &owner, &name, Some(&finder))?;
            of_environment(transaction, &environment, &wanted)?;
            Ok(environment)
        })
        .await?;
    let target = of_session(state, version.clone()).await?;
    Ok(Found {
        caller,
        environment,
        version,
        target,
        id,
    })
}

/// Shows the transcript of a session.
pub(super) async fn one(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<SessionName>,
    query: QueryParameters,
    headers: HeaderMap,
) -> Page {
    let found = found(&state, &viewer, name).await?;
    let path = found.path("?limit=10000");
    let detail = parsed(&ask(&state, &found.caller, &found.target, &path, None).await?)?;
    let from = query.text("from");
    let steps = match &from {
        Some(from) => found.path(&format!("/steps?from={}", encode(from))),
        None => found.path("/steps"),
    };
    let steps = parsed(&ask(&state, &found.caller, &found.target, &steps, None).await?)?;
    let fork = match query.text("fork") {
        Some(id) => forked(&state, &found, id, query.number("at")?).await?,
        None => None,
    };
    let page = EpisodePage {
        head: head(&found.environment, Some(&found.caller)),
        detail,
        steps,
        from,
        address: found.address(&found.id),
        may_fork: true,
        fork,
        base: state.base_url(&headers),
    };
    Ok(Html(episode::episode(&viewer.frame(), &page)))
}

/// Returns a fork that the address of the page names, if it is the viewer's.
async fn forked(
    state: &Shared,
    found: &Found,
    id: String,
    at: Option<u64>,
) -> Result<Option<Fork>, ApiError> {
    let (principal, wanted) = (found.caller.name.clone(), id.clone());
    let version = state
        .database
        .read(move |transaction| version_of_session(transaction, &principal, &wanted))
        .await?;
    let version = version.map(|(version, _)| version);
    Ok((version.as_ref() == Some(&found.version)).then(|| Fork {
        addresses: vec![found.address(&id)],
        sessions: vec![id],
        at,
    }))
}

#[derive(Deserialize)]
struct Children {
    sessions: Vec<String>,
}

/// Creates a session with the same past, after a call or after all.
pub(super) async fn fork(
    State(state): State<Shared>,
    Path(name): Path<SessionName>,
    form: Form,
) -> Result<Response, PageError> {
    let found = found(&state, &form.viewer, name).await?;
    let at = form.text("at");
    let at: Option<u64> = match at.as_str() {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| ApiError::invalid("at must be a number"))?,
        ),
    };
    let body = match at {
        Some(at) => json!({ "at": at }),
        None => json!({}),
    };
    let path = found.path("/fork");
    let children: Children =
        parsed(&ask(&state, &found.caller, &found.target, &path, Some(body)).await?)?;
    let child = children.sessions.first().cloned();
    let child = child.ok_or_else(|| ApiError::internal("session not forked", "no id"))?;
    let (principal, id) = (found.caller.name.clone(), child.clone());
    let version = found.version.clone();
    state
        .database
        .run(move |transaction| bind(transaction, &principal, &id, &version))
        .await?;
    let mut page = format!("{}?fork={}", found.address(&found.id), encode(&child));
    if let Some(at) = at {
        page.push_str(&format!("&at={at}"));
    }
    Ok(redirect(&page))
}

/// Sends the signed receipt of a session as a file.
pub(super) async fn receipt(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<SessionName>,
) -> Result<Response, PageError> {
    let found = found(&state, &viewer, name).await?;
    let path = found.path("/receipt");
    let body = ask(&state, &found.caller, &found.target, &path, None).await?;
    Ok((attachment("receipt.json"), body).into_response())
}

fn attachment(name: &'static str) -> [(header::HeaderName, String); 2] {
    [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ]
}

/// Sends all steps of a session as a file, page by page.
pub(super) async fn export(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<SessionName>,
) -> Result<Response, PageError> {
    let found = found(&state, &viewer, name).await?;
    // The first page is asked for before the response begins, so that an error is
    // one.
    let mut steps: Steps = parsed(
        &ask(
            &state,
            &found.caller,
            &found.target,
            &found.path("/steps"),
            None,
        )
        .await?,
    )?;
    let (chunks, body) = mpsc::channel(2);
    tokio::spawn(async move {
        let mut text = "[".to_owned();
        let mut separator = "";
        loop {
            for step in steps.steps {
                text.push_str(&format!("{separator}\n{step}"));
                separator = ",";
            }
            let Some(from) = steps.next else {
                let _ = chunks.send(format!("{text}\n]\n").into()).await;
                return;
            };
            if chunks.send(std::mem::take(&mut text).into()).await.is_err() {
                return;
            }
            let path = found.path(&format!("/steps?from={}", encode(&from)));
            let read = ask(&state, &found.caller, &found.target, &path, None).await;
            match read.and_then(|body| parsed(&body)) {
                Ok(more) => steps = more,
                // The file then ends without its last bracket.
                Err(error) => {
                    return tracing::warn!(reason = error.message(), "export of steps ended early");
                }
            }
        }
    });
    Ok((attachment("steps.json"), channel_body(body)).into_response())
}

#[derive(Deserialize)]
struct Steps {
    steps: Vec<Value>,
    next: Option<String>,
}
