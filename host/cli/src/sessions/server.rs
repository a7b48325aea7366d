//! Sessions of a running server, through its admin API.

use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use orwd_session::StepCursor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::types::{ListedSession, SessionsPage, StepsPage};
use crate::client::http::{self, HttpError, ServerUrl};
use crate::console::CommandError;

/// A running server.
pub(super) struct ServerSource {
    url: String,
    server: ServerUrl,
}

impl ServerSource {
    pub(super) fn new(url: &str, server: ServerUrl) -> ServerSource {
        ServerSource {
            url: url.trim_end_matches('/').to_owned(),
            server,
        }
    }

    /// Returns the URL as the user wrote it.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Checks that a server responds.
    pub(super) async fn check(&self) -> Result<(), HttpError> {
        let response = self
            .server
            .send(Method::GET, "/health", &[], String::new())
            .await?;
        http::text(response).await.map(drop)
    }

    pub(super) async fn list(&self, ended: bool) -> Result<Vec<ListedSession>, CommandError> {
        let mut sessions = self.pages("listing the sessions", "open").await?;
        if ended {
            match self.pages("listing the ended sessions", "ended").await {
                Ok(ended) => sessions.extend(ended),
                // Without a journal, no ended session is known.
                Err(Refused { status, .. }) if status == Some(StatusCode::CONFLICT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sessions)
    }

    /// Returns the sessions of all pages of a list.
    async fn pages(&self, what: &'static str, state: &str) -> Result<Vec<ListedSession>, Refused> {
        let mut sessions = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/orwd/sessions?state={state}{after}");
            let page: SessionsPage = self.get(what, &path).await?;
            sessions.extend(page.sessions);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(sessions),
            }
        }
    }

    pub(super) async fn session(
        &self,
        session: &ListedSession,
    ) -> Result<Map<String, Value>, CommandError> {
        Ok(self.get("getting the session", &path(session, "")).await?)
    }

    pub(super) async fn steps(
        &self,
        session: &ListedSession,
        from: StepCursor,
    ) -> Result<StepsPage, CommandError> {
        let path = path(session, &format!("/steps?from={from}"));
        Ok(self.get("getting the steps", &path).await?)
    }

    /// Ends a session as its client would.
    pub(super) async fn end(&self, session: &ListedSession) -> Result<(), CommandError> {
        let action = "ending the session";
        let id = HeaderValue::from_str(&session.session).map_err(|_| {
            CommandError::new(format!(
                "the id {:?} cannot be sent in a header",
                session.session
            ))
        })?;
        let response = self
            .server
            .send(
                Method::POST,
                "/delete",
                &[("x-session-id", id)],
                "{}".to_owned(),
            )
            .await
            .map_err(|error| Refused::http(action, &error))?;
        let _: Value = self.read(action, response).await?;
        Ok(())
    }

    pub(super) async fn fork(
        &self,
        session: &ListedSession,
        at: Option<u64>,
        count: u32,
    ) -> Result<Vec<String>, CommandError> {
        #[derive(Deserialize)]
        struct Forked {
            sessions: Vec<String>,
        }
        let action = "forking the session";
        let mut body = json!({ "count": count });
        if let (Some(at), Some(body)) = (at, body.as_object_mut()) {
            body.insert("at".to_owned(), at.into());
        }
        let response = self
            .server
            .send(Method::POST, &path(session, "/fork"), &[], body.to_string())
            .await
            .map_err(|error| Refused::http(action, &error))?;
        let forked: Forked = self.read(action, response).await?;
        Ok(forked.sessions)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        action: &'static str,
        path: &str,
    ) -> Result<T, Refused> {
        let response = self
            .server
            .send(Method::GET, path, &[], String::new())
            .await
            .map_err(|error| Refused::http(action, &error))?;
        self.read(action, response).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        action: &'static str,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<T, Refused> {
        let (status, text) = http::text(response)
            .await
            .map_err(|error| Refused::http(action, &error))?;
        let refused = |reason: String| Refused {
            status: Some(status),
            message: format!("{action}: {reason}"),
        };
        match status {
            StatusCode::OK => serde_json::from_str(&text).map_err(|error| {
                refused(format!(
                    "{} is no orwd server of this version: {error}",
                    self.url
                ))
            }),
            StatusCode::UNAUTHORIZED => Err(refused(format!(
                "{}: {}; pass a key of this server with --api-key-file FILE or in ORWD_API_KEY",
                self.url,
                http::error_detail(&text)
            ))),
            status => Err(refused(format!(
                "the server responded with {}: {}",
                status.as_u16(),
                http::error_detail(&text)
            ))),
        }
    }
}

/// Why a request failed.
struct Refused {
    /// The status, if there was a response.
    status: Option<StatusCode>,
    message: String,
}

impl Refused {
    fn http(action: &str, error: &HttpError) -> Refused {
        Refused {
            status: None,
            message: format!("{action}: {error}"),
        }
    }
}

impl From<Refused> for CommandError {
    fn from(refused: Refused) -> CommandError {
        CommandError::new(refused.message)
    }
}

/// Returns the path of a session's route.
fn path(session: &ListedSession, route: &str) -> String {
    let id = utf8_percent_encode(&session.session, NON_ALPHANUMERIC);
    format!("/orwd/sessions/{id}{route}")
}
