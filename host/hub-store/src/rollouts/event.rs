//! Events of a batch.

use serde::Deserialize;
use serde_json::{Map, Value};

/// An event that a client logs. Its id is its identity: a batch may come twice.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "eventType", rename_all = "snake_case")]
pub enum RolloutEvent {
    /// A rollout begins.
    Rollout(Box<RolloutStart>),
    /// A message of a rollout.
    Message(Box<MessageEvent>),
    /// More is known of a rollout.
    RolloutUpdate(UpdateEvent),
}

/// The beginning of a rollout.
#[derive(Clone, Debug, Deserialize)]
pub struct RolloutStart {
    /// The id of the rollout.
    #[serde(rename = "eventId")]
    pub id: String,
    /// The name of its run.
    #[serde(rename = "runName")]
    pub run_name: String,
    /// Its own name.
    #[serde(rename = "rolloutName")]
    pub name: Option<String>,
    /// The environment, as the client names it.
    pub environment: Option<String>,
    /// The id of the environment, if the client could find it.
    pub environment_id: Option<String>,
    /// The variant of the environment.
    pub variant: Option<String>,
    /// The split of the task.
    pub split: Option<String>,
    /// What the client adds.
    pub metadata: Option<Value>,
    /// The task.
    pub task_spec: Option<Value>,
    /// What the client says of the run.
    pub run_info: Option<Map<String, Value>>,
}

/// A message of a rollout.
#[derive(Clone, Debug, Deserialize)]
pub struct MessageEvent {
    /// The id of the message.
    #[serde(rename = "eventId")]
    pub id: String,
    /// The id of the rollout.
    #[serde(rename = "rolloutEventId")]
    pub rollout: String,
    /// Its place in the rollout.
    pub index: i64,
    /// The reward, if it has one.
    pub reward: Option<f64>,
    /// All its fields, these among them.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// What is known of a rollout later.
#[derive(Clone, Debug, Deserialize)]
pub struct UpdateEvent {
    /// The id of the rollout.
    #[serde(rename = "eventId")]
    pub id: String,
    /// The fields to merge.
    pub rollout_info: Option<Map<String, Value>>,
}

impl MessageEvent {
    /// Returns the message as clients read it back.
    pub(super) fn body(&self) -> Value {
        let mut body = self.fields.clone();
        body.insert("eventId".to_owned(), self.id.clone().into());
        body.insert("index".to_owned(), self.index.into());
        body.insert("reward".to_owned(), self.reward.into());
        Value::Object(body)
    }

    /// Returns the characters of a response of the model.
    pub(super) fn response_chars(&self) -> i64 {
        let kind = self.fields.get("type").and_then(Value::as_str);
        let content = self.fields.get("content").and_then(Value::as_str);
        match (kind, content) {
            (Some("assistant_message" | "reasoning" | "tool_call"), Some(text)) => {
                text.chars().count() as i64
            }
            _ => 0,
        }
    }
}
