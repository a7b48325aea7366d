//! A client of the protocol: what it takes to play one episode.
//!
//! Works with any server that speaks it, ours or another, and speaks to ours
//! as to another. Routes are always taken with the environment in the path, so
//! that no server has to redirect.

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

use super::http::{self, Events, HttpError, Server};

/// How often a call is asked for again whose stream broke.
const RESUMES: u32 = 3;

/// How often a session that is still being set up is asked again. A server
/// holds each request back for some 25 s.
const STARTS: u32 = 40;

/// Why playing cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlayError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server said no.
    #[error("{what}: the server answers {status}: {detail}")]
    Status {
        /// What was asked for.
        what: &'static str,
        /// The status.
        status: u16,
        /// The server's reason.
        detail: String,
    },
    /// The server's answer is none.
    #[error("{what}: the server's answer cannot be read: {reason}")]
    Answer {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// A split of an environment.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Split {
    pub(super) name: String,
}

/// The tools of a session.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Tools {
    pub(super) tools: Vec<Tool>,
    #[serde(default)]
    pub(super) terminal_tool: Option<TerminalTool>,
}

/// A tool that can be called.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) input_schema: Option<Value>,
}

/// The tool that grades.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TerminalTool {
    pub(super) name: String,
    pub(super) arg: Option<String>,
    #[serde(default)]
    pub(super) description: String,
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Output {
    pub(super) blocks: Vec<Value>,
    #[serde(default)]
    pub(super) metadata: Option<Value>,
    #[serde(default)]
    pub(super) reward: Option<f64>,
    #[serde(default)]
    pub(super) finished: bool,
}

impl Output {
    /// The text blocks, joined by line ends.
    pub(super) fn text(&self) -> String {
        let texts: Vec<&str> = self
            .blocks
            .iter()
            .filter_map(|block| block.get("text").and_then(Value::as_str))
            .collect();
        texts.join("\n")
    }
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// An output.
    Output(Output),
    /// The call was not run.
    Refused {
        /// Why, for programs.
        reason: String,
        /// Why, for the agent.
        message: String,
    },
    /// The tool failed, or the session ended in the call.
    Failed(String),
}

/// The task that is played.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// One of the environment's.
    Index(String, i64),
    /// One that is written out.
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

/// A client of one server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    server: Server,
}

/// An open episode.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    client: Client,
    environment: String,
    session: HeaderValue,
}

impl Client {
    pub(super) fn new(server: Server) -> Client {
        Client { server }
    }

    /// The environments, the default one first.
    pub(super) async fn environments(&self) -> Result<Vec<String>, PlayError> {
        let what = "listing the environments";
        self.get(what, "/list_environments", None).await
    }

    /// The splits of an environment.
    pub(super) async fn splits(&self, environment: &str) -> Result<Vec<Split>, PlayError> {
        let path = format!("/{environment}/splits");
        self.get("listing the splits", &path, None).await
    }

    /// How many tasks a split has.
    pub(super) async fn num_tasks(&self, environment: &str, split: &str) -> Result<u64, PlayError> {
        #[derive(Deserialize)]
        struct Answer {
            num_tasks: u64,
        }
        let what = "counting the tasks";
        let path = format!("/{environment}/num_tasks");
        let body = json!({ "split": split }).to_string();
        let answer = self.server.send(Method::POST, &path, &[], body).await?;
        let answer: Answer = read(what, http::text(answer).await?)?;
        Ok(answer.num_tasks)
    }

    /// Opens an episode.
    pub(super) async fn open(
        &self,
        environment: &str,
        task: &Task,
        secrets: &BTreeMap<String, String>,
    ) -> Result<Episode, PlayError> {
        let what = "opening the episode";
        let session = self.session_id().await?;
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|error| PlayError::Answer {
                what,
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
        let name = json!(environment);
        // A spec is put in as it was written: numbers keep all their digits.
        let body = match task {
            Task::Index(split, index) => {
                json!({"env_name": name, "split": split, "index": index}).to_string()
            }
            Task::Spec(spec) => format!("{{\"env_name\":{name},\"task_spec\":{spec}}}"),
        };
        let answer = self
            .server
            .send(Method::POST, "/create", &headers, body)
            .await?;
        let _: Value = read(what, http::text(answer).await?)?;
        Ok(Episode {
            client: self.clone(),
            environment: environment.to_owned(),
            session: header(&session)?,
        })
    }

    async fn session_id(&self) -> Result<String, PlayError> {
        let what = "asking for a session";
        let answer = self
            .server
            .send(Method::POST, "/create_session", &[], "{}".to_owned())
            .await?;
        if answer.status() != StatusCode::OK {
            let (status, text) = http::text(answer).await?;
            return Err(refusal(what, status, &text));
        }
        let mut events = Events::new(answer);
        while let Some(event) = events.next().await? {
            if event.name == "task_id" {
                return Ok(event.data);
            }
        }
        Err(PlayError::Answer {
            what,
            reason: "it holds no id".to_owned(),
        })
    }

    /// Gets an answer, and waits for a session that is still being set up.
    async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        session: Option<&HeaderValue>,
    ) -> Result<T, PlayError> {
        let headers: Vec<_> = session
            .map(|id| ("x-session-id", id.clone()))
            .into_iter()
            .collect();
        let mut starts = 0;
        loop {
            let answer = self
                .server
                .send(Method::GET, path, &headers, String::new())
                .await?;
            if is_starting(&answer) && starts < STARTS {
                starts += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            return read(what, http::text(answer).await?);
        }
    }
}

impl Episode {
    /// The blocks that begin the conversation.
    pub(super) async fn prompt(&self) -> Result<Vec<Value>, PlayError> {
        self.get("asking for the prompt", "prompt").await
    }

    /// The tools.
    pub(super) async fn tools(&self) -> Result<Tools, PlayError> {
        self.get("listing the tools", "task_tools").await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        route: &str,
    ) -> Result<T, PlayError> {
        let path = format!("/{}/{route}", self.environment);
        self.client.get(what, &path, Some(&self.session)).await
    }

    /// Calls a tool. Once the server has told the id of the run, a broken
    /// stream is taken up again; the tool runs once.
    pub(super) async fn call(&self, tool: &str, input: &RawValue) -> Result<Outcome, PlayError> {
        let name = json!(tool);
        let mut run: Option<String> = None;
        let mut resumes = 0;
        loop {
            let id = json!(run);
            let body = format!("{{\"name\":{name},\"input\":{input},\"task_id\":{id}}}");
            let error = match self.try_call(body, &mut run).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => HttpError::Broken("the answer has no end".to_owned()).into(),
                Err(PlayError::Http(error @ (HttpError::Broken(_) | HttpError::Quiet))) => {
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

    /// One request; nothing, if its stream ended early.
    async fn try_call(
        &self,
        body: String,
        run: &mut Option<String>,
    ) -> Result<Option<Outcome>, PlayError> {
        let what = "calling the tool";
        let path = format!("/{}/call", self.environment);
        let headers = [("x-session-id", self.session.clone())];
        let answer = self
            .client
            .server
            .send(Method::POST, &path, &headers, body)
            .await?;
        if answer.status() != StatusCode::OK {
            let (status, text) = http::text(answer).await?;
            return Err(refusal(what, status, &text));
        }
        let mut events = Events::new(answer);
        let mut result = String::new();
        while let Some(event) = events.next().await? {
            match event.name.as_str() {
                "task_id" => *run = Some(event.data),
                "chunk" => result.push_str(&event.data),
                "end" => {
                    result.push_str(&event.data);
                    return outcome(what, &result).map(Some);
                }
                "error" => return Ok(Some(Outcome::Failed(event.data))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Keeps the session from being deleted as idle.
    pub(super) async fn ping(&self) -> Result<(), PlayError> {
        self.post("keeping the session", "/ping").await
    }

    /// Ends the episode.
    pub(super) async fn close(&self) -> Result<(), PlayError> {
        self.post("ending the session", "/delete").await
    }

    async fn post(&self, what: &'static str, path: &str) -> Result<(), PlayError> {
        let headers = [("x-session-id", self.session.clone())];
        let server = &self.client.server;
        let answer = server
            .send(Method::POST, path, &headers, "{}".to_owned())
            .await?;
        let _: Value = read(what, http::text(answer).await?)?;
        Ok(())
    }
}

fn is_starting(answer: &hyper::Response<hyper::body::Incoming>) -> bool {
    answer.status() == StatusCode::SERVICE_UNAVAILABLE
        && answer
            .headers()
            .get("x-backend-state")
            .is_some_and(|state| state == "starting")
}

fn read<T: DeserializeOwned>(
    what: &'static str,
    (status, text): (StatusCode, String),
) -> Result<T, PlayError> {
    if status != StatusCode::OK {
        return Err(refusal(what, status, &text));
    }
    serde_json::from_str(&text).map_err(|error| PlayError::Answer {
        what,
        reason: error.to_string(),
    })
}

/// The server's `detail`, or all that it said.
fn refusal(what: &'static str, status: StatusCode, text: &str) -> PlayError {
    let detail =
        serde_json::from_str::<Value>(text)
            .ok()
            .and_then(|body| match body.get("detail") {
                Some(Value::String(detail)) => Some(detail.clone()),
                Some(detail) => Some(detail.to_string()),
                None => None,
            });
    PlayError::Status {
        what,
        status: status.as_u16(),
        detail: detail.unwrap_or_else(|| text.chars().take(500).collect()),
    }
}

fn outcome(what: &'static str, text: &str) -> Result<Outcome, PlayError> {
    #[derive(Deserialize)]
    struct Answer {
        output: Option<Output>,
        error: Option<String>,
        #[serde(default)]
        reason: Option<String>,
    }
    let answer: Answer = serde_json::from_str(text).map_err(|error| PlayError::Answer {
        what,
        reason: error.to_string(),
    })?;
    match (answer.output, answer.error) {
        (Some(output), _) => Ok(Outcome::Output(output)),
        (None, Some(message)) => Ok(Outcome::Refused {
            // Older servers give no reason.
            reason: answer.reason.unwrap_or_else(|| "refused".to_owned()),
            message,
        }),
        (None, None) => Err(PlayError::Answer {
            what,
            reason: "it is neither an output nor a refusal".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_came_to() {
        let refused = |reason: &str| Outcome::Refused {
            reason: reason.to_owned(),
            message: "no".to_owned(),
        };
        for (text, expected) in [
            (
                r#"{"ok":true,"output":{"blocks":[],"metadata":null,"reward":1.0,"finished":true}}"#,
                Some(Outcome::Output(Output {
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
    fn the_servers_reason_is_told() {
        for (text, expected) in [
            (r#"{"detail":"Invalid split"}"#, "Invalid split"),
            (r#"{"detail":[{"type":"x"}]}"#, r#"[{"type":"x"}]"#),
            ("bad gateway", "bad gateway"),
        ] {
            let error = refusal("opening", StatusCode::BAD_REQUEST, text);
            assert_eq!(
                error.to_string(),
                format!("opening: the server answers 400: {expected}")
            );
        }
    }
}
