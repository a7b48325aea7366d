//! Grade-school arithmetic: one problem, one answer, reward 1 or 0.
//!
//! The problems are in the data directory, in the line format of the public
//! GSM8K data set. A task contains the id and the question of a problem. The
//! session reads the solution only when it grades, so no client ever sees it.

mod number;
mod problems;

use orwd_sdk::prelude::*;

use number::Reading;
use problems::{DataDir, DataError, Part, ProblemId};

/// A problem as clients see it.
#[derive(Serialize, Deserialize)]
struct Task {
    /// The split and the line, such as `train-0`.
    id: String,
    question: String,
}

struct Gsm8k {
    id: ProblemId,
    question: String,
}

fn data() -> DataDir {
    DataDir::new(data_dir())
}

fn part(split: &str) -> Result<Part> {
    Part::named(split).with_context(|| format!("there is no split {split:?}"))
}

fn task(id: ProblemId, question: String) -> Task {
    Task {
        id: id.to_string(),
        question,
    }
}

#[environment]
impl Environment for Gsm8k {
    type Task = Task;

    /// Returns a split for each file that exists. If there are none it returns
    /// both, so that the error of a listing names the missing file.
    fn splits() -> Vec<Split> {
        let mut parts = data().parts();
        if parts.is_empty() {
            parts.extend(Part::ALL);
        }
        parts
            .into_iter()
            .map(|part| match part {
                Part::Train => Split::train(part.name()),
                Part::Test => Split::test(part.name()),
            })
            .collect()
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let part = part(split)?;
        let problems = data().problems(part)?.into_iter().enumerate();
        Ok(problems
            .map(|(index, problem)| task(ProblemId { part, index }, problem.question))
            .collect())
    }

    /// Reads one line instead of the whole list, because each session does this.
    fn task(split: &str, index: i64) -> Result<Option<Task>> {
        let part = part(split)?;
        let from_end = match index {
            ..0 => data().problems(part)?.len(),
            0.. => 0,
        };
        let Some(index) = i64::try_from(from_end)?
            .checked_add(index)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return Ok(None);
        };
        let id = ProblemId { part, index };
        match data().problem(id) {
            Ok(problem) => Ok(Some(task(id, problem.question))),
            Err(DataError::NoSuchProblem { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn open(task: Task, _session: &SessionParams) -> Result<Self> {
        Ok(Self {
            id: task.id.parse()?,
            question: task.question,
        })
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![text(format!(
            "{}\n\nSolve this problem, and call `answer` with the number that it asks for. \
             There is one try.",
            self.question
        ))])
    }
}

/// Input of `answer`.
#[derive(Deserialize, JsonSchema)]
struct Answer {
    /// The number, in digits. A unit or a short sentence around it does no
    /// harm, other numbers do. To show how it came about, put `####` in front
    /// of the number at the end.
    answer: String,
}

#[tools]
impl Gsm8k {
    /// Gives the final answer, which ends the episode.
    #[tool]
    fn answer(&mut self, input: Answer) -> Result<Output> {
        let problem = data().problem(self.id)?;
        if problem.question != self.question {
            // The file was replaced, or a client sent its own task. The grade
            // would be that of another problem.
            bail!(
                "the data holds another question than this task as {}",
                self.id
            );
        }
        let (said, reward) = match number::read(&input.answer) {
            Reading::One(number) if number == problem.gold => (format!("{number} is right."), 1.0),
            Reading::One(number) => (format!("{number} is wrong."), 0.0),
            Reading::Nothing => ("Wrong: there is no number in digits.".to_owned(), 0.0),
            Reading::Several => ("Wrong: there are several numbers.".to_owned(), 0.0),
            Reading::Unclear => ("Wrong: there is more than a plain number.".to_owned(), 0.0),
        };
        Ok(Output::text(said).reward(reward).finished())
    }
}

export!(Gsm8k);

#[cfg(test)]
mod tests;
