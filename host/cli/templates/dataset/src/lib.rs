//! Questions with one right answer each, from a data set.
//!
//! The splits are the files `train.jsonl` and `test.jsonl` in the data directory.
//! Each line is a JSON object: `{"question": "…", "answer": "…"}`. Clients receive
//! the question, but not the answer.

use orwd_sdk::prelude::*;

/// One line of the data set.
#[derive(Deserialize)]
struct Line {
    question: String,
    answer: String,
}

/// The start of an episode. Clients see it, so it does not contain the answer.
#[derive(Serialize, Deserialize)]
struct Task {
    id: String,
    split: String,
    index: usize,
    question: String,
}

/// The state of an episode.
struct Quiz {
    task: Task,
}

/// Returns the file of a split. A look-up in it reads one line.
fn lines(split: &str) -> Result<JsonLines> {
    if !Quiz::splits().iter().any(|known| known.name == split) {
        bail!("there is no split {split:?}");
    }
    JsonLines::open(data_dir().join(format!("{split}.jsonl")))
}

/// Returns the task of a line, without its answer.
fn task(split: &str, index: usize, line: Line) -> Task {
    Task {
        id: format!("{split}-{index}"),
        split: split.to_owned(),
        index,
        question: line.question,
    }
}

#[environment]
impl Environment for Quiz {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train("train"), Split::test("test")]
    }

    fn num_tasks(split: &str) -> Result<u64> {
        Ok(lines(split)?.count()? as u64)
    }

    fn task(split: &str, index: i64) -> Result<Option<Task>> {
        let lines = lines(split)?;
        let Some(index) = lines.resolve(index)? else {
            return Ok(None);
        };
        let line: Option<Line> = lines.get(index)?;
        Ok(line.map(|line| task(split, index, line)))
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let lines = lines(split)?.all::<Line>()?.into_iter().enumerate();
        Ok(lines
            .map(|(index, line)| task(split, index, line))
            .collect())
    }

    fn open(task: Task, _session: &SessionParams) -> Result<Self> {
        Ok(Self { task })
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![text(format!(
            "{}\n\nAnswer with the tool `answer`. There is one try.",
            self.task.question
        ))])
    }
}

// Input of `answer`. The doc comments here and on the tool are the descriptions
// that the agent reads.
#[derive(Deserialize, JsonSchema)]
struct Answer {
    /// The answer, without a sentence around it.
    answer: String,
}

#[tools]
impl Quiz {
    /// Gives the answer, which ends the episode.
    #[tool]
    fn answer(&mut self, input: Answer) -> Result<Output> {
        let line: Option<Line> = lines(&self.task.split)?.get(self.task.index)?;
        let line = line
            .filter(|line| line.question == self.task.question)
            .context("the data set does not hold this question")?;
        // Adapt this comparison to the answers of your data set.
        let right = input.answer.trim().to_lowercase() == line.answer.trim().to_lowercase();
        Ok(Output::text(if right { "Right." } else { "Wrong." })
            .reward(if right { 1.0 } else { 0.0 })
            .finished())
    }
}

export!(Quiz);

#[cfg(test)]
mod tests {
    use super::*;

    fn quiz(split: &str, index: i64) -> Harness<Quiz> {
        Harness::open(Harness::<Quiz>::task(split, index).unwrap()).unwrap()
    }

    #[test]
    fn every_answer_of_the_data_set_is_right() {
        for split in Quiz::splits() {
            let lines: Vec<Line> = lines(&split.name).unwrap().all().unwrap();
            for (index, line) in lines.into_iter().enumerate() {
                let answer = json!({"answer": line.answer});
                let output = quiz(&split.name, index as i64).call("answer", answer);
                assert_eq!(output.unwrap().reward, Some(1.0), "{} {index}", split.name);
            }
        }
    }

    #[test]
    fn another_answer_is_wrong_and_there_is_one_try() {
        let mut quiz = quiz("train", 0);
        let output = quiz.call("answer", json!({"answer": "forty"})).unwrap();
        assert_eq!((output.reward, output.finished), (Some(0.0), true));
        assert_eq!(
            quiz.call("answer", json!({"answer": "Paris"})),
            Err(ToolError::EpisodeFinished)
        );
    }

    #[test]
    fn no_client_sees_an_answer() {
        let task = Harness::<Quiz>::task("train", 0).unwrap();
        assert!(!task.to_string().contains("Paris"));
    }
}
