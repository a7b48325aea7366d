//! An event stream over HTTP: [`Stream`] while it runs, [`Transcript`] once
//! it has ended.

use std::collections::VecDeque;

use serde_json::Value;

use crate::http::{Client, Connection, Head, Request, Response};
use crate::sse::{Event, Item, Parser};

/// A stream that is being read. Dropping it disconnects.
pub struct Stream {
    connection: Connection,
    head: Head,
    parser: Parser,
    waiting: VecDeque<Item>,
    seen: Vec<Item>,
    raw: Vec<u8>,
}

impl Stream {
    /// Sends the request and reads the answer's head.
    pub fn open(client: &Client, request: &Request) -> Self {
        let mut connection = client.connect();
        connection.send(request).expect("the request can be sent");
        let head = connection.read_head().expect("the server answers");
        Self {
            connection,
            head,
            parser: Parser::default(),
            waiting: VecDeque::new(),
            seen: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Status and headers.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Waits for the next item; none at the end of the stream.
    pub fn next_item(&mut self) -> Option<Item> {
        while self.waiting.is_empty() {
            let piece = self.connection.read_piece().expect("the stream goes on")?;
            self.raw.extend_from_slice(&piece);
            self.waiting.extend(self.parser.push(&piece));
        }
        let item = self.waiting.pop_front();
        self.seen.extend(item.clone());
        item
    }

    /// Waits for the next event, past comments.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.next_item()? {
                Item::Event(event) => return Some(event),
                Item::Comment(_) => {}
            }
        }
    }

    /// Waits for the run's id, which is the first event of every run.
    pub fn task_id(&mut self) -> String {
        let event = self.next_event().expect("the stream begins with an event");
        assert_eq!(event.name, "task_id");
        event.data
    }

    /// Reads to the end. A status other than 200 is not a stream, and fails.
    pub fn finish(mut self) -> Transcript {
        if self.head.status != 200 {
            let mut body = Vec::new();
            while let Ok(Some(piece)) = self.connection.read_piece() {
                body.extend_from_slice(&piece);
            }
            let head = self.head;
            panic!("expected a stream, got {:?}", Response { head, body });
        }
        while self.next_item().is_some() {}
        assert!(
            self.parser.is_between_events(),
            "the stream ended inside an event: {}",
            String::from_utf8_lossy(&self.raw)
        );
        Transcript::new(self.head, self.seen, self.raw)
    }
}

/// A stream that has ended.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Status and headers.
    pub head: Head,
    /// The events in order.
    pub events: Vec<Event>,
    /// The comments in order.
    pub comments: Vec<String>,
    /// The body as it came.
    pub raw: Vec<u8>,
}

impl Transcript {
    fn new(head: Head, items: Vec<Item>, raw: Vec<u8>) -> Self {
        let (mut events, mut comments) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Event(event) => events.push(event),
                Item::Comment(comment) => comments.push(comment),
            }
        }
        Self {
            head,
            events,
            comments,
            raw,
        }
    }

    /// The names of the events.
    pub fn names(&self) -> Vec<&str> {
        self.events
            .iter()
            .map(|event| event.name.as_str())
            .collect()
    }

    /// The id of the run.
    pub fn task_id(&self) -> &str {
        match self.events.first() {
            Some(first) if first.name == "task_id" => &first.data,
            _ => panic!("no task_id at the start of {self:?}"),
        }
    }

    /// The text that chunks and the end carry together.
    pub fn payload(&self) -> String {
        assert_eq!(self.names().last(), Some(&"end"), "{}", self.shown());
        self.events
            .iter()
            .filter(|event| event.name == "chunk" || event.name == "end")
            .map(|event| event.data.as_str())
            .collect()
    }

    /// The payload as JSON.
    pub fn json(&self) -> Value {
        let payload = self.payload();
        serde_json::from_str(&payload)
            .unwrap_or_else(|error| panic!("the payload is JSON ({error}): {payload}"))
    }

    /// The output of a call that went well.
    pub fn output(&self) -> Value {
        let mut outcome = self.json();
        assert_eq!(outcome["ok"], true, "{outcome}");
        outcome["output"].take()
    }

    /// The text of the first block of a call that went well.
    pub fn text(&self) -> String {
        let output = self.output();
        match output["blocks"][0]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no text in {output}"),
        }
    }

    /// Reason and text of a call that was refused.
    pub fn refusal(&self) -> (String, String) {
        let outcome = self.json();
        let members: Vec<&str> = outcome
            .as_object()
            .map(|members| members.keys().map(String::as_str).collect())
            .unwrap_or_default();
        assert_eq!(outcome["ok"], false, "{outcome}");
        assert_eq!(members, ["ok", "error", "reason"], "{outcome}");
        let member = |name: &str| outcome[name].as_str().expect("a string").to_owned();
        (member("reason"), member("error"))
    }

    /// The reason of a call that was refused.
    pub fn reason(&self) -> String {
        self.refusal().0
    }

    /// The text of the error event that ended the stream.
    pub fn error(&self) -> &str {
        match self.events.last() {
            Some(last) if last.name == "error" => &last.data,
            _ => panic!("no error at the end of {}", self.shown()),
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.raw)
            .chars()
            .take(2000)
            .collect()
    }
}
