//! Bring a counter to a target: the smallest environment that has every part.
//!
//! An episode starts at zero. The agent adds to the counter as often as it
//! likes and then submits it, which ends the episode with reward 1 or 0.

use orwd_sdk::prelude::*;

/// What an episode is about. Clients see it, so it holds no secret.
#[derive(Serialize, Deserialize)]
struct Task {
    id: String,
    target: i64,
}

/// The state of one episode. Each session has its own.
struct Counter {
    task: Task,
    value: i64,
}

#[environment]
impl Environment for Counter {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train("train"), Split::test("hard")]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let targets: &[i64] = match split {
            "train" => &[2, 5, 9, 14, 20],
            "hard" => &[-35, 87, 120],
            other => bail!("there is no split {other:?}"),
        };
        let task = |(index, target): (usize, &i64)| Task {
            id: format!("{split}-{index}"),
            target: *target,
        };
        Ok(targets.iter().enumerate().map(task).collect())
    }

    fn open(task: Task, _session: &Opening) -> Result<Self> {
        Ok(Self { task, value: 0 })
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![text(format!(
            "A counter stands at 0. Bring it to {} with `add`, by at most 10 a call, \
             and then call `submit`.",
            self.task.target
        ))])
    }
}

// Doc comments become descriptions that the agent reads, and a call that does
// not fit the type is refused before the method runs.
/// A step of the counter.
#[derive(Deserialize, JsonSchema)]
struct Add {
    /// How much to add.
    #[schemars(range(min = -10, max = 10))]
    by: i64,
}

#[tools]
impl Counter {
    /// Adds to the counter and tells its value.
    #[tool]
    fn add(&mut self, input: Add) -> Result<Output> {
        self.value = self
            .value
            .checked_add(input.by)
            .context("the counter goes no further")?;
        Ok(Output::text(self.value.to_string()))
    }

    /// Ends the episode: right if the counter stands at the target.
    #[tool]
    fn submit(&mut self) -> Result<Output> {
        let (value, target) = (self.value, self.task.target);
        let output = if value == target {
            Output::text(format!("{value} is the target.")).reward(1.0)
        } else {
            Output::text(format!("{value} is not the target, {target}.")).reward(0.0)
        };
        Ok(output.finished())
    }
}

export!(Counter);

#[cfg(test)]
mod tests;
