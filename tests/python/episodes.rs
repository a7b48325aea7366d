//! Plays the same episode on two servers, and compares all that a client sees.

use orwd_tests::http::{HttpRequest, HttpResponse};
use orwd_tests::ors::{OrsClient, SESSION_HEADER, StreamTranscript, fresh_id, secrets_header};
use serde_json::{Value, json};

/// One episode: a task, and what is done.
pub(crate) struct Episode {
    environment: String,
    task: Value,
    secrets: Value,
    calls: Vec<(String, Value)>,
    candidates: Option<Value>,
}

impl Episode {
    /// Reads an episode from a line of a list: the environment, the task, the calls
    /// and perhaps secrets and candidates to score.
    pub(crate) fn read(written: &Value) -> Self {
        let calls = written["calls"].as_array().cloned().unwrap_or_default();
        Self {
            environment: written["environment"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            task: written["task"].clone(),
            secrets: written["secrets"].clone(),
            calls: calls
                .into_iter()
                .map(|call| {
                    let tool = call[0].as_str().unwrap_or_default().to_owned();
                    (tool, call[1].clone())
                })
                .collect(),
            candidates: written.get("candidates").cloned(),
        }
    }

    /// Plays it, and returns what the client saw, line by line.
    pub(crate) fn play(&self, ors: &OrsClient) -> Vec<String> {
        let id = fresh_id();
        let mut body = self.task.clone();
        body["env_name"] = json!(self.environment);
        let mut create = HttpRequest::post("/create")
            .header(SESSION_HEADER, &id)
            .json(&body);
        if self.secrets.is_object() {
            create = create.header("X-Secrets", secrets_header(&self.secrets));
        }
        let created = ors.fetch(&create);
        let mut seen = vec![shown("create", &created, &id)];
        if created.status() != 200 {
            return seen;
        }
        let session = ors.session(&self.environment, &id);
        for route in ["prompt", "messages", "task_tools"] {
            seen.push(shown(route, &session.get(route), &id));
        }
        for (tool, input) in &self.calls {
            let transcript = session.call(tool, input.clone());
            seen.push(format!("{tool} {input}: {}", events(&transcript)));
        }
        if let Some(candidates) = &self.candidates {
            seen.push(format!(
                "score: {}",
                events(&session.score(candidates.clone()))
            ));
        }
        seen.push(shown("prompt", &session.get("prompt"), &id));
        seen
    }
}

/// Shows a response without what differs from run to run.
fn shown(what: &str, response: &HttpResponse, id: &str) -> String {
    let text = String::from_utf8_lossy(&response.body);
    let text = match serde_json::from_str::<Value>(&text) {
        Ok(value) => value.to_string(),
        Err(_) => text.into_owned(),
    };
    format!("{what} {} {}", response.status(), text.replace(id, "ID"))
}

/// Shows the events of a run, with the chunks of a result joined.
fn events(transcript: &StreamTranscript) -> String {
    let mut result = String::new();
    let mut ended = "nothing";
    for event in &transcript.events {
        match event.name.as_str() {
            "task_id" => {}
            "chunk" => result.push_str(&event.data),
            name => {
                ended = if name == "end" { "end" } else { "error" };
                result.push_str(&event.data);
            }
        }
    }
    let result = match serde_json::from_str::<Value>(&result) {
        Ok(value) if ended == "end" => value.to_string(),
        _ => result,
    };
    format!("{ended} {result}")
}
