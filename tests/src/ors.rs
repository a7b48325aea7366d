//! The verbs of the protocol, as a client would say them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::{Client, Request, Response};
use crate::stream::{Stream, Transcript};

/// What every request of a session carries.
pub const SESSION_HEADER: &str = "X-Session-ID";

/// A session id that nobody used before.
pub fn fresh_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The value of `X-Secrets` for an object such as `{"KEY":{"value":"v"}}`.
pub fn secrets_header(secrets: &Value) -> String {
    STANDARD.encode(secrets.to_string())
}

/// Which task a session is for.
#[derive(Clone, Debug)]
pub enum Task {
    /// A task of a split.
    At(&'static str, i64),
    /// A task of the client's own making.
    Spec(Value),
}

impl Task {
    /// The body of `/create` for this task.
    pub fn body(&self, environment: &str) -> Value {
        match self {
            Self::At(split, index) => {
                json!({"env_name": environment, "split": split, "index": index})
            }
            Self::Spec(spec) => json!({"env_name": environment, "task_spec": spec}),
        }
    }
}

/// A server, known by its address.
#[derive(Clone, Debug)]
pub struct Ors {
    client: Client,
}

impl Ors {
    /// For a base address such as `http://127.0.0.1:8080`.
    pub fn at(base: &str) -> Self {
        Self {
            client: Client::new(base),
        }
    }

    /// The same as seen by the holder of this API key.
    pub fn with_key(self, key: &str) -> Self {
        Self {
            client: self.client.with_header("X-API-Key", key),
        }
    }

    /// The HTTP client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends any request.
    pub fn ask(&self, request: &Request) -> Response {
        self.client.ask(request)
    }

    /// GET without a session.
    pub fn get(&self, path: &str) -> Response {
        self.ask(&Request::get(path))
    }

    /// POST of JSON without a session.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.ask(&Request::post(path).json(body))
    }

    /// POST of JSON with a session id.
    pub fn post_as(&self, id: &str, path: &str, body: &Value) -> Response {
        self.ask(&Request::post(path).header(SESSION_HEADER, id).json(body))
    }

    /// As [`Ors::post_as`], for an answer that may be broken off.
    pub fn try_post_as(&self, id: &str, path: &str, body: &Value) -> std::io::Result<Response> {
        let request = Request::post(path).header(SESSION_HEADER, id).json(body);
        self.client.try_ask(&request)
    }

    /// POST without a body, with a session id.
    pub fn touch(&self, id: &str, path: &str) -> Response {
        self.ask(&Request::post(path).header(SESSION_HEADER, id))
    }

    /// `/create` with a body of any kind.
    pub fn create(&self, id: &str, body: &Value) -> Response {
        self.post_as(id, "/create", body)
    }

    /// Reads a stream to its end.
    pub fn transcript(&self, request: &Request) -> Transcript {
        Stream::open(&self.client, request).finish()
    }

    /// Begins a session, which must work.
    pub fn open(&self, environment: &str, task: Task) -> Session {
        self.open_with(environment, task, &[])
    }

    /// Begins a session with more headers on `/create`.
    pub fn open_with(&self, environment: &str, task: Task, headers: &[(&str, &str)]) -> Session {
        let id = fresh_id();
        let mut request = Request::post("/create")
            .header(SESSION_HEADER, &id)
            .json(&task.body(environment));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let answer = self.ask(&request);
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_eq!(answer.json(), json!({"sid": id}));
        self.session(environment, &id)
    }

    /// A handle on a session that was created otherwise.
    pub fn session(&self, environment: &str, id: &str) -> Session {
        Session {
            ors: self.clone(),
            environment: environment.to_owned(),
            id: id.to_owned(),
        }
    }
}

/// A live session; dropping it deletes it.
pub struct Session {
    ors: Ors,
    environment: String,
    id: String,
}

impl Session {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The server that it lives on.
    pub fn ors(&self) -> &Ors {
        &self.ors
    }

    /// A GET of one of its environment's routes.
    pub fn get_request(&self, route: &str) -> Request {
        Request::get(&format!("/{}/{route}", self.environment)).header(SESSION_HEADER, &self.id)
    }

    /// A POST of JSON to one of its environment's routes.
    pub fn post_request(&self, route: &str, body: &Value) -> Request {
        Request::post(&format!("/{}/{route}", self.environment))
            .header(SESSION_HEADER, &self.id)
            .json(body)
    }

    /// Sends a GET.
    pub fn get(&self, route: &str) -> Response {
        self.ors.ask(&self.get_request(route))
    }

    /// Sends a POST.
    pub fn post(&self, route: &str, body: &Value) -> Response {
        self.ors.ask(&self.post_request(route, body))
    }

    /// Calls a tool and waits for the end of the stream.
    pub fn call(&self, tool: &str, input: Value) -> Transcript {
        self.start(tool, input).finish()
    }

    /// Calls a tool and leaves the stream open.
    pub fn start(&self, tool: &str, input: Value) -> Stream {
        let body = json!({"name": tool, "input": input});
        Stream::open(self.ors.client(), &self.post_request("call", &body))
    }

    /// Asks for a run that was started earlier.
    pub fn resume(&self, task_id: &str) -> Transcript {
        let body = json!({"name": "any", "input": {}, "task_id": task_id});
        self.ors.transcript(&self.post_request("call", &body))
    }

    /// Has candidates scored.
    pub fn score(&self, candidates: Value) -> Transcript {
        let body = json!({"candidates": candidates});
        self.ors
            .transcript(&self.post_request("score_group", &body))
    }

    /// Says that the client is still there.
    pub fn ping(&self) -> Response {
        self.ors.touch(&self.id, "/ping")
    }

    /// Ends the session.
    pub fn delete(&self) -> Response {
        self.ors.touch(&self.id, "/delete")
    }

    /// Leaves the session alive when the handle goes.
    pub fn forget(mut self) {
        self.id.clear();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.id.is_empty() {
            return;
        }
        // The server may be gone by now, which is some tests' purpose.
        let request = Request::post("/delete").header(SESSION_HEADER, &self.id);
        let _ = self.ors.client.try_ask(&request);
    }
}
