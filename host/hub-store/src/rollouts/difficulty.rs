//! How hard the tasks of an environment are, by the rollouts of its members.

use serde::Serialize;

use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::sql::value::SqlRow;

/// Tasks of a response. More are found by split and variant.
const MAX_TASKS: i64 = 10_000;

/// Which rollouts count.
#[derive(Clone, Debug, Default)]
pub struct DifficultyQuery {
    /// Of this variant.
    pub variant: Option<String>,
    /// Of this split.
    pub split: Option<String>,
    /// Of this model.
    pub model_name: Option<String>,
    /// Of models with at least this number of parameters.
    pub min_model_params: Option<f64>,
    /// Of models with at most this number of parameters.
    pub max_model_params: Option<f64>,
    /// Of this stage of training.
    pub training_stage: Option<String>,
}

/// The rewards of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskDifficulty {
    task_index: i64,
    avg_reward: f64,
    min_reward: f64,
    max_reward: f64,
    num_rollouts: i64,
    split: Option<String>,
    variant: Option<String>,
    response_chars: ResponseChars,
}

/// The characters of the model's responses: mean and percentiles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseChars {
    mean: f64,
    p1: f64,
    p10: f64,
    p25: f64,
    p50: f64,
    p75: f64,
    p90: f64,
    p99: f64,
}

/// Ranks the rollouts of each task by their characters, and reads all figures
/// in one pass. All columns of `o` are in one index.
const SQL: &str = "\
    WITH counted AS (SELECT o.split, o.variant, o.task_index, o.max_reward, o.response_chars, \
        ROW_NUMBER() OVER (PARTITION BY o.split, o.variant, o.task_index \
            ORDER BY o.response_chars) AS place, \
        COUNT(*) OVER (PARTITION BY o.split, o.variant, o.task_index) AS total \
        FROM rollouts o JOIN runs r ON r.id = o.run \
        WHERE o.environment_id = ?1 AND o.is_counted = 1 \
        AND o.task_index IS NOT NULL AND o.max_reward IS NOT NULL \
        AND (?2 IS NULL OR o.split = ?2) AND (?3 IS NULL OR o.variant = ?3) \
        AND (?4 IS NULL OR r.model_name = ?4) AND (?5 IS NULL OR r.training_stage = ?5) \
        AND (?6 IS NULL OR r.model_params >= ?6) AND (?7 IS NULL OR r.model_params <= ?7)) \
    SELECT split, variant, task_index, COUNT(*), AVG(max_reward), MIN(max_reward), \
        MAX(max_reward), AVG(response_chars), \
        MAX(CASE WHEN place = (total * 1 + 99) / 100 THEN response_chars END), \
        MAX(CASE WHEN place = (total * 10 + 99) / 100 THEN response_chars END), \
        MAX(CASE WHEN place = (total * 25 + 99) / 100 THEN response_chars END), \
        MAX(CASE WHEN place = (total * 50 + 99) / 100 THEN response_chars END), \
        MAX(CASE WHEN place = (total * 75 + 99) / 100 THEN response_chars END), \
        MAX(CASE WHEN place = (total * 90 + 99) / 100 THEN response_chars END), \
        MAX(CASE WHEN place = (total * 99 + 99) / 100 THEN response_chars END) \
    FROM counted GROUP BY split, variant, task_index \
    ORDER BY split IS NOT NULL, split, variant IS NOT NULL, variant, task_index LIMIT ?8";

/// Returns the difficulty of the tasks of an environment, by split, variant and
/// index. Rollouts without a task index or a reward do not count, nor do those
/// that others than members of the environment's owner have logged.
pub fn task_difficulty(
    transaction: &mut dyn Transaction,
    environment: &str,
    query: &DifficultyQuery,
) -> Result<Vec<TaskDifficulty>, HubStoreError> {
    let rows = transaction.query(
        SQL,
        params![
            environment,
            query.split.as_ref(),
            query.variant.as_ref(),
            query.model_name.as_ref(),
            query.training_stage.as_ref(),
            query.min_model_params,
            query.max_model_params,
            MAX_TASKS
        ],
    )?;
    rows.iter().map(task).collect()
}

fn task(row: &SqlRow) -> Result<TaskDifficulty, HubStoreError> {
    Ok(TaskDifficulty {
        split: row.optional_text(0)?,
        variant: row.optional_text(1)?,
        task_index: row.integer(2)?,
        num_rollouts: row.integer(3)?,
        avg_reward: row.real(4)?,
        min_reward: row.real(5)?,
        max_reward: row.real(6)?,
        response_chars: ResponseChars {
            mean: row.real(7)?,
            p1: row.real(8)?,
            p10: row.real(9)?,
            p25: row.real(10)?,
            p50: row.real(11)?,
            p75: row.real(12)?,
            p90: row.real(13)?,
            p99: row.real(14)?,
        },
    })
}
