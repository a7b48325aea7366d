//! Set a counter to a target: the smallest environment with every part.
//!
//! The counter starts at zero. The agent adds to it any number of times and then
//! submits it, which ends the episode with reward 1 or 0.

use orwd_sdk::prelude::*;

/// The start of an episode. Clients see it, so it contains no secrets.
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

    fn open(task: Task, _session: &SessionParams) -> Result<Self> {
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

// Doc comments are the descriptions that the agent reads. Input that does not
// match the type is rejected before the method runs.
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
