//! Git over HTTP, by `git http-backend`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::environments::{EnvironmentRecord, find, linked_to};
use orwd_hub_store::{HubStoreError, usage};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::command::git_with_space;
use super::maintenance::note_push;
use super::repository;
use crate::admission::shares::place;
use crate::deploy::repositories::deploy_heads_of;
use crate::http::auth::caller_of_git;
use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::storage::channel_body::channel_body;

/// The time for one request.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// The time in which a client must take some of the response.
const STALL: Duration = Duration::from_secs(60);

/// Bytes that are read or written at once.
const CHUNK: usize = 64 << 10;

/// A request of git.
struct GitRequest {
    owner: String,
    name: String,
    /// The path below the repository.
    service: &'static str,
    /// Whether it changes the repository.
    is_push: bool,
}

impl GitRequest {
    fn parse(method: &Method, path: &str, query: &str) -> Option<GitRequest> {
        let mut parts = path.strip_prefix("/git/")?.splitn(3, '/');
        let (owner, repository, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let name = repository.strip_suffix(".git")?;
        let (service, is_push) = match (method, rest, query) {
            (&Method::GET, "info/refs", "service=git-upload-pack") => ("info/refs", false),
            (&Method::GET, "info/refs", "service=git-receive-pack") => ("info/refs", true),
            (&Method::POST, "git-upload-pack", "") => ("git-upload-pack", false),
            (&Method::POST, "git-receive-pack", "") => ("git-receive-pack", true),
            _ => return None,
        };
        Some(GitRequest {
            owner: owner.to_owned(),
            name: name.to_owned(),
            service,
            is_push,
        })
    }
}

/// Serves a request of git.
pub(crate) async fn serve(State(state): State<Shared>, request: Request) -> Response {
    respond(&state, request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn respond(state: &Shared, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or("");
    let Some(git_request) = GitRequest::parse(&head.method, head.uri.path(), query) else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "there is no such repository; its address is /git/OWNER/NAME.git",
        ));
    };
    let caller = caller_of_git(state, &head.headers, &head.extensions).await?;
    let (environment, note, left) = authorize(state, &caller, &git_request).await?;
    repository::create(state, &environment.id).await?;
    let place = place(&state.shares.git, &caller.name, 1).await?;
    let shared = state.repositories.shared(&environment.id).await;
    let mut command = git_with_space(&state.layout, left);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", state.layout.repositories())
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env(
            "PATH_INFO",
            format!("/{}.git/{}", environment.id, git_request.service),
        )
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", head.method.as_str())
        .env("REMOTE_USER", &*caller.name)
        .env("ORWD_NOTE", note)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (name, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "HTTP_GIT_PROTOCOL"),
    ] {
        if let Some(value) = head.headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut child = command
        .spawn()
        .map_err(|error| ApiError::internal("cannot start git", error))?;
    if let Some(stdin) = child.stdin.take() {
        feed(body, stdin);
    }
    let (response, head_of_response) = tokio::sync::oneshot::channel();
    let (sender, chunks) = mpsc::channel::<Bytes>(4);
    let is_push = git_request.service == "git-receive-pack";
    let (after, id, author) = (state.clone(), environment.id, caller.name.to_string());
    tokio::task::spawn_blocking(move || {
        if let Err(error) = forward(&mut child, response, &sender) {
            tracing::debug!(%error, "output of git not forwarded");
        }
        end(&mut child);
        drop(shared);
        if is_push && let Err(error) = note_push(&after.layout, &id) {
            tracing::error!(%error, "push not noted");
        }
        if is_push && let Err(error) = repository::count(&after, &id) {
            tracing::error!(error, "repository not measured");
        }
        // Before the end of the response, so that the user finds the deployment.
        if is_push && let Err(error) = deploy_heads_of(&after, &id, &author) {
            tracing::error!(%error, "pushed commits not deployed");
        }
        drop(sender);
        drop(place);
    });
    let head = timeout(TIMEOUT, head_of_response)
        .await
        .map_err(|_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "git took too long"))?
        .map_err(|_| ApiError::internal("git failed", "it ended without a response"))?;
    head.into_response(channel_body(chunks))
}

/// Checks what the caller may do with the repository, and returns the text that
/// a push prints, and the bytes that the owner may still keep.
async fn authorize(
    state: &Shared,
    caller: &Caller,
    request: &GitRequest,
) -> Result<(EnvironmentRecord, String, u64), ApiError> {
    let (owner, name) = (request.owner.clone(), request.name.clone());
    let (caller, is_push, quota) = (caller.clone(), request.is_push, state.owner_quota());
    let found = state
        .database
        .read(move |transaction| {
            let environment = find(transaction, &owner, &name, Some(&caller))?;
            // Sources may have what tasks do not show, so they are for members.
            if !caller.may_read(&owner) {
                return Err(HubStoreError::Forbidden(format!(
                    "the repository of {owner}/{name} is for members of {owner} only"
                )));
            }
            if is_push && !caller.may_change(&owner) {
                return Err(HubStoreError::Forbidden(format!(
                    "you may fetch {owner}/{name} and not push to it"
                )));
            }
            let left = match is_push {
                true => usage::remaining(transaction, &owner, quota)?,
                false => 0,
            };
            let linked = linked_to(transaction, Some(&environment.id))?;
            let names: Vec<String> = linked.iter().map(EnvironmentRecord::full_name).collect();
            Ok((environment, names, left))
        })
        .await?;
    let (environment, linked, left) = found;
    let name = environment.full_name();
    let renamed = if environment.name == request.name {
        String::new()
    } else {
        format!("this environment is named {name} now; ")
    };
    let link = environment.link.as_ref();
    let remote = link.and_then(|link| link.remote.as_ref());
    let note = match (linked.as_slice(), remote) {
        ([], Some(url)) => {
            format!("{renamed}it is deployed from {url}, and not from what is pushed here")
        }
        ([], None) => {
            format!("{renamed}linked to nothing yet; run `orwd link {name} {name}` to deploy it")
        }
        (names, _) => format!(
            "{renamed}the default branch deploys {}; `orwd logs {name} --build` shows the log",
            names.join(", ")
        ),
    };
    Ok((environment, note, u64::try_from(left).unwrap_or_default()))
}

/// Writes the body of a request to the program, in a thread that may block.
fn feed(mut body: Body, mut stdin: ChildStdin) {
    let (sender, mut chunks) = mpsc::channel::<Bytes>(4);
    let send = async move {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data()
                && sender.send(data).await.is_err()
            {
                return;
            }
        }
    };
    // The program ends with its input.
    tokio::spawn(timeout(TIMEOUT, send));
    tokio::task::spawn_blocking(move || {
        while let Some(chunk) = chunks.blocking_recv() {
            // A program that needs no more input has closed its end.
            if stdin.write_all(&chunk).is_err() {
                return;
            }
        }
    });
}

/// The head of the response of the program.
struct CgiHead {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl CgiHead {
    fn read(output: &mut impl BufRead) -> Result<CgiHead, String> {
        let mut head = CgiHead {
            status: StatusCode::OK,
            headers: Vec::new(),
        };
        loop {
            let mut line = String::new();
            let read = output
                .read_line(&mut line)
                .map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("git ended without a response".to_owned());
            }
            let line = line.trim_end();
            if line.is_empty() {
                return Ok(head);
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(format!("git sent the header {line:?}"));
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("status") {
                let code = value.split(' ').next().unwrap_or_default();
                head.status = code
                    .parse()
                    .map_err(|_| format!("git sent the status {value:?}"))?;
            } else if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::from_str(value))
            {
                head.headers.push((name, value));
            }
        }
    }

    fn into_response(self, body: Body) -> Result<Response, ApiError> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            if name != header::CONTENT_LENGTH {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(response)
    }
}

/// Reads the response of the program, and hands it on.
fn forward(
    child: &mut Child,
    response: tokio::sync::oneshot::Sender<CgiHead>,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), String> {
    let stdout = child.stdout.take().ok_or("git has no output")?;
    let mut output = BufReader::with_capacity(CHUNK, stdout);
    let head = CgiHead::read(&mut output)?;
    response.send(head).map_err(|_| "the client is gone")?;
    loop {
        let chunk = output.fill_buf().map_err(|error| error.to_string())?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (length, bytes) = (chunk.len(), Bytes::copy_from_slice(chunk));
        Handle::current()
            .block_on(timeout(STALL, sender.send(bytes)))
            .map_err(|_| "the client does not read")?
            .map_err(|_| "the client is gone")?;
        output.consume(length);
    }
}

/// Waits for the end of the program, whose output was read or is closed.
fn end(child: &mut Child) {
    if let Err(error) = child.wait() {
        tracing::error!(%error, "cannot wait for git");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_requests_of_git_are_served() {
        let parse = |method: Method, path: &str, query: &str| {
            GitRequest::parse(&method, path, query).map(|found| (found.name, found.is_push))
        };
        let path = "/git/me/env.git/info/refs";
        assert_eq!(
            parse(Method::GET, path, "service=git-receive-pack"),
            Some(("env".to_owned(), true))
        );
        assert_eq!(
            parse(Method::POST, "/git/me/env.git/git-upload-pack", ""),
            Some(("env".to_owned(), false))
        );
        for (method, path, query) in [
            (Method::GET, path, ""),
            (Method::GET, path, "service=git-upload-archive"),
            (Method::POST, path, "service=git-receive-pack"),
            (Method::GET, "/git/me/env.git/HEAD", ""),
            (Method::GET, "/git/me/env.git/objects/info/packs", ""),
            (
                Method::GET,
                "/git/me/env/info/refs",
                "service=git-upload-pack",
            ),
            (
                Method::GET,
                "/git/me/env.git/../x.git/info/refs",
                "service=git-upload-pack",
            ),
        ] {
            assert_eq!(parse(method, path, query), None, "{path}");
        }
    }

    #[test]
    fn the_head_of_a_response_is_read() {
        let text = "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nbody";
        let mut input = text.as_bytes();
        let head = CgiHead::read(&mut input).unwrap();
        assert_eq!(head.status, StatusCode::NOT_FOUND);
        assert_eq!(head.headers.len(), 1);
        assert_eq!(input, b"body");
        assert!(CgiHead::read(&mut &b""[..]).is_err());
    }
}
