//! A client of the protocol, for one episode.
//!
//! It works with any server that implements the protocol. Requests have the
//! environment in the path, so no server needs to redirect.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::client::http::{self, EventStream, HttpError, ServerUrl};

/// How often a broken result stream is resumed.
const RESUMES: u32 = 3;

/// How often a request is retried while the session is being set up. A server
/// holds each request for about 25 s.
const STARTS: u32 = 40;

/// Why the episode cannot continue.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlayError {
    /// There is no response.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server refused the request.
    #[error("{action}: the server responded with {status}: {detail}")]
    Status {
        /// The request.
        action: &'static str,
        /// The status.
        status: u16,
        /// Reason given by the server.
        detail: String,
    },
    /// The response is invalid.
    #[error("{action}: invalid response of the server: {reason}")]
    Response {
        /// The request.
        action: &'static str,
        /// Why it is invalid.
        reason: String,
    },
}

/// Split of an environment.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Split {
    pub(super) name: String,
}

/// Tools of a session.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Tools {
    pub(super) tools: Vec<Tool>,
    #[serde(default)]
    pub(super) terminal_tool: Option<TerminalTool>,
}

/// Tool that can be called.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) input_schema: Option<Value>,
}

/// Tool that grades and ends the episode.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TerminalTool {
    pub(super) name: String,
    pub(super) arg: Option<String>,
    #[serde(default)]
    pub(super) description: String,
}

/// CallOutput of a tool.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct CallOutput {
    pub(super) blocks: Vec<Value>,
    #[serde(default)]
    pub(super) metadata: Option<Value>,
    #[serde(default)]
    pub(super) reward: Option<f64>,
    #[serde(default)]
    pub(super) finished: bool,
}

impl CallOutput {
    /// Returns the text blocks, joined by line ends.
    pub(super) fn text(&self) -> String {
        let texts: Vec<&str> = self
            .blocks
            .iter()
            .filter_map(|block| block.get("text").and_then(Value::as_str))
            .collect();
        texts.join("\n")
    }
}

/// CallOutcome of a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CallOutcome {
    /// The tool returned an output.
    Output(CallOutput),
    /// The call was refused and did not run.
    Refused {
        /// Reason for programs.
        reason: String,
        /// Reason for the agent.
        message: String,
    },
    /// The tool failed, or the session ended in the call.
    Failed(String),
}

/// Task to play.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Task of the environment, by split and index.
    Index(String, i64),
    /// Task as JSON.
    Spec(Box<RawValue>),
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Task::Index(split, index) => write!(f, "task {index} of {split}"),
            Task::Spec(spec) => write!(f, "task {spec}"),
        }
    }
}

/// Client of one server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    server: ServerUrl,
}

/// Open episode.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    client: Client,
    environment: String,
    session: HeaderValue,
}

impl Client {
    pub(super) fn new(server: ServerUrl) -> Client {
        Client { server }
    }

    /// Lists the environments, the default one first.
    pub(super) async fn environments(&self) -> Result<Vec<String>, PlayError> {
        let action = "listing the environments";
        self.get(action, "/list_environments", None).await
    }

    /// Lists the splits of an environment.
    pub(super) async fn splits(&self, environment: &str) -> Result<Vec<Split>, PlayError> {
        let path = format!("/{environment}/splits");
        self.get("listing the splits", &path, None).await
    }

    /// Returns the number of tasks in a split.
    pub(super) async fn num_tasks(&self, environment: &str, split: &str) -> Result<u64, PlayError> {
        #[derive(Deserialize)]
        struct TaskCount {
            num_tasks: u64,
        }
        let action = "counting the tasks";
        let path = format!("/{environment}/num_tasks");
        let body = json!({ "split": split }).to_string();
        let response = self.server.send(Method::POST, &path, &[], body).await?;
        let count: TaskCount = read(action, http::text(response).await?)?;
        Ok(count.num_tasks)
    }

    /// Opens an episode.
    pub(super) async fn open(
        &self,
        environment: &str,
        task: &Task,
        secrets: &BTreeMap<String, String>,
        seed: Option<u64>,
    ) -> Result<Episode, PlayError> {
        let action = "opening the episode";
        let session = self.session_id().await?;
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|error| PlayError::Response {
                action,
                reason: error.to_string(),
            })
        };
        let mut headers = vec![("x-session-id", header(&session)?)];
        if !secrets.is_empty() {
            let secrets: BTreeMap<_, _> = secrets
                .iter()
                .map(|(name, value)| (name, json!({ "value": value })))
                .collect();
            let mut value = header(&STANDARD.encode(json!(secrets).to_string()))?;
            value.set_sensitive(true);
            headers.push(("x-secrets", value));
        }
        if let Some(seed) = seed {
            headers.push(("x-orwd-seed", header(&seed.to_string())?));
        }
        let name = json!(environment);
        // The task is inserted as written, so numbers keep all their digits.
        let body = match task {
            Task::Index(split, index) => {
                json!({"env_name": name, "split": split, "index": index}).to_string()
            }
            Task::Spec(spec) => format!("{{\"env_name\":{name},\"task_spec\":{spec}}}"),
        };
        let response = self
            .server
            .send(Method::POST, "/create", &headers, body)
            .await?;
        let _: Value = read(action, http::text(response).await?)?;
        Ok(Episode {
            client: self.clone(),
            environment: environment.to_owned(),
            session: header(&session)?,
        })
    }

    async fn session_id(&self) -> Result<String, PlayError> {
        let action = "creating the session";
        let response = self
            .server
            .send(Method::POST, "/create_session", &[], "{}".to_owned())
            .await?;
        if response.status() != StatusCode::OK {
            let (status, text) = http::text(response).await?;
            return Err(refusal(action, status, &text));
        }
        let mut events = EventStream::new(response);
        while let Some(event) = events.next().await? {
            if event.name == "task_id" {
                return Ok(event.data);
            }
        }
        Err(PlayError::Response {
            action,
            reason: "it has no session id".to_owned(),
        })
    }

    /// Sends a GET request, and retries while the session is being set up.
    async fn get<T: DeserializeOwned>(
        &self,
        action: &'static str,
        path: &str,
        session: Option<&HeaderValue>,
    ) -> Result<T, PlayError> {
        let headers: Vec<_> = session
            .map(|id| ("x-session-id", id.clone()))
            .into_iter()
            .collect();
        let mut starts = 0;
        loop {
            let response = self
                .server
                .send(Method::GET, path, &headers, String::new())
                .await?;
            if is_starting(&response) && starts < STARTS {
                starts += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            return read(action, http::text(response).await?);
        }
    }
}

impl Episode {
    /// Returns the blocks that begin the conversation.
    pub(super) async fn prompt(&self) -> Result<Vec<Value>, PlayError> {
        self.get("getting the prompt", "prompt").await
    }

    /// Lists the tools.
    pub(super) async fn tools(&self) -> Result<Tools, PlayError> {
        self.get("listing the tools", "task_tools").await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        action: &'static str,
        route: &str,
    ) -> Result<T, PlayError> {
        let path = format!("/{}/{route}", self.environment);
        self.client.get(action, &path, Some(&self.session)).await
    }

    /// Calls a tool. Once the run id has arrived, a broken stream is resumed, and
    /// the tool still runs once.
    pub(super) async fn call(
        &self,
        tool: &str,
        input: &RawValue,
    ) -> Result<CallOutcome, PlayError> {
        let name = json!(tool);
        let mut run: Option<String> = None;
        let mut resumes = 0;
        loop {
            let id = json!(run);
            let body = format!("{{\"name\":{name},\"input\":{input},\"task_id\":{id}}}");
            let error = match self.try_call(body, &mut run).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => HttpError::Lost("the response is incomplete".to_owned()).into(),
                Err(PlayError::Http(error @ (HttpError::Lost(_) | HttpError::Timeout))) => {
                    PlayError::Http(error)
                }
                Err(error) => return Err(error),
            };
            resumes += 1;
            if run.is_none() || resumes > RESUMES {
                return Err(error);
            }
        }
    }

    /// Sends one request. Returns `None` if its stream ended early.
    async fn try_call(
        &self,
        body: String,
        run: &mut Option<String>,
    ) -> Result<Option<CallOutcome>, PlayError> {
        let action = "calling the tool";
        let path = format!("/{}/call", self.environment);
        let headers = [("x-session-id", self.session.clone())];
        let response = self
            .client
            .server
            .send(Method::POST, &path, &headers, body)
            .await?;
        if response.status() != StatusCode::OK {
            let (status, text) = http::text(response).await?;
            return Err(refusal(action, status, &text));
        }
        let mut events = EventStream::new(response);
        let mut result = String::new();
        while let Some(event) = events.next().await? {
            match event.name.as_str() {
                "task_id" => *run = Some(event.data),
                "chunk" => result.push_str(&event.data),
                "end" => {
                    result.push_str(&event.data);
                    return outcome(action, &result).map(Some);
                }
                "error" => return Ok(Some(CallOutcome::Failed(event.data))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Keeps the session from expiring.
    pub(super) async fn ping(&self) -> Result<(), PlayError> {
        self.post("pinging the session", "/ping").await
    }

    /// Ends the session.
    pub(super) async fn close(&self) -> Result<(), PlayError> {
        self.post("ending the session", "/delete").await
    }

    async fn post(&self, action: &'static str, path: &str) -> Result<(), PlayError> {
        let headers = [("x-session-id", self.session.clone())];
        let server = &self.client.server;
        let response = server
            .send(Method::POST, path, &headers, "{}".to_owned())
            .await?;
        let _: Value = read(action, http::text(response).await?)?;
        Ok(())
    }
}

fn is_starting(response: &hyper::Response<hyper::body::Incoming>) -> bool {
    response.status() == StatusCode::SERVICE_UNAVAILABLE
        && response
            .headers()
            .get("x-backend-state")
            .is_some_and(|state| state == "starting")
}

fn read<T: DeserializeOwned>(
    action: &'static str,
    (status, text): (StatusCode, String),
) -> Result<T, PlayError> {
    if status != StatusCode::OK {
        return Err(refusal(action, status, &text));
    }
    serde_json::from_str(&text).map_err(|error| PlayError::Response {
        action,
        reason: error.to_string(),
    })
}

/// Creates an error with the server's `detail`, or with the whole body.
fn refusal(action: &'static str, status: StatusCode, text: &str) -> PlayError {
    PlayError::Status {
        action,
        status: status.as_u16(),
        detail: http::error_detail(text),
    }
}

fn outcome(action: &'static str, text: &str) -> Result<CallOutcome, PlayError> {
    #[derive(Deserialize)]
    struct CallResponse {
        output: Option<CallOutput>,
        error: Option<String>,
        #[serde(default)]
        reason: Option<String>,
    }
    let response: CallResponse =
        serde_json::from_str(text).map_err(|error| PlayError::Response {
            action,
            reason: error.to_string(),
        })?;
    match (response.output, response.error) {
        (Some(output), _) => Ok(CallOutcome::Output(output)),
        (None, Some(message)) => Ok(CallOutcome::Refused {
            // Some servers give no reason.
            reason: response.reason.unwrap_or_else(|| "refused".to_owned()),
            message,
        }),
        (None, None) => Err(PlayError::Response {
            action,
            reason: "it is neither an output nor an error".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_outcomes() {
        let refused = |reason: &str| CallOutcome::Refused {
            reason: reason.to_owned(),
            message: "no".to_owned(),
        };
        for (text, expected) in [
            (
                r#"{"ok":true,"output":{"blocks":[],"metadata":null,"reward":1.0,"finished":true}}"#,
                Some(CallOutcome::Output(CallOutput {
                    blocks: vec![],
                    metadata: None,
                    reward: Some(1.0),
                    finished: true,
                })),
            ),
            (
                r#"{"ok":false,"error":"no","reason":"not_found"}"#,
                Some(refused("not_found")),
            ),
            (r#"{"ok":false,"error":"no"}"#, Some(refused("refused"))),
            (r#"{"ok":true}"#, None),
            ("", None),
        ] {
            assert_eq!(outcome("x", text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn errors_include_the_reason_of_the_server() {
        for (text, expected) in [
            (r#"{"detail":"Invalid split"}"#, "Invalid split"),
            (r#"{"detail":[{"type":"x"}]}"#, r#"[{"type":"x"}]"#),
            ("bad gateway", "bad gateway"),
        ] {
            let error = refusal("opening", StatusCode::BAD_REQUEST, text);
            assert_eq!(
                error.to_string(),
                format!("opening: the server responded with 400: {expected}")
            );
        }
    }
}
