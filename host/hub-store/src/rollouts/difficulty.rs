//! How hard the tasks of an environment are, by all rollouts of it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

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
    num_rollouts: usize,
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

#[derive(Default)]
struct Sample {
    rewards: Vec<f64>,
    chars: Vec<f64>,
}

/// Returns the difficulty of the tasks of an environment, by split, variant and
/// index. Rollouts without a task index or a reward do not count.
pub fn task_difficulty(
    transaction: &mut dyn Transaction,
    environment: &str,
    query: &DifficultyQuery,
) -> Result<Vec<TaskDifficulty>, HubStoreError> {
    let rows = transaction.query(
        "SELECT o.split, o.variant, o.task_index, o.max_reward, o.response_chars, r.info \
         FROM rollouts o JOIN runs r ON r.id = o.run WHERE o.environment_id = ?1 \
         AND o.task_index IS NOT NULL AND o.max_reward IS NOT NULL \
         AND (?2 IS NULL OR o.split = ?2) AND (?3 IS NULL OR o.variant = ?3)",
        params![environment, query.split.as_ref(), query.variant.as_ref()],
    )?;
    let mut samples: BTreeMap<_, Sample> = BTreeMap::new();
    for row in rows {
        let info: Value = serde_json::from_str(&row.text(5)?)
            .map_err(|error| HubStoreError::Failed(error.to_string()))?;
        if !query.matches(&info) {
            continue;
        }
        let key = (
            row.optional_text(0)?,
            row.optional_text(1)?,
            row.integer(2)?,
        );
        let sample = samples.entry(key).or_default();
        sample.rewards.push(row.real(3)?);
        sample.chars.push(row.real(4)?);
    }
    Ok(samples
        .into_iter()
        .map(|((split, variant, task_index), sample)| TaskDifficulty {
            task_index,
            avg_reward: mean(&sample.rewards),
            min_reward: sample.rewards.iter().copied().fold(f64::INFINITY, f64::min),
            max_reward: sample
                .rewards
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max),
            num_rollouts: sample.rewards.len(),
            split,
            variant,
            response_chars: ResponseChars::of(sample.chars),
        })
        .collect())
}

impl DifficultyQuery {
    fn matches(&self, info: &Value) -> bool {
        let text = |key: &str, wanted: &Option<String>| {
            let given = info.get(key).and_then(Value::as_str);
            wanted.as_deref().is_none_or(|wanted| given == Some(wanted))
        };
        let params = info.get("model_params").and_then(Value::as_f64);
        let at_least = |wanted: f64| params.is_some_and(|given| given >= wanted);
        let at_most = |wanted: f64| params.is_some_and(|given| given <= wanted);
        text("model_name", &self.model_name)
            && text("training_stage", &self.training_stage)
            && self.min_model_params.is_none_or(at_least)
            && self.max_model_params.is_none_or(at_most)
    }
}

impl ResponseChars {
    fn of(mut chars: Vec<f64>) -> ResponseChars {
        chars.sort_by(f64::total_cmp);
        // The nearest rank.
        let percentile = |percent: usize| {
            let rank = (chars.len() * percent).div_ceil(100).max(1);
            chars.get(rank - 1).copied().unwrap_or_default()
        };
        ResponseChars {
            mean: mean(&chars),
            p1: percentile(1),
            p10: percentile(10),
            p25: percentile(25),
            p50: percentile(50),
            p75: percentile(75),
            p90: percentile(90),
            p99: percentile(99),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let chars = ResponseChars::of((1..=100).rev().map(f64::from).collect());
        assert_eq!(
            (chars.p1, chars.p50, chars.p99, chars.mean),
            (1.0, 50.0, 99.0, 50.5)
        );
        let one = ResponseChars::of(vec![7.0]);
        assert_eq!((one.p1, one.p99), (7.0, 7.0));
        assert_eq!(ResponseChars::of(Vec::new()).p50, 0.0);
    }

    #[test]
    fn only_runs_of_the_wanted_models_count() {
        let info = serde_json::json!({ "model_name": "m", "model_params": 7 });
        let query = |min: f64, max: f64| DifficultyQuery {
            model_name: Some("m".to_owned()),
            min_model_params: Some(min),
            max_model_params: Some(max),
            ..DifficultyQuery::default()
        };
        assert!(query(7.0, 7.0).matches(&info));
        assert!(!query(8.0, 9.0).matches(&info) && !query(1.0, 6.0).matches(&info));
        assert!(!query(1.0, 9.0).matches(&serde_json::json!({ "model_name": "m" })));
    }
}
