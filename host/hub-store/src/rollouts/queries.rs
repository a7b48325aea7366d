//! Reading runs and rollouts. A caller sees those that it has written.

use serde_json::value::RawValue;

use crate::accounts::Caller;
use crate::error::HubStoreError;
use crate::sql::backend::{RowBound, Transaction};
use crate::sql::escape_like;
use crate::sql::params;
use crate::sql::value::SqlRow;

/// A run, with figures of its rollouts.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// What the client says of it.
    pub info: Box<RawValue>,
    /// How many rollouts it has.
    pub num_rollouts: i64,
    /// The average reward of the rollouts that have one.
    pub avg_reward: Option<f64>,
    /// The average number of messages.
    pub avg_length: Option<f64>,
    /// When its first rollout began.
    pub created_at: String,
    /// When its last rollout began.
    pub updated_at: String,
}

/// A rollout.
#[derive(Clone, Debug)]
pub struct RolloutRecord {
    /// The id.
    pub id: String,
    /// The id of its run.
    pub run: String,
    /// The name.
    pub name: Option<String>,
    /// The environment, as the client names it.
    pub environment: Option<String>,
    /// The id of the environment.
    pub environment_id: Option<String>,
    /// The variant of the environment.
    pub variant: Option<String>,
    /// The split of the task.
    pub split: Option<String>,
    /// What the client adds.
    pub metadata: Box<RawValue>,
    /// The task.
    pub task_spec: Box<RawValue>,
    /// What the client says of the rollout.
    pub info: Box<RawValue>,
    /// How many messages it has.
    pub num_messages: i64,
    /// The largest reward.
    pub max_reward: Option<f64>,
    /// When it began.
    pub created_at: String,
}

/// Messages of a page.
const MAX_MESSAGES: i64 = 10_000;

const RUN: &str = "SELECT r.id, r.name, r.info, COUNT(o.run), AVG(o.max_reward), \
    AVG(o.num_messages), r.created_at, r.updated_at \
    FROM runs r LEFT JOIN rollouts o ON o.run = r.id";

const ROLLOUT: &str = "SELECT id, run, name, environment, environment_id, variant, split, \
    metadata, task_spec, info, num_messages, max_reward, created_at FROM rollouts";

fn run_record(row: &SqlRow) -> Result<RunRecord, HubStoreError> {
    Ok(RunRecord {
        id: row.text(0)?,
        name: row.text(1)?,
        info: json(row.text(2)?)?,
        num_rollouts: row.integer(3)?,
        avg_reward: row.optional_real(4)?,
        avg_length: row.optional_real(5)?,
        created_at: row.text(6)?,
        updated_at: row.text(7)?,
    })
}

fn rollout_record(row: &SqlRow) -> Result<RolloutRecord, HubStoreError> {
    Ok(RolloutRecord {
        id: row.text(0)?,
        run: row.text(1)?,
        name: row.optional_text(2)?,
        environment: row.optional_text(3)?,
        environment_id: row.optional_text(4)?,
        variant: row.optional_text(5)?,
        split: row.optional_text(6)?,
        metadata: json(row.text(7)?)?,
        task_spec: json(row.text(8)?)?,
        info: json(row.text(9)?)?,
        num_messages: row.integer(10)?,
        max_reward: row.optional_real(11)?,
        created_at: row.text(12)?,
    })
}

/// Returns stored JSON as it is, since its values would take many times its bytes.
fn json(text: String) -> Result<Box<RawValue>, HubStoreError> {
    RawValue::from_string(text).map_err(|error| HubStoreError::Failed(error.to_string()))
}

fn count(
    transaction: &mut dyn Transaction,
    sql: &str,
    parameters: &[crate::sql::value::SqlValue],
) -> Result<i64, HubStoreError> {
    let row = transaction.first(sql, parameters)?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Returns a page of the caller's runs, newest first, and how many there are.
pub fn runs(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    search: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<RunRecord>, i64), HubStoreError> {
    let pattern = format!("%{}%", escape_like(&search.unwrap_or("").to_lowercase()));
    let condition = "owner = ?1 AND search_key LIKE ?2 ESCAPE '\\'";
    let total = count(
        transaction,
        &format!("SELECT COUNT(*) FROM runs WHERE {condition}"),
        params![&*caller.name, &pattern],
    )?;
    let rows = transaction.query_within(
        &format!(
            "{RUN} WHERE r.id IN (SELECT id FROM runs WHERE {condition} ORDER BY number DESC \
             LIMIT ?3 OFFSET ?4) GROUP BY r.id ORDER BY r.number DESC"
        ),
        params![&*caller.name, pattern, limit, offset],
        RowBound::PAGE,
    )?;
    let found = rows.iter().map(run_record).collect::<Result<_, _>>()?;
    Ok((found, total))
}

/// Returns a run of the caller.
pub fn run(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    id: &str,
) -> Result<RunRecord, HubStoreError> {
    let sql = format!("{RUN} WHERE r.id = ?1 AND r.owner = ?2 GROUP BY r.id");
    let row = transaction.first(&sql, params![id, &*caller.name])?;
    row.map_or_else(
        || Err(HubStoreError::Missing(format!("there is no run {id}"))),
        |row| run_record(&row),
    )
}

/// Returns a page of the rollouts of a run, newest first, and how many there
/// are.
pub fn rollouts_of(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    run_id: &str,
    limit: i64,
    offset: i64,
) -> Result<(Vec<RolloutRecord>, i64), HubStoreError> {
    let run = run(transaction, caller, run_id)?;
    let sql = format!("{ROLLOUT} WHERE run = ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3");
    let rows = transaction.query_within(&sql, params![run.id, limit, offset], RowBound::PAGE)?;
    let found = rows.iter().map(rollout_record).collect::<Result<_, _>>()?;
    Ok((found, run.num_rollouts))
}

/// Returns a rollout of the caller.
pub fn rollout(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    id: &str,
) -> Result<RolloutRecord, HubStoreError> {
    let sql = format!("{ROLLOUT} WHERE owner = ?1 AND id = ?2");
    let row = transaction.first(&sql, params![&*caller.name, id])?;
    row.map_or_else(
        || Err(HubStoreError::Missing(format!("there is no rollout {id}"))),
        |row| rollout_record(&row),
    )
}

/// Some of the messages of a rollout.
#[derive(Clone, Debug)]
pub struct MessagePage {
    /// The messages, in their order.
    pub messages: Vec<Box<RawValue>>,
    /// The number of messages before the next page, if one follows.
    pub next: Option<i64>,
}

/// Returns the messages of a rollout of the caller after this number of them, in
/// their order.
pub fn messages_of(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    rollout: &RolloutRecord,
    offset: i64,
) -> Result<MessagePage, HubStoreError> {
    let rows = transaction.query_within(
        "SELECT body FROM messages WHERE owner = ?1 AND rollout = ?2 ORDER BY position, id \
         LIMIT ?3 OFFSET ?4",
        params![&*caller.name, &rollout.id, MAX_MESSAGES, offset],
        RowBound {
            rows: 1,
            ..RowBound::PAGE
        },
    )?;
    let end = offset.saturating_add(rows.len() as i64);
    let messages = rows.into_iter().map(|row| json(row.text(0)?));
    Ok(MessagePage {
        messages: messages.collect::<Result<_, _>>()?,
        next: (end < rollout.num_messages).then_some(end),
    })
}
