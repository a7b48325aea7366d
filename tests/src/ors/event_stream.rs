//! An event stream over HTTP: [`EventStream`] while it runs, and
//! [`StreamTranscript`] once it has ended.

use std::collections::VecDeque;

use serde_json::Value;

use crate::http::{HttpClient, HttpConnection, HttpRequest, HttpResponse, ResponseHead};

use super::sse::{SseEvent, SseItem, SseParser};

/// A stream that is being read. Dropping it disconnects.
pub struct EventStream {
    connection: HttpConnection,
    head: ResponseHead,
    parser: SseParser,
    pending: VecDeque<SseItem>,
    seen: Vec<SseItem>,
    raw: Vec<u8>,
}

impl EventStream {
    /// Sends the request and reads the response's head.
    pub fn open(client: &HttpClient, request: &HttpRequest) -> Self {
        let mut connection = client.connect();
        connection.send(request).expect("the request can be sent");
        let head = connection.read_head().expect("the server responds");
        Self {
            connection,
            head,
            parser: SseParser::default(),
            pending: VecDeque::new(),
            seen: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Returns status and headers.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// Waits for the next item; none at the end of the stream.
    pub fn next_item(&mut self) -> Option<SseItem> {
        while self.pending.is_empty() {
            let piece = self.connection.read_piece().expect("the stream goes on")?;
            self.raw.extend_from_slice(&piece);
            self.pending.extend(self.parser.push(&piece));
        }
        let item = self.pending.pop_front();
        self.seen.extend(item.clone());
        item
    }

    /// Waits for the next event, past comments.
    pub fn next_event(&mut self) -> Option<SseEvent> {
        loop {
            match self.next_item()? {
                SseItem::Event(event) => return Some(event),
                SseItem::Comment(_) => {}
            }
        }
    }

    /// Waits for the run id, which is the first event of every run.
    pub fn task_id(&mut self) -> String {
        let event = self.next_event().expect("the stream begins with an event");
        assert_eq!(event.name, "task_id");
        event.data
    }

    /// Reads to the end; panics if the status is not 200.
    pub fn finish(mut self) -> StreamTranscript {
        if self.head.status != 200 {
            let mut body = Vec::new();
            while let Ok(Some(piece)) = self.connection.read_piece() {
                body.extend_from_slice(&piece);
            }
            let head = self.head;
            panic!("expected a stream, got {:?}", HttpResponse { head, body });
        }
        while self.next_item().is_some() {}
        assert!(
            self.parser.is_between_events(),
            "the stream ended inside an event: {}",
            String::from_utf8_lossy(&self.raw)
        );
        StreamTranscript::new(self.head, self.seen, self.raw)
    }
}

/// A stream that has ended.
#[derive(Clone, Debug)]
pub struct StreamTranscript {
    /// Status and headers.
    pub head: ResponseHead,
    /// The events in order.
    pub events: Vec<SseEvent>,
    /// The comments in order.
    pub comments: Vec<String>,
    /// The body, unparsed.
    pub raw: Vec<u8>,
}

impl StreamTranscript {
    fn new(head: ResponseHead, items: Vec<SseItem>, raw: Vec<u8>) -> Self {
        let (mut events, mut comments) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                SseItem::Event(event) => events.push(event),
                SseItem::Comment(comment) => comments.push(comment),
            }
        }
        Self {
            head,
            events,
            comments,
            raw,
        }
    }

    /// Returns the names of the events.
    pub fn names(&self) -> Vec<&str> {
        self.events
            .iter()
            .map(|event| event.name.as_str())
            .collect()
    }

    /// Returns the id of the run.
    pub fn task_id(&self) -> &str {
        match self.events.first() {
            Some(first) if first.name == "task_id" => &first.data,
            _ => panic!("no task_id at the start of {self:?}"),
        }
    }

    /// Returns the text that the chunks and the end event carry together.
    pub fn payload(&self) -> String {
        assert_eq!(self.names().last(), Some(&"end"), "{}", self.shown());
        self.events
            .iter()
            .filter(|event| event.name == "chunk" || event.name == "end")
            .map(|event| event.data.as_str())
            .collect()
    }

    /// Returns the payload as JSON.
    pub fn json(&self) -> Value {
        let payload = self.payload();
        serde_json::from_str(&payload)
            .unwrap_or_else(|error| panic!("the payload is JSON ({error}): {payload}"))
    }

    /// Returns the output of a successful call.
    pub fn output(&self) -> Value {
        let mut outcome = self.json();
        assert_eq!(outcome["ok"], true, "{outcome}");
        outcome["output"].take()
    }

    /// Returns the text of the first block of a successful call.
    pub fn text(&self) -> String {
        let output = self.output();
        match output["blocks"][0]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no text in {output}"),
        }
    }

    /// Returns the reason and the text of a refused call.
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

    /// Returns the reason of a refused call.
    pub fn reason(&self) -> String {
        self.refusal().0
    }

    /// Returns the text of the error event that ended the stream.
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
