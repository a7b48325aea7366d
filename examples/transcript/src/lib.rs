//! Plays a scripted episode on an environment, natively.
//!
//! The script is the one that `orwd play --script` takes: JSON lines, the
//! first of which says what is played and every further one a call, perhaps
//! with what is expected of it. This replays it in a unit test, without a
//! host. It stops at the first line that is malformed or whose expectation is
//! not met, and names it.

use orwd_sdk::prelude::*;
use serde::Deserializer;

/// The first line: a task of a split, or one that is written out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    split: Option<String>,
    index: Option<i64>,
    task: Option<Value>,
    /// The session's seed.
    #[serde(default)]
    seed: u64,
}

/// Any further line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    tool: String,
    #[serde(default = "no_input")]
    input: Value,
    #[serde(default)]
    expect: Expected,
}

/// What a call should give. What is left out is not looked at.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// The text blocks, with line ends between them.
    text: Option<String>,
    /// A part of that text.
    text_contains: Option<String>,
    /// `null` expects that there is none.
    #[serde(default, deserialize_with = "even_null")]
    reward: Option<Option<f64>>,
    finished: Option<bool>,
    /// Why the call is refused, as in the protocol; `failed` for a tool that
    /// ran into an error.
    error: Option<String>,
}

fn no_input() -> Value {
    json!({})
}

/// Tells `null` from a member that is left out.
fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Plays a script from its first line to its last.
pub fn replay<E: Environment>(script: &str) -> Result<()> {
    let mut lines = script
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| (format!("line {}", index + 1), line));
    let (place, first) = lines.next().context("the script is empty")?;
    let mut episode = start::<E>(first).context(place)?;
    for (place, line) in lines {
        step(&mut episode, line).context(place)?;
    }
    Ok(())
}

fn start<E: Environment>(line: &str) -> Result<Harness<E>> {
    let start: Start = serde_json::from_str(line)?;
    let task = match (start.split, start.index, start.task) {
        (Some(split), Some(index), None) => Harness::<E>::task(&split, index)?,
        (None, None, Some(task)) => task,
        _ => bail!("a script begins with `split` and `index`, or with `task`"),
    };
    let mut episode = Harness::<E>::seed(start.seed).open(task)?;
    // An agent always sees the prompt, so one that fails fails the episode.
    if Harness::<E>::capabilities().prompts {
        episode.prompt()?;
    }
    Ok(episode)
}

fn step<E: Environment>(episode: &mut Harness<E>, line: &str) -> Result<()> {
    let step: Step = serde_json::from_str(line)?;
    let expect = step.expect;
    let output = match (episode.call(&step.tool, step.input), expect.error) {
        (Ok(output), None) => output,
        (Ok(output), Some(reason)) => {
            bail!(
                "expected the call to end as {reason}, and it gave {:?}",
                output.plain()
            )
        }
        (Err(error), Some(reason)) if reason_of(&error) == reason => return Ok(()),
        (Err(error), expected) => bail!(
            "expected {}, and the call ended as {}: {error}",
            expected.as_deref().unwrap_or("an output"),
            reason_of(&error)
        ),
    };

    let blocks: Vec<&str> = output.blocks.iter().filter_map(Block::as_text).collect();
    let text = blocks.join("\n");
    if let Some(expected) = expect.text
        && expected != text
    {
        bail!("expected the text {expected:?}, and it is {text:?}");
    }
    if let Some(part) = expect.text_contains
        && !text.contains(&part)
    {
        bail!("expected {part:?} in the text, which is {text:?}");
    }
    if let Some(expected) = expect.reward
        && expected != output.reward
    {
        bail!(
            "expected the reward {expected:?}, and it is {:?}",
            output.reward
        );
    }
    if let Some(expected) = expect.finished
        && expected != output.finished
    {
        bail!(
            "expected `finished` to be {expected}, and it is {}",
            output.finished
        );
    }
    Ok(())
}

fn reason_of(error: &ToolError) -> &'static str {
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

    /// Counts down to its end, and shows the session's seed.
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
    fn what_is_as_expected_passes() {
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
    fn what_is_not_as_expected_is_told_with_its_line() {
        let table = [
            (
                r#"{"tool": "count", "expect": {"text": "left 1"}}"#,
                r#"line 2: expected the text "left 1", and it is "seed 0\nleft 1""#,
            ),
            (
                r#"{"tool": "count", "expect": {"text_contains": "left 0"}}"#,
                r#"line 2: expected "left 0" in the text, which is "seed 0\nleft 1""#,
            ),
            (
                r#"{"tool": "count", "expect": {"reward": 1.0}}"#,
                "line 2: expected the reward Some(1.0), and it is None",
            ),
            (
                r#"{"tool": "count", "expect": {"finished": true}}"#,
                "line 2: expected `finished` to be true, and it is false",
            ),
            (
                r#"{"tool": "count", "expect": {"error": "failed"}}"#,
                r#"line 2: expected the call to end as failed, and it gave "seed 0left 1""#,
            ),
            (
                r#"{"tool": "cuont"}"#,
                "line 2: expected an output, and the call ended as not_found: no such tool",
            ),
            (
                r#"{"tool": "count", "expects": {}}"#,
                "line 2: unknown field `expects`, expected one of `tool`, `input`, `expect` \
                 at line 1 column 27",
            ),
        ];
        for (line, why) in table {
            let script = [r#"{"split": "train", "index": 0}"#, line];
            assert_eq!(check(&script), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_script_says_what_it_plays() {
        let table = [
            ("", "the script is empty"),
            (
                r#"{"split": "train"}"#,
                "line 1: a script begins with `split` and `index`, or with `task`",
            ),
            (r#"{"split": "train", "index": 1}"#, "line 1: Invalid index"),
            (r#"{"split": "tests", "index": 0}"#, "line 1: Invalid split"),
        ];
        for (line, why) in table {
            assert_eq!(check(&[line]), Err(why.to_owned()));
        }
    }
}
