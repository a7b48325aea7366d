//! Repair and transform files with a shell: a broken CSV pipeline, logs, a
//! configuration tree, scripts, JSON, text puzzles.
//!
//! A task is a kind and a seed, from which its files are made. The expected results
//! are in this component and never in the tree, so an agent cannot read them. The
//! reward is the share of the checks that pass: half of a check is paid as soon as it
//! passes, the rest when the agent submits or its steps are used up.

mod bench;
mod grade;
mod tasks;

use orwd_sdk::files::FileTools;
use orwd_sdk::prelude::*;
use orwd_sdk::shell::{BashTool, ClaudeCode, Codex, GeminiCli, Hermes, OpenClaw, SharedShell};

use bench::Bench;
use grade::Grader;

/// Calls of tools in an episode.
const STEPS: u32 = 40;

/// Seeds of each kind in the split `train`.
const TRAIN_SEEDS: u64 = 4;

/// The kind without a goal, to try the tools.
const PLAYGROUND: &str = "playground";

/// The task of that kind whose shell keeps no variables from one call to the next.
const FRESH: &str = "playground-fresh";

/// What an episode starts from. Clients see it, so it contains no results.
#[derive(Serialize, Deserialize)]
struct Task {
    id: String,
    kind: String,
    seed: u64,
    /// The number of calls after which the episode ends.
    #[serde(default = "steps")]
    steps: u32,
}

fn steps() -> u32 {
    STEPS
}

/// The state of one episode.
struct Workbench {
    bench: Bench,
    grader: Grader,
    steps: u32,
    used: u32,
    shell: SharedShell,
    bash: BashTool,
    files: FileTools,
    claude_code: ClaudeCode,
    codex: Codex,
    gemini_cli: GeminiCli,
    hermes: Hermes,
    openclaw: OpenClaw,
}

#[environment]
impl Environment for Workbench {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![
            Split::train("train"),
            Split::test("test"),
            Split::validation(PLAYGROUND),
        ]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let seeds = match split {
            "train" => 0..TRAIN_SEEDS,
            // Seeds that no training task has.
            "test" => 1000..1001,
            PLAYGROUND => {
                let tasks = [PLAYGROUND, FRESH].map(|id| Task {
                    id: id.to_owned(),
                    kind: PLAYGROUND.to_owned(),
                    seed: 0,
                    steps: u32::MAX,
                });
                return Ok(tasks.into());
            }
            other => bail!("there is no split {other:?}"),
        };
        let task = |seed: u64, kind: &str| Task {
            id: format!("{kind}-{seed}"),
            kind: kind.to_owned(),
            seed,
            steps: STEPS,
        };
        Ok(seeds
            .flat_map(|seed| tasks::KINDS.iter().map(move |(kind, _)| task(seed, kind)))
            .collect())
    }

    fn open(task: Task, _session: &SessionParams) -> Result<Self> {
        let bench = if task.kind == PLAYGROUND {
            Bench::playground()
        } else {
            tasks::bench(&task.kind, task.seed)?
        };
        let work = data_dir().join("work");
        let shell = match task.id.as_str() {
            FRESH => SharedShell::fresh(&work),
            _ => SharedShell::at(&work),
        };
        Ok(Self {
            grader: Grader::new(work.clone(), bench.checks.len()),
            bench,
            steps: task.steps,
            used: 0,
            bash: BashTool::new(&shell),
            files: FileTools::at(&work),
            claude_code: ClaudeCode::new(&shell),
            codex: Codex::new(&shell),
            gemini_cli: GeminiCli::new(&shell),
            hermes: Hermes::new(&shell),
            openclaw: OpenClaw::new(&shell),
            shell,
        })
    }

    fn setup(&mut self) -> Result<()> {
        self.bench.write(self.shell.folder())
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        let folder = self.shell.folder().display();
        let mut prompt = format!("Your files are in {folder}.\n\n{}", self.bench.prompt);
        if !self.bench.checks.is_empty() {
            prompt.push_str(&format!(
                "\n\nYou have {} calls of tools. Call `submit` when you are done.",
                self.steps
            ));
        }
        Ok(vec![text(prompt)])
    }

    fn after_call(
        &mut self,
        tool: &str,
        result: Result<Output, ToolError>,
    ) -> Result<Output, ToolError> {
        if tool == "submit" || self.bench.checks.is_empty() {
            return result;
        }
        self.used += 1;
        let left = self.steps.saturating_sub(self.used);
        let mut output = result?;
        output.reward = None;
        if left == 0 {
            let grade = self.grader.finish(&self.bench.checks);
            output
                .blocks
                .push(text(format!("\n[No calls are left. {}]", grade.text)));
            return Ok(output.reward(grade.reward).finished());
        }
        let progress = self.grader.progress(&self.bench.checks);
        Ok(match progress == 0.0 {
            true => output,
            false => output.reward(progress),
        })
    }
}

#[tools(toolsets(
    bash: BashTool,
    files: FileTools,
    claude_code: ClaudeCode,
    codex: Codex,
    gemini_cli: GeminiCli,
    hermes: Hermes,
    openclaw: OpenClaw,
))]
impl Workbench {
    /// Ends the episode and grades the files.
    #[tool]
    fn submit(&mut self) -> Output {
        let grade = self.grader.finish(&self.bench.checks);
        Output::text(grade.text).reward(grade.reward).finished()
    }
}

export!(Workbench);
