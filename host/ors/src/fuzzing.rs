//! Access for the fuzz targets to the parsers and writers of this crate.

use bytes::Bytes;
use orwd_model::{Json, Message, Score, TaskSource, ToolOutput};

use crate::connection::framing;
use crate::decode::body_text::BodyText;
use crate::decode::json_body::{BodyParseError, JsonBody};
use crate::decode::requests::{
    CallRequest, CreateRequest, ScoreRequest, SplitRequest, TaskRangeRequest, TaskRequest,
};
use crate::decode::validation_error::ValidationErrors;
use crate::encode::json::append_json;
use crate::encode::sse::{self, ResultEvents, result_events};
use crate::encode::wire::{CallResult, ScoringResult, Wire};

/// Inspects the framing of one connection.
#[derive(Debug, Default)]
pub struct FramingProbe(framing::FramingValidator);

impl FramingProbe {
    /// Inspects the next bytes. Returns how many of them pass, and the error of
    /// the head that has just ended with the number of its request.
    pub fn inspect(&mut self, bytes: &[u8]) -> (usize, Option<(u64, &'static str)>) {
        let inspected = self.0.inspect(bytes);
        let error = inspected.error.map(|(head, error)| (head, error.message()));
        (inspected.passed, error)
    }

    /// Returns whether nothing more may be read.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// The routes with a body.
#[derive(Clone, Copy, Debug)]
pub enum BodyRoute {
    /// `/tasks` and `/num_tasks`.
    Split,
    /// `/task`.
    Task,
    /// `/task_range`.
    TaskRange,
    /// `/create`.
    Create,
    /// `/call`.
    Call,
    /// `/score_group`.
    Score,
}

/// The result of reading a body.
#[derive(Debug)]
pub enum ParsedBody {
    /// Fields by name, each as JSON. Fields that are absent, null, or of a kind
    /// that has no JSON of its own are left out.
    Fields(Vec<(&'static str, String)>),
    /// The validation errors as JSON.
    Errors(String),
    /// The content type is JSON and the body is not UTF-8.
    NotUtf8,
}

/// Reads a body of content type JSON as the routes do.
pub fn read_body(route: BodyRoute, body: &[u8]) -> ParsedBody {
    let text = BodyText::new(Bytes::copy_from_slice(body));
    let json = match text.parse(true) {
        Ok(json) => json,
        Err(BodyParseError::InvalidJson(errors)) => return ParsedBody::Errors(errors.to_json()),
        Err(BodyParseError::NotUtf8) => return ParsedBody::NotUtf8,
    };
    match fields(route, json) {
        Ok(fields) => ParsedBody::Fields(
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        ),
        Err(errors) => ParsedBody::Errors(errors.to_json()),
    }
}

type Fields = Vec<(&'static str, Option<String>)>;

fn fields(route: BodyRoute, body: JsonBody<'_>) -> Result<Fields, ValidationErrors> {
    let text = |text: &str| {
        let mut out = String::new();
        append_json(&mut out, text);
        Some(out)
    };
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let object = |json: &Json| Some(json.as_str().to_owned());
    Ok(match route {
        BodyRoute::Split => vec![("split", text(&SplitRequest::read(body)?.split))],
        BodyRoute::Task => {
            let task = TaskRequest::read(body)?;
            vec![("split", text(&task.split)), ("index", number(task.index))]
        }
        BodyRoute::TaskRange => {
            let range = TaskRangeRequest::read(body)?;
            vec![
                ("split", text(&range.split)),
                ("start", number(range.start)),
                ("stop", number(range.stop)),
            ]
        }
        BodyRoute::Create => {
            let create = CreateRequest::read(body)?;
            let mut fields = match &create.source {
                TaskSource::Spec(spec) => vec![("task_spec", object(spec))],
                TaskSource::Index { split, index } => {
                    vec![("split", text(split)), ("index", number(*index))]
                }
            };
            fields.push(("env_name", create.env_name.as_deref().and_then(text)));
            let toolset = create.toolset_name.as_deref();
            fields.push(("toolset_name", toolset.and_then(text)));
            fields
        }
        BodyRoute::Call => {
            let call = CallRequest::read(body)?;
            vec![
                ("name", text(&call.name)),
                ("input", object(&call.input)),
                ("task_id", call.task_id.as_deref().and_then(text)),
            ]
        }
        BodyRoute::Score => {
            let score = ScoreRequest::read(body)?;
            vec![("task_id", score.task_id.as_deref().and_then(text))]
        }
    })
}

/// Returns the batches of events that a text as JSON is sent in.
pub fn text_events(text: &str) -> Vec<Bytes> {
    batches(result_events(&text, 0))
}

/// Returns the batches of events that the result of a call is sent in.
pub fn output_events(output: &ToolOutput) -> Vec<Bytes> {
    batches(result_events(&CallResult::new(output), 0))
}

/// Returns the batches of events that the result of a scoring is sent in.
pub fn score_events(scores: &[Score]) -> Vec<Bytes> {
    batches(result_events(&ScoringResult::new(scores), 0))
}

/// Returns a conversation as JSON.
pub fn messages_json(messages: &[Message]) -> String {
    let mut out = String::new();
    append_json(&mut out, &Wire(messages));
    out
}

/// Returns one event that is never split.
pub fn event(name: &str, data: &str) -> String {
    sse::event(name, data)
}

fn batches(text: String) -> Vec<Bytes> {
    let mut events = ResultEvents::new(Bytes::from(text));
    std::iter::from_fn(|| events.next_batch()).collect()
}
