//! Plays a transcript on an environment natively, in a unit test.
//!
//! It reads the same transcripts as `orwd play --script`, with the same crate,
//! and needs no host. It stops at the first line that cannot be parsed or whose
//! expectation is not met, and names that line.

use orwd_sdk::prelude::*;
use orwd_transcript::{CallResult, Mismatch, Script, ScriptStart, ScriptStep};

/// Plays a transcript from its first line to its last.
pub fn replay<E: Environment>(transcript: &str) -> Result<()> {
    let script = Script::parse(transcript)?;
    let mut episode = start::<E>(script.start).context("line 1")?;
    for step in &script.steps {
        play(&mut episode, step).with_context(|| format!("line {}", step.line))?;
    }
    Ok(())
}

fn start<E: Environment>(start: ScriptStart) -> Result<Harness<E>> {
    let task = match (start.split, start.index, start.task) {
        (Some(split), Some(index), None) => Harness::<E>::task(&split, index)?,
        (None, None, Some(task)) => serde_json::from_str(task.get())?,
        _ => bail!("a transcript begins with `split` and `index`, or with `task`"),
    };
    let mut episode = Harness::<E>::seed(start.seed.unwrap_or(0)).open(task)?;
    // Agents always get the prompt, so a prompt that fails is an error.
    if Harness::<E>::capabilities().prompts {
        episode.prompt()?;
    }
    Ok(episode)
}

fn play<E: Environment>(episode: &mut Harness<E>, step: &ScriptStep) -> Result<()> {
    let input: Value = serde_json::from_str(step.call.input.get())?;
    let result = match episode.call(&step.call.tool, input) {
        Ok(output) => {
            let blocks: Vec<&str> = output.blocks.iter().filter_map(Block::as_text).collect();
            CallResult::Output {
                text: blocks.join("\n"),
                reward: output.reward,
                finished: output.finished,
            }
        }
        Err(error) => CallResult::Error {
            reason: reason(&error).to_owned(),
            message: error.to_string(),
        },
    };
    let mismatches = step.call.expect.compare(&result);
    if !mismatches.is_empty() {
        let texts: Vec<String> = mismatches.iter().map(Mismatch::to_string).collect();
        bail!("{}", texts.join("; "));
    }
    Ok(())
}

/// Returns the reason of an error, as in the protocol.
fn reason(error: &ToolError) -> &'static str {
    match error {
        ToolError::NotFound => "not_found",
        ToolError::InvalidInput(_) => "input_validation",
        ToolError::Collision(_) => "name_collision",
        ToolError::Failed(_) => "failed",
        ToolError::EpisodeFinished => "episode_finished",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Task {
        left: u64,
    }

    /// Counts down and shows the session's seed.
    struct Countdown {
        left: u64,
        seed: u64,
    }

    #[environment]
    impl Environment for Countdown {
        type Task = Task;

        fn splits() -> Vec<Split> {
            vec![Split::train("train")]
        }

        fn tasks(_split: &str) -> Result<Vec<Task>> {
            Ok(vec![Task { left: 2 }])
        }

        fn open(task: Task, session: &SessionParams) -> Result<Self> {
            Ok(Self {
                left: task.left,
                seed: session.seed(),
            })
        }

        fn prompt(&mut self) -> Result<Vec<Block>> {
            Ok(vec![text("Go.")])
        }
    }

    #[tools]
    impl Countdown {
        /// Counts.
        #[tool]
        fn count(&mut self) -> Result<Output> {
            self.left = self.left.checked_sub(1).context("nothing is left")?;
            let output =
                Output::blocks([format!("seed {}", self.seed), format!("left {}", self.left)]);
            Ok(match self.left {
                0 => output.reward(1.0).finished(),
                _ => output,
            })
        }
    }

    fn check(script: &[&str]) -> Result<(), String> {
        replay::<Countdown>(&script.join("\n")).map_err(|error| error.to_string())
    }

    #[test]
    fn met_expectations_pass() {
        let first = r#"{"split": "train", "index": 0, "seed": 7}"#;
        let all = r#"{"tool": "count", "input": {}, "expect": {"text": "seed 7\nleft 1", "reward": null, "finished": false}}"#;
        let part = r#"{"tool": "count", "expect": {"text_contains": "left 0", "reward": 1, "finished": true}}"#;
        let over = r#"{"tool": "count", "expect": {"error": "episode_finished"}}"#;
        assert_eq!(check(&[first, all, "", part, over]), Ok(()));
        let given = r#"{"task": {"left": 0}}"#;
        let failed = r#"{"tool": "count", "expect": {"error": "failed"}}"#;
        let unknown = r#"{"tool": "cuont", "expect": {"error": "not_found"}}"#;
        assert_eq!(check(&[given, failed, unknown]), Ok(()));
    }

    #[test]
    fn mismatches_name_the_line() {
        let table = [
            (
                r#"{"tool": "count", "expect": {"text": "left 1"}}"#,
                r#"line 2: text: expected "left 1", got "seed 0\nleft 1""#,
            ),
            (
                r#"{"tool": "count", "expect": {"text_contains": "left 0"}}"#,
                r#"line 2: text: expected … "left 0" …, got "seed 0\nleft 1""#,
            ),
            (
                r#"{"tool": "count", "expect": {"reward": 1.0}}"#,
                "line 2: reward: expected 1, got null",
            ),
            (
                r#"{"tool": "count", "expect": {"finished": true}}"#,
                "line 2: finished: expected true, got false",
            ),
            (
                r#"{"tool": "count", "expect": {"error": "failed"}}"#,
                "line 2: outcome: expected failed, got an output",
            ),
            (
                r#"{"tool": "cuont"}"#,
                "line 2: outcome: expected an output, got not_found: no such tool",
            ),
            (
                r#"{"tool": "count", "expects": {}}"#,
                "line 2: unknown field `expects`, expected one of `tool`, `input`, `expect` \
                 at column 27",
            ),
        ];
        for (line, why) in table {
            let script = [r#"{"split": "train", "index": 0}"#, line];
            assert_eq!(check(&script), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_transcript_names_its_task() {
        let table = [
            (
                "",
                "line 1: the script is empty; it begins with {\"split\": …, \"index\": …}",
            ),
            (
                r#"{"split": "train"}"#,
                "line 1: a transcript begins with `split` and `index`, or with `task`",
            ),
            (r#"{"split": "train", "index": 1}"#, "line 1: Invalid index"),
            (r#"{"split": "tests", "index": 0}"#, "line 1: Invalid split"),
        ];
        for (line, why) in table {
            assert_eq!(check(&[line]), Err(why.to_owned()));
        }
    }
}
