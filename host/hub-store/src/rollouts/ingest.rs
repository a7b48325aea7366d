//! Storing a batch of events.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::event::{MessageEvent, RolloutEvent, RolloutStart, UpdateEvent};
use crate::accounts::Caller;
use crate::clock::now;
use crate::environments;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Bytes of a name or an id.
const MAX_NAME: usize = 1024;

/// Stores a batch, all of it or nothing.
pub fn ingest(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    events: &[RolloutEvent],
) -> Result<(), HubStoreError> {
    for event in events {
        match event {
            RolloutEvent::Rollout(start) => begin(transaction, caller, start)?,
            RolloutEvent::Message(message) => add_message(transaction, caller, message)?,
            RolloutEvent::RolloutUpdate(update) => merge(transaction, caller, update)?,
        }
    }
    Ok(())
}

fn begin(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    start: &RolloutStart,
) -> Result<(), HubStoreError> {
    for (what, text) in [("eventId", &start.id), ("runName", &start.run_name)] {
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(HubStoreError::Invalid(format!(
                "{what} must have 1 to {MAX_NAME} bytes"
            )));
        }
    }
    let run = run_named(transaction, caller, start)?;
    let environment_id = environment_id(transaction, caller, start)?;
    transaction.execute(
        "INSERT INTO rollouts (owner, id, number, run, name, environment, environment_id, variant, \
         split, metadata, task_spec, info, num_messages, response_chars, created_at) \
         VALUES (?1, ?2, (SELECT COALESCE(MAX(number), 0) + 1 FROM rollouts), ?3, ?4, ?5, ?6, ?7, \
         ?8, ?9, ?10, '{}', 0, 0, ?11) ON CONFLICT (owner, id) DO NOTHING",
        params![
            &*caller.name,
            &start.id,
            run,
            start.name.as_ref(),
            start.environment.as_ref(),
            environment_id,
            start.variant.as_ref(),
            start.split.as_ref(),
            text(start.metadata.as_ref())?,
            text(start.task_spec.as_ref())?,
            now()
        ],
    )?;
    Ok(())
}

/// Returns the id of the run, which its first rollout creates.
fn run_named(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    start: &RolloutStart,
) -> Result<String, HubStoreError> {
    let info = Value::Object(start.run_info.clone().unwrap_or_default());
    transaction.execute(
        "INSERT INTO runs (id, number, owner, name, search_key, info, created_at, updated_at) \
         VALUES (?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM runs), ?2, ?3, ?4, ?5, ?6, ?6) \
         ON CONFLICT (owner, name) DO UPDATE SET updated_at = excluded.updated_at",
        params![
            Uuid::new_v4().to_string(),
            &*caller.name,
            &start.run_name,
            start.run_name.to_lowercase(),
            text(Some(&info))?,
            now()
        ],
    )?;
    let row = transaction.first(
        "SELECT id FROM runs WHERE owner = ?1 AND name = ?2",
        params![&*caller.name, &start.run_name],
    )?;
    row.map_or_else(
        || {
            Err(HubStoreError::Failed(
                "a run that was created is absent".to_owned(),
            ))
        },
        |row| row.text(0),
    )
}

/// Returns the id of the environment, if the caller sees it.
fn environment_id(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    start: &RolloutStart,
) -> Result<Option<String>, HubStoreError> {
    let found = match (&start.environment_id, &start.environment) {
        (Some(id), _) => environments::by_id(transaction, id, Some(caller)),
        (None, Some(name)) => match name.split_once('/') {
            Some((owner, name)) => environments::find(transaction, owner, name, Some(caller)),
            None => environments::find(transaction, &caller.name, name, Some(caller)),
        },
        (None, None) => return Ok(None),
    };
    match found {
        Ok(environment) => Ok(Some(environment.id)),
        // A client may log rollouts of environments that are elsewhere.
        Err(HubStoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn add_message(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    message: &MessageEvent,
) -> Result<(), HubStoreError> {
    let known = transaction.first(
        "SELECT 1 FROM rollouts WHERE owner = ?1 AND id = ?2",
        params![&*caller.name, &message.rollout],
    )?;
    // A rollout is created before its first message is sent.
    if known.is_none() {
        return Ok(());
    }
    let body = message.body();
    let added = transaction.execute(
        "INSERT INTO messages (owner, rollout, id, position, body) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (owner, rollout, id) DO NOTHING",
        params![
            &*caller.name,
            &message.rollout,
            &message.id,
            message.index,
            text(Some(&body))?
        ],
    )?;
    if added == 0 {
        return Ok(());
    }
    transaction.execute(
        "UPDATE rollouts SET num_messages = num_messages + 1, \
         response_chars = response_chars + ?3, \
         max_reward = CASE WHEN ?4 IS NULL THEN max_reward \
         WHEN max_reward IS NULL OR max_reward < ?4 THEN ?4 ELSE max_reward END \
         WHERE owner = ?1 AND id = ?2",
        params![
            &*caller.name,
            &message.rollout,
            message.response_chars(),
            message.reward
        ],
    )?;
    Ok(())
}

fn merge(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    update: &UpdateEvent,
) -> Result<(), HubStoreError> {
    let row = transaction.first(
        "SELECT info FROM rollouts WHERE owner = ?1 AND id = ?2",
        params![&*caller.name, &update.id],
    )?;
    let (Some(row), Some(new)) = (row, &update.rollout_info) else {
        return Ok(());
    };
    let mut info: Map<String, Value> = serde_json::from_str(&row.text(0)?)
        .map_err(|error| HubStoreError::Failed(error.to_string()))?;
    info.extend(new.clone());
    let task_index = info.get("task_index").and_then(Value::as_i64);
    transaction.execute(
        "UPDATE rollouts SET info = ?3, task_index = ?4 WHERE owner = ?1 AND id = ?2",
        params![
            &*caller.name,
            &update.id,
            text(Some(&Value::Object(info)))?,
            task_index
        ],
    )?;
    Ok(())
}

fn text(value: Option<&Value>) -> Result<String, HubStoreError> {
    serde_json::to_string(&value).map_err(|error| HubStoreError::Failed(error.to_string()))
}
