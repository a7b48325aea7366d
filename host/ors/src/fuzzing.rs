//! The parsers and writers of this room for the fuzz targets.

use bytes::Bytes;

use super::document::{Document, Unreadable};
use super::problems::Problems;
use super::requests::{
    CallRequest, CreateRequest, RangeRequest, ScoreRequest, SplitRequest, TaskRequest,
};
use super::sse::Pieces;
use super::text::json_string;
use super::{framing, render, sse};
use orwd_model::{Json, Message, Score, TaskSource, ToolOutput};

/// The watch over the bytes of one connection.
#[derive(Debug, Default)]
pub struct Watch(framing::Watch);

impl Watch {
    /// Looks at bytes as they come. Gives how many of them go on, and the doubt
    /// in the head that has just ended, with the number of its request.
    pub fn see(&mut self, bytes: &[u8]) -> (usize, Option<(u64, &'static str)>) {
        let seen = self.0.see(bytes);
        let doubt = seen.doubt.map(|(head, doubt)| (head, doubt.sentence()));
        (seen.keep, doubt)
    }

    /// Whether nothing more is to be read.
    pub fn is_shut(&self) -> bool {
        self.0.is_shut()
    }
}

/// The bodies that there are.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// `/tasks` and `/num_tasks`.
    Split,
    /// `/task`.
    Task,
    /// `/task_range`.
    Range,
    /// `/create`.
    Create,
    /// `/call`.
    Call,
    /// `/score_group`.
    Score,
}

/// What a body says.
#[derive(Debug)]
pub enum Said {
    /// Fields by their name, each as JSON; those that are absent or null are
    /// left out, and so is what has no form of its own in the request.
    Fields(Vec<(&'static str, String)>),
    /// The problems, as the client is told them.
    Problems(String),
    /// It claims to be JSON and is not UTF-8.
    NotText,
}

/// Reads a body that claims to be JSON, as the handlers do.
pub fn read_request(request: Request, body: &[u8]) -> Said {
    let document = match Document::parse(body, true) {
        Ok(document) => document,
        Err(Unreadable::NotJson(problems)) => return Said::Problems(problems.to_json()),
        Err(Unreadable::NotText) => return Said::NotText,
    };
    match fields(request, document) {
        Ok(fields) => Said::Fields(
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        ),
        Err(problems) => Said::Problems(problems.to_json()),
    }
}

type Fields = Vec<(&'static str, Option<String>)>;

fn fields(request: Request, document: Document<'_>) -> Result<Fields, Problems> {
    let text = |text: &str| {
        let mut out = String::new();
        json_string(&mut out, text);
        Some(out)
    };
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let object = |json: &Json| Some(json.as_str().to_owned());
    Ok(match request {
        Request::Split => vec![("split", text(&SplitRequest::read(document)?.split))],
        Request::Task => {
            let task = TaskRequest::read(document)?;
            vec![("split", text(&task.split)), ("index", number(task.index))]
        }
        Request::Range => {
            let range = RangeRequest::read(document)?;
            vec![
                ("split", text(&range.split)),
                ("start", number(range.start)),
                ("stop", number(range.stop)),
            ]
        }
        Request::Create => {
            let create = CreateRequest::read(document)?;
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
        Request::Call => {
            let call = CallRequest::read(document)?;
            vec![
                ("name", text(&call.name)),
                ("input", object(&call.input)),
                ("task_id", call.task_id.as_deref().and_then(text)),
            ]
        }
        Request::Score => {
            let score = ScoreRequest::read(document)?;
            vec![("task_id", score.task_id.as_deref().and_then(text))]
        }
    })
}

/// A text as JSON, in the events that it leaves in, batch by batch.
pub fn text_events(text: &str) -> Vec<Bytes> {
    batches(Pieces::new(|out| json_string(out, text)))
}

/// What a call gave, in the events that it leaves in.
pub fn output_events(output: &ToolOutput) -> Vec<Bytes> {
    batches(Pieces::new(|out| render::output(out, output)))
}

/// What scoring gave, in the events that it leaves in.
pub fn score_events(scores: &[Score]) -> Vec<Bytes> {
    batches(Pieces::new(|out| render::scores(out, scores)))
}

/// A conversation as JSON.
pub fn message_text(messages: &[Message]) -> String {
    let mut out = String::new();
    render::messages(&mut out, messages);
    out
}

/// One event that is never cut.
pub fn event(name: &str, data: &str) -> String {
    sse::event(name, data)
}

fn batches(mut pieces: Pieces) -> Vec<Bytes> {
    std::iter::from_fn(|| pieces.next()).collect()
}
