//! Results of guests: validated, written as events, and parsed again.
//!
//! A result is refused with a reason or arrives unchanged: texts and bytes
//! completely, rewards bit by bit, JSON token by token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orwd_engine::fuzzing::{lift_messages, lift_output, lift_scores, lift_tools, wit};
use orwd_ors::fuzzing::{messages_json, output_events, score_events};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::byte_reader::ByteReader;
use crate::events::whole;
use crate::json;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = ByteReader::new(bytes);
    match input.below(4) {
        0 | 1 => output(&mut input),
        2 => scores(&mut input),
        _ => {
            messages(&mut input);
            tools(&mut input);
        }
    }
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    ok: bool,
    #[serde(borrow)]
    output: WireOutput<'a>,
}

#[derive(Deserialize)]
struct WireOutput<'a> {
    #[serde(borrow)]
    blocks: Vec<WireBlock<'a>>,
    metadata: Option<&'a RawValue>,
    reward: Option<f64>,
    finished: bool,
}

#[derive(Deserialize)]
struct WireBlock<'a> {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    data: Option<String>,
    #[serde(rename = "mimeType")]
    mime_type: Option<String>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

fn output(input: &mut ByteReader<'_>) {
    let given = wit::ToolOutput {
        blocks: input.several(block),
        metadata: input.optional(object),
        reward: input.optional(ByteReader::float),
        finished: input.flag(),
    };
    let objects = given.blocks.iter().map(detail).chain([&given.metadata]);
    let fits = fits(objects.flatten(), given.reward);
    let lifted = match lift_output(given.clone()) {
        Ok(lifted) => lifted,
        Err(reason) => return is_refusal(fits, &reason),
    };
    assert_ne!(fits, Some(false), "accepted: {given:?}");
    let text = whole(&output_events(&lifted));
    let read: WireAnswer<'_> = serde_json::from_str(&text).expect("a result has its shape");
    assert!(read.ok);
    let read = read.output;
    assert_eq!(read.finished, given.finished);
    assert_eq!(
        read.reward.map(f64::to_bits),
        given.reward.map(f64::to_bits)
    );
    is_object(read.metadata, given.metadata.as_deref());
    assert_eq!(read.blocks.len(), given.blocks.len());
    for (read, given) in read.blocks.iter().zip(&given.blocks) {
        is_object(read.detail, detail(given).as_deref());
        match given {
            wit::Block::Text(given) => {
                assert_eq!(read.kind, "text");
                assert_eq!(read.text.as_deref(), Some(given.text.as_str()));
            }
            wit::Block::Image(given) => {
                assert_eq!(read.kind, "image");
                assert_eq!(read.mime_type.as_deref(), Some(given.mime_type.as_str()));
                let data = read.data.as_deref().expect("an image has data");
                assert_eq!(STANDARD.decode(data).expect("base64"), given.data);
            }
        }
    }
}

#[derive(Deserialize)]
struct WireScores<'a> {
    #[serde(borrow)]
    scores: Vec<WireScore<'a>>,
}

#[derive(Deserialize)]
struct WireScore<'a> {
    reward: f64,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

fn scores(input: &mut ByteReader<'_>) {
    let given = input.several(|input| wit::Score {
        reward: input.float(),
        metadata: input.optional(object),
    });
    let objects = given.iter().flat_map(|score| &score.metadata);
    let fits = fits(objects, given.iter().map(|score| score.reward));
    let lifted = match lift_scores(given.clone()) {
        Ok(lifted) => lifted,
        Err(reason) => return is_refusal(fits, &reason),
    };
    assert_ne!(fits, Some(false), "accepted: {given:?}");
    let text = whole(&score_events(&lifted));
    let read: WireScores<'_> = serde_json::from_str(&text).expect("scores have their shape");
    assert_eq!(read.scores.len(), given.len());
    for (read, given) in read.scores.iter().zip(&given) {
        assert_eq!(read.reward.to_bits(), given.reward.to_bits());
        is_object(read.metadata, given.metadata.as_deref());
    }
}

fn messages(input: &mut ByteReader<'_>) {
    let given = input.several(|input| wit::Message {
        role: [wit::Role::System, wit::Role::User, wit::Role::Assistant][input.below(3)],
        blocks: input.several(message_block),
        detail: input.optional(object),
    });
    let count = given.len();
    match lift_messages(given) {
        Err(reason) => assert!(!reason.is_empty()),
        Ok(lifted) => {
            let text = messages_json(&lifted);
            let read: Vec<&RawValue> = serde_json::from_str(&text).expect("messages are a list");
            assert_eq!(read.len(), count);
            json::value(&text);
        }
    }
}

fn tools(input: &mut ByteReader<'_>) {
    let given = input.several(|input| wit::TaskTool {
        name: input.text(),
        description: input.text(),
        input_schema: input.optional(object),
    });
    match lift_tools(given.clone()) {
        Err(reason) => assert!(!reason.is_empty()),
        Ok(lifted) => {
            assert_eq!(lifted.len(), given.len());
            for (lifted, given) in lifted.iter().zip(&given) {
                assert_eq!(lifted.name, given.name);
                assert_eq!(lifted.description, given.description);
                let schema = lifted.input_schema.as_ref().map(orwd_model::Json::as_str);
                let minified = given.input_schema.as_deref().map(json::minified);
                assert_eq!(schema, minified.as_deref());
            }
        }
    }
}

/// Reads a JSON object, or a text that must be refused.
fn object(input: &mut ByteReader<'_>) -> String {
    match input.below(8) {
        0 => "{}".to_owned(),
        1 => " { \"a b\" : [ 1 , 2.50e1 , \"\\n \" ] }\n".to_owned(),
        2 => format!("{{\"a\":{}}}", input.float()),
        3 => format!("{{\"a\":{}1{}}}", "[".repeat(120), "]".repeat(120)),
        _ => input.text(),
    }
}

fn block(input: &mut ByteReader<'_>) -> wit::Block {
    if input.flag() {
        wit::Block::Image(image(input))
    } else {
        wit::Block::Text(text(input))
    }
}

fn text(input: &mut ByteReader<'_>) -> wit::TextBlock {
    let times = input.below(16);
    wit::TextBlock {
        text: input.text().repeat(times),
        detail: input.optional(object),
    }
}

fn image(input: &mut ByteReader<'_>) -> wit::ImageBlock {
    wit::ImageBlock {
        data: input.piece().to_vec(),
        mime_type: input.text(),
        detail: input.optional(object),
    }
}

fn message_block(input: &mut ByteReader<'_>) -> wit::MessageBlock {
    match input.below(5) {
        0 => wit::MessageBlock::Text(text(input)),
        1 => wit::MessageBlock::Image(image(input)),
        2 => wit::MessageBlock::Reasoning(wit::ReasoningBlock {
            text: input.text(),
            signature: input.optional(ByteReader::text),
            detail: input.optional(object),
        }),
        3 => wit::MessageBlock::ToolCall(wit::ToolCallBlock {
            id: input.text(),
            name: input.text(),
            input: object(input),
            detail: input.optional(object),
        }),
        _ => wit::MessageBlock::ToolResult(wit::ToolResultBlock {
            tool_call_id: input.text(),
            blocks: input.several(block),
            is_error: input.flag(),
            detail: input.optional(object),
        }),
    }
}

fn detail(block: &wit::Block) -> &Option<String> {
    match block {
        wit::Block::Text(text) => &text.detail,
        wit::Block::Image(image) => &image.detail,
    }
}

/// Returns whether all values must be accepted; none if unknown.
fn fits<'a>(
    objects: impl Iterator<Item = &'a String>,
    rewards: impl IntoIterator<Item = f64>,
) -> Option<bool> {
    if rewards.into_iter().any(|reward| !reward.is_finite()) {
        return Some(false);
    }
    let known: Option<Vec<bool>> = objects.map(|text| json::is_object(text)).collect();
    known.map(|known| known.into_iter().all(|is_object| is_object))
}

fn is_refusal(fits: Option<bool>, reason: &str) {
    assert_ne!(fits, Some(true), "refused: {reason}");
    let places = ["detail", "metadata", "reward", "score"];
    assert!(
        places.iter().any(|place| reason.contains(place)),
        "a refusal without its location: {reason}"
    );
}

fn is_object(read: Option<&RawValue>, given: Option<&str>) {
    assert_eq!(
        read.map(RawValue::get),
        given.map(json::minified).as_deref()
    );
}
