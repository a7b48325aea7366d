//! Set a counter to a target.
//!
//! A value of type `Counter` is one episode; each session has its own. Replace the
//! task, the prompt and the tools with those of your environment.

use orwd_sdk::prelude::*;

/// The start of an episode. Clients see it, so it contains no secrets.
#[derive(Serialize, Deserialize)]
struct Task {
    id: String,
    target: i64,
}

/// The state of an episode.
struct Counter {
    target: i64,
    value: i64,
}

#[environment]
impl Environment for Counter {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train("train"), Split::test("test")]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let targets = match split {
            "train" => vec![3, 5, 8],
            _ => vec![13, 21],
        };
        let task = |target| Task {
            id: format!("{split}-{target}"),
            target,
        };
        Ok(targets.into_iter().map(task).collect())
    }

    fn open(task: Task, _session: &SessionParams) -> Result<Self> {
        Ok(Self {
            target: task.target,
            value: 0,
        })
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![text(format!(
            "A counter stands at 0. Bring it to {} with the tool `add`, and not past it.",
            self.target
        ))])
    }
}

// Input of `add`. The doc comments here and on the tool are the descriptions that
// the agent reads. Invalid input is rejected before the method runs.
#[derive(Deserialize, JsonSchema)]
struct Add {
    /// How much to add.
    #[schemars(range(min = 1, max = 10))]
    by: i64,
}

#[tools]
impl Counter {
    /// Adds to the counter and tells its value.
    #[tool]
    fn add(&mut self, input: Add) -> Result<Output> {
        self.value += input.by;
        let output = Output::text(self.value.to_string());
        Ok(match self.value.cmp(&self.target) {
            std::cmp::Ordering::Less => output,
            std::cmp::Ordering::Equal => output.reward(1.0).finished(),
            std::cmp::Ordering::Greater => output.reward(0.0).finished(),
        })
    }
}

export!(Counter);

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(target: i64) -> Harness<Counter> {
        Harness::open(json!({"id": "test", "target": target})).unwrap()
    }

    #[test]
    fn reaching_the_target_is_rewarded() {
        let mut counter = counter(8);
        let output = counter.call("add", json!({"by": 5})).unwrap();
        assert_eq!((output.plain().as_str(), output.finished), ("5", false));
        let output = counter.call("add", json!({"by": 3})).unwrap();
        assert_eq!((output.reward, output.finished), (Some(1.0), true));
    }

    #[test]
    fn passing_the_target_is_not_rewarded() {
        let output = counter(3).call("add", json!({"by": 4})).unwrap();
        assert_eq!((output.reward, output.finished), (Some(0.0), true));
    }

    #[test]
    fn invalid_input_changes_nothing() {
        let mut counter = counter(8);
        assert!(matches!(
            counter.call("add", json!({"by": "five"})),
            Err(ToolError::InvalidInput(_))
        ));
        assert_eq!(counter.environment().value, 0);
    }
}
