//! The routes of the protocol, and a session that deletes itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::{HttpClient, HttpRequest, HttpResponse};

use super::event_stream::{EventStream, StreamTranscript};

/// The header that names the session of a request.
pub const SESSION_HEADER: &str = "X-Session-ID";

/// Returns a new session id.
pub fn fresh_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Encodes the value of `X-Secrets` for an object such as `{"KEY":{"value":"v"}}`.
pub fn secrets_header(secrets: &Value) -> String {
    STANDARD.encode(secrets.to_string())
}

/// The task of a session.
#[derive(Clone, Debug)]
pub enum TaskSelector {
    /// A task of a split.
    At(&'static str, i64),
    /// A task that the client specifies itself.
    Spec(Value),
}

impl TaskSelector {
    /// Returns the body of `/create` for this task.
    pub fn body(&self, environment: &str) -> Value {
        match self {
            Self::At(split, index) => {
                json!({"env_name": environment, "split": split, "index": index})
            }
            Self::Spec(spec) => json!({"env_name": environment, "task_spec": spec}),
        }
    }
}

/// A client of one server, by its address.
#[derive(Clone, Debug)]
pub struct OrsClient {
    client: HttpClient,
}

impl OrsClient {
    /// Creates a client for a base URL such as `http://127.0.0.1:8080`.
    pub fn at(base: &str) -> Self {
        Self {
            client: HttpClient::new(base),
        }
    }

    /// Sends this API key with every request.
    pub fn with_api_key(self, key: &str) -> Self {
        Self {
            client: self.client.with_header("X-API-Key", key),
        }
    }

    /// Returns the HTTP client.
    pub fn client(&self) -> &HttpClient {
        &self.client
    }

    /// Sends any request.
    pub fn fetch(&self, request: &HttpRequest) -> HttpResponse {
        self.client.fetch(request)
    }

    /// Sends a GET without a session.
    pub fn get(&self, path: &str) -> HttpResponse {
        self.fetch(&HttpRequest::get(path))
    }

    /// Sends a POST of JSON without a session.
    pub fn post(&self, path: &str, body: &Value) -> HttpResponse {
        self.fetch(&HttpRequest::post(path).json(body))
    }

    /// Sends a POST of JSON with a session id.
    pub fn post_as(&self, id: &str, path: &str, body: &Value) -> HttpResponse {
        self.fetch(
            &HttpRequest::post(path)
                .header(SESSION_HEADER, id)
                .json(body),
        )
    }

    /// As [`OrsClient::post_as`], for a response that may be cut off.
    pub fn try_post_as(&self, id: &str, path: &str, body: &Value) -> std::io::Result<HttpResponse> {
        let request = HttpRequest::post(path)
            .header(SESSION_HEADER, id)
            .json(body);
        self.client.try_fetch(&request)
    }

    /// Sends a POST without a body, with a session id.
    pub fn post_empty(&self, id: &str, path: &str) -> HttpResponse {
        self.fetch(&HttpRequest::post(path).header(SESSION_HEADER, id))
    }

    /// Sends `/create` with any body.
    pub fn create(&self, id: &str, body: &Value) -> HttpResponse {
        self.post_as(id, "/create", body)
    }

    /// Sends a request and reads its event stream to the end.
    pub fn transcript(&self, request: &HttpRequest) -> StreamTranscript {
        EventStream::open(&self.client, request).finish()
    }

    /// Creates a session, which must succeed.
    pub fn open(&self, environment: &str, task: TaskSelector) -> SessionClient {
        self.open_with(environment, task, &[])
    }

    /// Creates a session with extra headers on `/create`.
    pub fn open_with(
        &self,
        environment: &str,
        task: TaskSelector,
        headers: &[(&str, &str)],
    ) -> SessionClient {
        let id = fresh_id();
        let mut request = HttpRequest::post("/create")
            .header(SESSION_HEADER, &id)
            .json(&task.body(environment));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let response = self.fetch(&request);
        assert_eq!(response.status(), 200, "{response:?}");
        assert_eq!(response.json(), json!({"sid": id}));
        self.session(environment, &id)
    }

    /// Returns a handle for a session that was created in another way.
    pub fn session(&self, environment: &str, id: &str) -> SessionClient {
        SessionClient {
            ors: self.clone(),
            environment: environment.to_owned(),
            id: id.to_owned(),
        }
    }
}

/// A handle for a live session; dropping it deletes the session.
pub struct SessionClient {
    ors: OrsClient,
    environment: String,
    id: String,
}

impl SessionClient {
    /// Returns its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns a client of its server.
    pub fn ors(&self) -> &OrsClient {
        &self.ors
    }

    /// Builds a GET of one of its environment's routes.
    pub fn get_request(&self, route: &str) -> HttpRequest {
        HttpRequest::get(&format!("/{}/{route}", self.environment)).header(SESSION_HEADER, &self.id)
    }

    /// Builds a POST of JSON to one of its environment's routes.
    pub fn post_request(&self, route: &str, body: &Value) -> HttpRequest {
        HttpRequest::post(&format!("/{}/{route}", self.environment))
            .header(SESSION_HEADER, &self.id)
            .json(body)
    }

    /// Sends a GET.
    pub fn get(&self, route: &str) -> HttpResponse {
        self.ors.fetch(&self.get_request(route))
    }

    /// Sends a POST.
    pub fn post(&self, route: &str, body: &Value) -> HttpResponse {
        self.ors.fetch(&self.post_request(route, body))
    }

    /// Calls a tool and waits for the end of the stream.
    pub fn call(&self, tool: &str, input: Value) -> StreamTranscript {
        self.start(tool, input).finish()
    }

    /// Calls a tool and leaves the stream open.
    pub fn start(&self, tool: &str, input: Value) -> EventStream {
        let body = json!({"name": tool, "input": input});
        EventStream::open(self.ors.client(), &self.post_request("call", &body))
    }

    /// Reads the result of a run that was started earlier.
    pub fn resume(&self, task_id: &str) -> StreamTranscript {
        let body = json!({"name": "any", "input": {}, "task_id": task_id});
        self.ors.transcript(&self.post_request("call", &body))
    }

    /// Scores a group of candidates.
    pub fn score(&self, candidates: Value) -> StreamTranscript {
        let body = json!({"candidates": candidates});
        self.ors
            .transcript(&self.post_request("score_group", &body))
    }

    /// Sends `/ping`, which keeps the session alive.
    pub fn ping(&self) -> HttpResponse {
        self.ors.post_empty(&self.id, "/ping")
    }

    /// Sends `/delete`.
    pub fn delete(&self) -> HttpResponse {
        self.ors.post_empty(&self.id, "/delete")
    }

    /// Drops the handle and leaves the session alive.
    pub fn leave_open(mut self) {
        self.id.clear();
    }
}

impl Drop for SessionClient {
    fn drop(&mut self) {
        if self.id.is_empty() {
            return;
        }
        // Some tests have ended the server by now.
        let request = HttpRequest::post("/delete").header(SESSION_HEADER, &self.id);
        let _ = self.ors.client.try_fetch(&request);
    }
}
