//! Plays scripts on a server, over HTTP, and notes what came.

use std::time::{Duration, Instant};

use orwd_tests::expect::NO_SESSION;
use orwd_tests::http::{Client, Request, Response};
use orwd_tests::ors::{Ors, SESSION_HEADER, secrets_header};
use orwd_tests::sse::{Event, Item, Parser};
use serde_json::{Value, json};

use crate::script::{Act, Script};

/// How long a server may say that it is not ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of one request, without what differs from run to run by intent.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    status: u16,
    /// The events of a stream but for the run's id; for other answers the body.
    body: Vec<(String, String)>,
}

/// A player in the middle of its script.
pub struct Player {
    script: Script,
    next: usize,
    /// The last call, as it is asked for again: with the id of its run.
    last_run: Option<Value>,
}

impl Player {
    /// Creates the session. None if the environment would not have it.
    pub fn begin(client: &Client, script: Script) -> Option<Player> {
        let mut request = Request::post("/create")
            .header(SESSION_HEADER, &script.session)
            .header("X-ORWD-Seed", script.seed.to_string());
        if script.secrets != json!({}) {
            request = request.header("X-Secrets", secrets_header(&script.secrets));
        }
        let answer = ask(client, &request.json(&script.create));
        if answer.status() != 200 {
            // A task that it refuses, or a guest that ends here: the caller's
            // doing or the guest's, and not ours.
            assert!(answer.status() < 500 || is_guests(&answer), "{answer:?}");
            return None;
        }
        Some(Player::on(script))
    }

    /// A player of a session that is there already.
    pub fn on(script: Script) -> Player {
        Player {
            script,
            next: 0,
            last_run: None,
        }
    }

    /// The script.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// How much of the script is left.
    pub fn left(&self) -> usize {
        self.script.acts.len() - self.next
    }

    /// Does the next things, so many of them, as far as there are any.
    pub fn go_on(&mut self, client: &Client, count: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        let end = (self.next + count).min(self.script.acts.len());
        while self.next < end {
            let act = self.script.acts[self.next].clone();
            self.perform(client, &act, &mut seen);
            self.next += 1;
        }
        seen
    }

    /// Plays to the end, and deletes the session if the script says so.
    pub fn finish(mut self, client: &Client) -> Vec<Seen> {
        let mut seen = self.go_on(client, usize::MAX / 2);
        if self.script.ends {
            let request = Request::post("/delete").header(SESSION_HEADER, &self.script.session);
            seen.push(look(&ask(client, &request)));
        }
        seen
    }

    fn perform(&mut self, client: &Client, act: &Act, seen: &mut Vec<Seen>) {
        match act {
            Act::Call(body) => {
                let answer = ask(client, &self.post("call", body));
                self.note(&answer, body);
                seen.push(look(&answer));
            }
            Act::Both(one, two) => {
                let mut first = client.connect();
                first.send(&self.post("call", one)).expect("it can be sent");
                let answer = ask(client, &self.post("call", two));
                self.note(&answer, two);
                seen.push(look(&answer));
                let answer = first.read_response().expect("the server answers");
                seen.push(look(&answer));
            }
            Act::Prompt => seen.push(look(&ask(client, &self.get("prompt")))),
            Act::TaskTools => seen.push(look(&ask(client, &self.get("task_tools")))),
            Act::Score(candidates) => {
                let body = json!({"candidates": candidates});
                seen.push(look(&ask(client, &self.post("score_group", &body))));
            }
            Act::Again => {
                if let Some(body) = &self.last_run {
                    seen.push(look(&ask(client, &self.post("call", body))));
                }
            }
            Act::Ping => {
                let request = Request::post("/ping").header(SESSION_HEADER, &self.script.session);
                seen.push(look(&ask(client, &request)));
            }
        }
    }

    fn get(&self, route: &str) -> Request {
        let session =
            Ors::at("http://nowhere:1").session(self.script.environment, &self.script.session);
        let request = session.get_request(route);
        session.forget();
        request
    }

    fn post(&self, route: &str, body: &Value) -> Request {
        let session =
            Ors::at("http://nowhere:1").session(self.script.environment, &self.script.session);
        let request = session.post_request(route, body);
        session.forget();
        request
    }

    fn note(&mut self, answer: &Response, body: &Value) {
        let events = events(answer);
        let run = events.iter().find(|event| event.name == "task_id");
        if let Some(run) = run {
            let mut body = body.clone();
            body["task_id"] = json!(run.data);
            self.last_run = Some(body);
        }
    }
}

/// Asks until the server is ready for it.
fn ask(client: &Client, request: &Request) -> Response {
    let begun = Instant::now();
    loop {
        let answer = client.ask(request);
        let starting =
            answer.status() == 503 && answer.header("X-Backend-State") == Some("starting");
        if !starting || begun.elapsed() > PATIENCE {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether an error of the server's family is in truth the guest's.
fn is_guests(answer: &Response) -> bool {
    let text = answer.text();
    !text.contains("Internal") && !text.contains("internal") && answer.status() != 503
}

fn events(answer: &Response) -> Vec<Event> {
    let is_stream = answer
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    if !is_stream {
        return Vec::new();
    }
    let items = Parser::default().push(answer.text().as_bytes());
    let events = items.into_iter().filter_map(|item| match item {
        Item::Event(event) => Some(event),
        Item::Comment(_) => None,
    });
    events.collect()
}

fn look(answer: &Response) -> Seen {
    let events = events(answer);
    // A guest's last words are kept in memory and nowhere else.
    let without_words = |text: &str| {
        let end = text.find("; its last words: ").unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut body: Vec<(String, String)> = if events.is_empty() {
        // The detail alone, so that what is cut off is all that follows.
        let detail = serde_json::from_str::<Value>(answer.text()).ok();
        let detail = detail.and_then(|body| body["detail"].as_str().map(str::to_owned));
        vec![(
            "body".to_owned(),
            detail.unwrap_or_else(|| answer.text().to_owned()),
        )]
    } else {
        let told = events.into_iter().filter(|event| event.name != "task_id");
        told.map(|event| (event.name, event.data)).collect()
    };
    if answer.status() == 410 || body.iter().any(|(name, _)| name == "error") {
        for (_, text) in &mut body {
            *text = without_words(text);
        }
    }
    Seen {
        status: answer.status(),
        body,
    }
}

impl Seen {
    /// Says that the session is lost: gone, and not by the guest's fault.
    pub fn is_lost(&self) -> bool {
        let says = |what: &str| self.body.iter().any(|(_, text)| text.contains(what));
        (self.status == 410 && says("the session is lost")) || says(NO_SESSION)
    }

    /// The status and what came with it, for people.
    pub fn shown(&self) -> String {
        let text = format!("{:?}", self.body);
        format!(
            "{} {}",
            self.status,
            text.chars().take(300).collect::<String>()
        )
    }
}
