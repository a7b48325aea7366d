//! Questions with one right answer each, from a data set.
//!
//! The splits are the files `train.jsonl` and `test.jsonl` in the data directory.
//! Each line is a JSON object: `{"question": "…", "answer": "…"}`. Clients receive
//! the question, but not the answer.

use std::fs;

use orwd_sdk::prelude::*;

/// The directory that the host exposes to this environment.
#[cfg(not(test))]
const DATA: &str = "/orwd_data";

/// Unit tests read the data in this folder.
#[cfg(test)]
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data");

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

/// Reads the lines of a split. An error contains the file and the line number.
fn read(split: &str) -> Result<Vec<Line>> {
    if !Quiz::splits().iter().any(|known| known.name == split) {
        bail!("there is no split {split:?}");
    }
    let path = format!("{DATA}/{split}.jsonl");
    let content = fs::read_to_string(&path).with_context(|| path.clone())?;
    let lines = content.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            serde_json::from_str(line).with_context(|| format!("{path}, line {}", index + 1))
        })
        .collect()
}

#[environment]
impl Environment for Quiz {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train("train"), Split::test("test")]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let lines = read(split)?.into_iter().enumerate();
        Ok(lines
            .map(|(index, line)| Task {
                id: format!("{split}-{index}"),
                split: split.to_owned(),
                index,
                question: line.question,
            })
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
        let mut lines = read(&self.task.split)?.into_iter();
        let line = lines
            .nth(self.task.index)
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
            for (index, line) in read(&split.name).unwrap().into_iter().enumerate() {
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
