//! Storing a batch of events.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::bounds::{charge, check_name, check_optional, description, json};
use super::event::{MessageEvent, RolloutEvent, RolloutStart, UpdateEvent};
use crate::accounts::Caller;
use crate::clock::now;
use crate::environments::{self, EnvironmentRecord};
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::usage;

/// Stores a batch, all of it or nothing. What is kept for the caller has at most
/// `quota` bytes.
pub fn ingest(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    events: &[RolloutEvent],
    quota: i64,
) -> Result<(), HubStoreError> {
    let mut bytes = 0_i64;
    for event in events {
        bytes += match event {
            RolloutEvent::Rollout(start) => begin(transaction, caller, start)?,
            RolloutEvent::Message(message) => add_message(transaction, caller, message)?,
            RolloutEvent::RolloutUpdate(update) => merge(transaction, caller, update)?,
        };
    }
    usage::charge_rollouts(transaction, &caller.name, bytes)?;
    usage::check(transaction, &caller.name, quota)
}

/// Stores a new rollout, and returns the bytes that were added.
fn begin(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    start: &RolloutStart,
) -> Result<i64, HubStoreError> {
    check_name("eventId", &start.id)?;
    check_name("runName", &start.run_name)?;
    for (what, text) in [
        ("rolloutName", &start.name),
        ("environment", &start.environment),
        ("variant", &start.variant),
        ("split", &start.split),
    ] {
        check_optional(what, text.as_ref())?;
    }
    let metadata = description("metadata", start.metadata.as_ref())?;
    let task_spec = description("task_spec", start.task_spec.as_ref())?;
    let (run, bytes_of_run) = run_named(transaction, caller, start)?;
    let environment = environment(transaction, caller, start)?;
    // Others may log what they like, so it says nothing of the tasks.
    let is_counted = environment
        .as_ref()
        .is_some_and(|environment| caller.may_read(&environment.owner));
    let bytes = charge(&[&metadata, &task_spec, "{}"]);
    let added = transaction.execute(
        "INSERT INTO rollouts (owner, id, number, run, name, environment, environment_id, variant, \
         split, metadata, task_spec, info, num_messages, response_chars, is_counted, created_at) \
         VALUES (?1, ?2, (SELECT COALESCE(MAX(number), 0) + 1 FROM rollouts), ?3, ?4, ?5, ?6, ?7, \
         ?8, ?9, ?10, '{}', 0, 0, ?11, ?12) ON CONFLICT (owner, id) DO NOTHING",
        params![
            &*caller.name,
            &start.id,
            run,
            start.name.as_ref(),
            start.environment.as_ref(),
            environment.map(|environment| environment.id),
            start.variant.as_ref(),
            start.split.as_ref(),
            metadata,
            task_spec,
            is_counted,
            now()
        ],
    )?;
    Ok(if added == 0 {
        bytes_of_run
    } else {
        bytes_of_run + bytes
    })
}

/// Returns the id of the run, which its first rollout creates, and the bytes that
/// were added.
fn run_named(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    start: &RolloutStart,
) -> Result<(String, i64), HubStoreError> {
    let found = transaction.first(
        "SELECT id FROM runs WHERE owner = ?1 AND name = ?2",
        params![&*caller.name, &start.run_name],
    )?;
    if let Some(row) = found {
        let id = row.text(0)?;
        transaction.execute(
            "UPDATE runs SET updated_at = ?2 WHERE id = ?1",
            params![&id, now()],
        )?;
        return Ok((id, 0));
    }
    let info = start.run_info.clone().unwrap_or_default();
    let text = description("run_info", Some(&info))?;
    let named = |name: &str| info.get(name).and_then(Value::as_str).map(str::to_owned);
    let (id, bytes) = (Uuid::new_v4().to_string(), charge(&[&text]));
    transaction.execute(
        "INSERT INTO runs (id, number, owner, name, search_key, info, model_name, model_params, \
         training_stage, created_at, updated_at) \
         VALUES (?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM runs), ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
         ?9, ?9)",
        params![
            &id,
            &*caller.name,
            &start.run_name,
            start.run_name.to_lowercase(),
            text,
            named("model_name"),
            info.get("model_params").and_then(Value::as_f64),
            named("training_stage"),
            now()
        ],
    )?;
    Ok((id, bytes))
}

/// Returns the environment, if the caller sees it.
fn environment(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    start: &RolloutStart,
) -> Result<Option<EnvironmentRecord>, HubStoreError> {
    let found = match (&start.environment_id, &start.environment) {
        (Some(id), _) => environments::by_id(transaction, id, Some(caller)),
        (None, Some(name)) => match name.split_once('/') {
            Some((owner, name)) => environments::find(transaction, owner, name, Some(caller)),
            None => environments::find(transaction, &caller.name, name, Some(caller)),
        },
        (None, None) => return Ok(None),
    };
    match found {
        Ok(environment) => Ok(Some(environment)),
        // A client may log rollouts of environments that are elsewhere.
        Err(HubStoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a new message, and returns the bytes that were added.
fn add_message(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    message: &MessageEvent,
) -> Result<i64, HubStoreError> {
    check_name("eventId", &message.id)?;
    let known = transaction.first(
        "SELECT 1 FROM rollouts WHERE owner = ?1 AND id = ?2",
        params![&*caller.name, &message.rollout],
    )?;
    // A rollout is created before its first message is sent.
    if known.is_none() {
        return Ok(0);
    }
    let body = json(&message.body())?;
    let bytes = charge(&[&body]);
    let added = transaction.execute(
        "INSERT INTO messages (owner, rollout, id, position, body) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (owner, rollout, id) DO NOTHING",
        params![
            &*caller.name,
            &message.rollout,
            &message.id,
            message.index,
            body
        ],
    )?;
    if added == 0 {
        return Ok(0);
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
    Ok(bytes)
}

/// Merges what is new of a rollout, and returns the bytes that were added.
fn merge(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    update: &UpdateEvent,
) -> Result<i64, HubStoreError> {
    let row = transaction.first(
        "SELECT info FROM rollouts WHERE owner = ?1 AND id = ?2",
        params![&*caller.name, &update.id],
    )?;
    let (Some(row), Some(new)) = (row, &update.rollout_info) else {
        return Ok(0);
    };
    let before = row.text(0)?;
    let mut info: Map<String, Value> =
        serde_json::from_str(&before).map_err(|error| HubStoreError::Failed(error.to_string()))?;
    info.extend(new.clone());
    let after = description("rollout_info", Some(&info))?;
    let bytes = charge(&[&after]) - charge(&[&before]);
    let task_index = info.get("task_index").and_then(Value::as_i64);
    transaction.execute(
        "UPDATE rollouts SET info = ?3, task_index = ?4 WHERE owner = ?1 AND id = ?2",
        params![&*caller.name, &update.id, after, task_index],
    )?;
    Ok(bytes)
}
