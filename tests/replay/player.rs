//! Plays scripts on a server over HTTP and records the responses.

use std::time::{Duration, Instant};

use orwd_tests::expect::NO_SESSION;
use orwd_tests::http::{HttpClient, HttpRequest, HttpResponse};
use orwd_tests::ors::{OrsClient, SESSION_HEADER, SseEvent, SseItem, SseParser, secrets_header};
use serde_json::{Value, json};

use crate::script::{EpisodeAction, EpisodeScript};

/// How long a server may respond that it is starting.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A response, without the parts that differ between runs by design.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedResponse {
    status: u16,
    /// The events of a stream without the run id, or the body of other responses.
    body: Vec<(String, String)>,
}

/// A player at some position of its script.
pub struct EpisodePlayer {
    script: EpisodeScript,
    next: usize,
    /// The last call with the id of its run, to resume it.
    last_run: Option<Value>,
}

impl EpisodePlayer {
    /// Creates the session; none if the environment refuses the task.
    pub fn begin(client: &HttpClient, script: EpisodeScript) -> Option<EpisodePlayer> {
        let mut request = HttpRequest::post("/create")
            .header(SESSION_HEADER, &script.session)
            .header("X-ORWD-Seed", script.seed.to_string());
        if script.secrets != json!({}) {
            request = request.header("X-Secrets", secrets_header(&script.secrets));
        }
        let answer = fetch_when_ready(client, &request.json(&script.create));
        if answer.status() != 200 {
            // A refused task or a fault of the guest, but not an error of the
            // host.
            assert!(answer.status() < 500 || is_guests(&answer), "{answer:?}");
            return None;
        }
        Some(EpisodePlayer::on(script))
    }

    /// Returns a player for an existing session.
    pub fn on(script: EpisodeScript) -> EpisodePlayer {
        EpisodePlayer {
            script,
            next: 0,
            last_run: None,
        }
    }

    /// Returns the script.
    pub fn script(&self) -> &EpisodeScript {
        &self.script
    }

    /// Returns the number of actions that are left.
    pub fn left(&self) -> usize {
        self.script.actions.len() - self.next
    }

    /// Performs the next `count` actions, or fewer at the end of the script.
    pub fn go_on(&mut self, client: &HttpClient, count: usize) -> Vec<ObservedResponse> {
        let mut seen = Vec::new();
        let end = (self.next + count).min(self.script.actions.len());
        while self.next < end {
            let act = self.script.actions[self.next].clone();
            self.perform(client, &act, &mut seen);
            self.next += 1;
        }
        seen
    }

    /// Plays to the end, and deletes the session if the script says so.
    pub fn finish(mut self, client: &HttpClient) -> Vec<ObservedResponse> {
        let mut seen = self.go_on(client, usize::MAX / 2);
        if self.script.ends {
            let request = HttpRequest::post("/delete").header(SESSION_HEADER, &self.script.session);
            seen.push(observe(&fetch_when_ready(client, &request)));
        }
        seen
    }

    fn perform(
        &mut self,
        client: &HttpClient,
        act: &EpisodeAction,
        seen: &mut Vec<ObservedResponse>,
    ) {
        match act {
            EpisodeAction::Call(body) => {
                let answer = fetch_when_ready(client, &self.post("call", body));
                self.note(&answer, body);
                seen.push(observe(&answer));
            }
            EpisodeAction::Both(one, two) => {
                let mut first = client.connect();
                first.send(&self.post("call", one)).expect("it can be sent");
                let answer = fetch_when_ready(client, &self.post("call", two));
                self.note(&answer, two);
                seen.push(observe(&answer));
                let answer = first.read_response().expect("the server answers");
                seen.push(observe(&answer));
            }
            EpisodeAction::Prompt => {
                seen.push(observe(&fetch_when_ready(client, &self.get("prompt"))))
            }
            EpisodeAction::TaskTools => {
                seen.push(observe(&fetch_when_ready(client, &self.get("task_tools"))))
            }
            EpisodeAction::Score(candidates) => {
                let body = json!({"candidates": candidates});
                seen.push(observe(&fetch_when_ready(
                    client,
                    &self.post("score_group", &body),
                )));
            }
            EpisodeAction::ResumeLast => {
                if let Some(body) = &self.last_run {
                    seen.push(observe(&fetch_when_ready(client, &self.post("call", body))));
                }
            }
            EpisodeAction::Ping => {
                let request =
                    HttpRequest::post("/ping").header(SESSION_HEADER, &self.script.session);
                seen.push(observe(&fetch_when_ready(client, &request)));
            }
        }
    }

    fn get(&self, route: &str) -> HttpRequest {
        let session = OrsClient::at("http://nowhere:1")
            .session(self.script.environment, &self.script.session);
        let request = session.get_request(route);
        session.leave_open();
        request
    }

    fn post(&self, route: &str, body: &Value) -> HttpRequest {
        let session = OrsClient::at("http://nowhere:1")
            .session(self.script.environment, &self.script.session);
        let request = session.post_request(route, body);
        session.leave_open();
        request
    }

    fn note(&mut self, answer: &HttpResponse, body: &Value) {
        let events = events(answer);
        let run = events.iter().find(|event| event.name == "task_id");
        if let Some(run) = run {
            let mut body = body.clone();
            body["task_id"] = json!(run.data);
            self.last_run = Some(body);
        }
    }
}

/// Repeats a request until the session has started.
fn fetch_when_ready(client: &HttpClient, request: &HttpRequest) -> HttpResponse {
    let begun = Instant::now();
    loop {
        let answer = client.fetch(request);
        let starting =
            answer.status() == 503 && answer.header("X-Backend-State") == Some("starting");
        if !starting || begun.elapsed() > TIMEOUT {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns whether a 5xx reports a fault of the guest.
fn is_guests(answer: &HttpResponse) -> bool {
    let text = answer.text();
    !text.contains("Internal") && !text.contains("internal") && answer.status() != 503
}

fn events(answer: &HttpResponse) -> Vec<SseEvent> {
    let is_stream = answer
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    if !is_stream {
        return Vec::new();
    }
    let items = SseParser::default().push(answer.text().as_bytes());
    let events = items.into_iter().filter_map(|item| match item {
        SseItem::Event(event) => Some(event),
        SseItem::Comment(_) => None,
    });
    events.collect()
}

fn observe(answer: &HttpResponse) -> ObservedResponse {
    let events = events(answer);
    // The guest's message is not in the journal.
    let without_words = |text: &str| {
        let end = text.find("; its last words: ").unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut body: Vec<(String, String)> = if events.is_empty() {
        // Only the detail, so that the message is at its end.
        let detail = serde_json::from_str::<Value>(answer.text()).ok();
        let detail = detail.and_then(|body| body["detail"].as_str().map(str::to_owned));
        vec![(
            "body".to_owned(),
            detail.unwrap_or_else(|| answer.text().to_owned()),
        )]
    } else {
        let message = events.into_iter().filter(|event| event.name != "task_id");
        message.map(|event| (event.name, event.data)).collect()
    };
    if answer.status() == 410 || body.iter().any(|(name, _)| name == "error") {
        for (_, text) in &mut body {
            *text = without_words(text);
        }
    }
    ObservedResponse {
        status: answer.status(),
        body,
    }
}

impl ObservedResponse {
    /// Returns whether the session is lost: gone without a fault of the guest.
    pub fn is_lost(&self) -> bool {
        let says = |what: &str| self.body.iter().any(|(_, text)| text.contains(what));
        (self.status == 410 && says("the session is lost")) || says(NO_SESSION)
    }

    /// Formats the response for an error message.
    pub fn shown(&self) -> String {
        let text = format!("{:?}", self.body);
        format!(
            "{} {}",
            self.status,
            text.chars().take(300).collect::<String>()
        )
    }
}
