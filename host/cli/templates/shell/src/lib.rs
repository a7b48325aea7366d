//! Work on files with bash and file tools.
//!
//! A value of type `Desk` is one episode; each session has its own. The expected
//! result stays here and never in the files, which the agent can read. Replace the
//! task, its files and the grading with those of your environment.

use std::fs;

use orwd_sdk::files::FileTools;
use orwd_sdk::prelude::*;
use orwd_sdk::shell::{BashTool, ClaudeCode, Codex, SharedShell};

/// The start of an episode. Clients see it, so it contains no results.
#[derive(Serialize, Deserialize)]
struct Task {
    id: String,
    seed: u64,
}

/// The state of an episode.
struct Desk {
    numbers: Vec<i64>,
    shell: SharedShell,
    bash: BashTool,
    files: FileTools,
    claude_code: ClaudeCode,
    codex: Codex,
}

#[environment]
impl Environment for Desk {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train("train"), Split::test("test")]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let seeds = match split {
            "train" => 0..10,
            _ => 1000..1003,
        };
        let task = |seed| Task {
            id: format!("sum-{seed}"),
            seed,
        };
        Ok(seeds.map(task).collect())
    }

    fn open(task: Task, _session: &SessionParams) -> Result<Self> {
        let mut rng = Rng::from_seed(task.seed);
        let work = data_dir().join("work");
        let shell = SharedShell::at(&work);
        Ok(Self {
            numbers: (0..20).map(|_| rng.range(-100..1000)).collect(),
            bash: BashTool::new(&shell),
            files: FileTools::at(&work),
            claude_code: ClaudeCode::new(&shell),
            codex: Codex::new(&shell),
            shell,
        })
    }

    fn setup(&mut self) -> Result<()> {
        let lines: String = self.numbers.iter().map(|n| format!("{n}\n")).collect();
        fs::create_dir_all(self.shell.folder())?;
        fs::write(self.shell.folder().join("numbers.txt"), lines)?;
        Ok(())
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![text(format!(
            "Your files are in {}. Write the sum of the numbers in `numbers.txt` to `sum.txt`, \
             then call `submit`.",
            self.shell.folder().display()
        ))])
    }
}

#[tools(toolsets(
    bash: BashTool,
    files: FileTools,
    claude_code: ClaudeCode,
    codex: Codex,
))]
impl Desk {
    /// Ends the episode and grades the files.
    #[tool]
    fn submit(&mut self) -> Output {
        let sum: i64 = self.numbers.iter().sum();
        let found = fs::read_to_string(self.shell.folder().join("sum.txt"));
        let right = found.is_ok_and(|text| text.trim() == sum.to_string());
        Output::text(if right { "right" } else { "wrong" })
            .reward(if right { 1.0 } else { 0.0 })
            .finished()
    }
}

export!(Desk);

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Harness<Desk> {
        Harness::open(json!({"id": "test", "seed": 7})).unwrap()
    }

    #[test]
    fn the_sum_is_rewarded() {
        let mut desk = desk();
        let command = "awk '{s+=$1} END {print s}' numbers.txt > sum.txt";
        let output = desk.call("bash", json!({"command": command})).unwrap();
        assert_eq!(output.plain(), "\n\n(exit 0)");
        let output = desk.call("submit", json!({})).unwrap();
        assert_eq!((output.reward, output.finished), (Some(1.0), true));
    }

    #[test]
    fn another_number_is_not() {
        let mut desk = desk();
        let file = json!({"path": "sum.txt", "content": "1"});
        desk.call("write_file", file).unwrap();
        let output = desk.call("submit", json!({})).unwrap();
        assert_eq!((output.reward, output.finished), (Some(0.0), true));
    }
}
