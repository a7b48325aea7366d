//! Runs an episode: selects the task, makes the calls, ends the session.

use std::collections::BTreeMap;

use orwd_transcript::{CallResult, Script};
use serde_json::value::RawValue;

use super::client::{CallOutcome, Client, Episode, PlayError, Task, Tools};
use super::input::{LineCommand, LineInput};
use super::output::OutputMode;
use super::summary::EpisodeSummary;
use crate::console::{CommandError, CommandStatus};

/// What to play. Unset fields have defaults or are asked for.
#[derive(Debug, Default)]
pub(super) struct TaskSelection {
    pub(super) environment: Option<String>,
    pub(super) split: Option<String>,
    pub(super) index: Option<i64>,
    pub(super) spec: Option<Box<RawValue>>,
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) seed: Option<u64>,
}

/// Why the loop ended early.
enum Stop {
    /// An error.
    Failed(CommandError),
    /// The user quit.
    Quit,
}

/// Plays a script to its last line. Fails if a result does not match its
/// expectation.
pub(super) async fn play_script(
    client: &Client,
    selection: TaskSelection,
    script: Script,
    output: OutputMode,
) -> Result<CommandStatus, CommandError> {
    let start = script.start;
    let mut secrets = start.secrets;
    secrets.extend(selection.secrets);
    let selection = TaskSelection {
        environment: selection.environment.or(start.environment),
        split: start.split,
        index: start.index,
        spec: start.task,
        secrets,
        seed: start.seed,
    };
    let environment = environment(client, selection.environment.as_deref()).await?;
    let task = match &selection.spec {
        Some(spec) => Task::Spec(spec.clone()),
        None => {
            let split = match &selection.split {
                Some(split) => split.clone(),
                None => first_split(client, &environment).await?,
            };
            Task::Index(split, selection.index.unwrap_or(0))
        }
    };
    let (episode, _) = open(client, &environment, &task, &selection, output).await?;
    let mut summary = EpisodeSummary::default();
    let mut mismatched = Vec::new();
    let mut failed = None;
    for step in &script.steps {
        let call = &step.call;
        output.calling(&call.tool, &call.input)?;
        let outcome = match episode.call(&call.tool, &call.input).await {
            Ok(outcome) => outcome,
            Err(error) => {
                failed = Some(CommandError::new(format!("line {}: {error}", step.line)));
                break;
            }
        };
        summary.add(&outcome);
        output.outcome(&outcome)?;
        let mismatches = call.expect.compare(&result(outcome));
        if !mismatches.is_empty() {
            mismatched.push(step.line.to_string());
        }
        for mismatch in &mismatches {
            output.mismatch(step.line, mismatch)?;
        }
    }
    output.end(&summary)?;
    close(&episode).await;
    match (failed, mismatched.as_slice()) {
        (Some(error), _) => Err(error),
        (None, []) => Ok(summary.status()),
        (None, [line]) => Err(CommandError::new(format!(
            "script line {line}: the result does not match the expectation"
        ))),
        (None, lines) => Err(CommandError::new(format!(
            "script lines {}: the results do not match the expectations",
            lines.join(", ")
        ))),
    }
}

/// Plays the lines of standard input.
pub(super) async fn play_input(
    client: &Client,
    selection: TaskSelection,
    output: OutputMode,
) -> Result<CommandStatus, CommandError> {
    let mut input = LineInput::start();
    let environment = environment(client, selection.environment.as_deref()).await?;
    let task = match choose(client, &environment, &selection, &mut input, output).await {
        Ok(task) => task,
        Err(Stop::Quit) => return Ok(CommandStatus::Unfinished),
        Err(Stop::Failed(error)) => return Err(error),
    };
    let (episode, tools) = open(client, &environment, &task, &selection, output).await?;
    let named = tools.tools.iter().map(|tool| tool.name.clone());
    let terminal = tools.terminal_tool.iter().map(|tool| tool.name.clone());
    input.complete(named.chain(terminal));
    if input.interactive {
        output.hint()?;
    }
    let mut summary = EpisodeSummary::default();
    let mut result = Ok(());
    while !summary.finished {
        result = run_line(&episode, &tools, &mut input, &mut summary, output).await;
        if result.is_err() {
            break;
        }
    }
    output.end(&summary)?;
    close(&episode).await;
    match result {
        Ok(()) | Err(Stop::Quit) => Ok(summary.status()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Runs the command of one line.
async fn run_line(
    episode: &Episode,
    tools: &Tools,
    input: &mut LineInput,
    summary: &mut EpisodeSummary,
    output: OutputMode,
) -> Result<(), Stop> {
    let Some(line) = input.next("> ", Some(episode)).await else {
        return Err(Stop::Quit);
    };
    match LineCommand::parse(&line) {
        Ok(LineCommand::Call(tool, arguments)) => {
            // In a terminal, the typed line already shows the call.
            if !input.interactive || output == OutputMode::Json {
                output.calling(&tool, &arguments)?;
            }
            let outcome = episode.call(&tool, &arguments).await?;
            summary.add(&outcome);
            output.outcome(&outcome)?;
        }
        Ok(LineCommand::Help) => output.help()?,
        Ok(LineCommand::Tools) => output.tools(tools)?,
        Ok(LineCommand::Prompt) => output.prompt(&episode.prompt().await?)?,
        Ok(LineCommand::Quit) => return Err(Stop::Quit),
        Ok(LineCommand::Empty) => {}
        // A person can type the line again; in a file it is an error.
        Err(message) if input.interactive => output.invalid_line(&message)?,
        Err(message) => return Err(Stop::Failed(CommandError::new(message))),
    }
    Ok(())
}

impl From<PlayError> for Stop {
    fn from(error: PlayError) -> Stop {
        Stop::Failed(error.into())
    }
}

impl From<CommandError> for Stop {
    fn from(error: CommandError) -> Stop {
        Stop::Failed(error)
    }
}

/// Returns the environment's name as the server lists it.
async fn environment(client: &Client, wanted: Option<&str>) -> Result<String, CommandError> {
    let names = client.environments().await?;
    let found = match wanted {
        None => names.first(),
        Some(wanted) => names.iter().find(|name| name.eq_ignore_ascii_case(wanted)),
    };
    match found {
        Some(name) => Ok(name.clone()),
        None => Err(CommandError::new(format!(
            "the server has no environment {:?}; it has {}",
            wanted.unwrap_or_default(),
            names.join(", ")
        ))),
    }
}

async fn first_split(client: &Client, environment: &str) -> Result<String, CommandError> {
    let splits = client.splits(environment).await?;
    let first = splits.into_iter().next();
    first
        .map(|split| split.name)
        .ok_or_else(|| CommandError::new(format!("the environment {environment} has no splits")))
}

/// Returns the task: as selected, as typed, or the first of the first split.
async fn choose(
    client: &Client,
    environment: &str,
    selection: &TaskSelection,
    input: &mut LineInput,
    output: OutputMode,
) -> Result<Task, Stop> {
    if let Some(spec) = &selection.spec {
        return Ok(Task::Spec(spec.clone()));
    }
    let ask = input.interactive && output != OutputMode::Json;
    let split = match &selection.split {
        Some(split) => split.clone(),
        None => {
            let first = first_split(client, environment).await?;
            let splits = client.splits(environment).await?;
            if ask && splits.len() > 1 {
                let names: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
                let question = format!("split ({}) [{first}]: ", names.join(", "));
                answer(input, &question).await?.unwrap_or(first)
            } else {
                first
            }
        }
    };
    let index = match selection.index {
        Some(index) => index,
        None if ask => {
            let count = client.num_tasks(environment, &split).await?;
            let last = count.saturating_sub(1);
            let question = format!("task (0 to {last}) [0]: ");
            match answer(input, &question).await? {
                None => 0,
                Some(text) => text.parse().map_err(|_| {
                    CommandError::new(format!("invalid task {text:?}: expected a whole number"))
                })?,
            }
        }
        None => 0,
    };
    Ok(Task::Index(split, index))
}

/// Asks a question. Returns `None` for an empty line.
async fn answer(input: &mut LineInput, question: &str) -> Result<Option<String>, Stop> {
    let line = input.next(question, None).await.ok_or(Stop::Quit)?;
    let line = line.trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

/// Opens the episode, and prints what an agent gets first.
async fn open(
    client: &Client,
    environment: &str,
    task: &Task,
    selection: &TaskSelection,
    output: OutputMode,
) -> Result<(Episode, Tools), CommandError> {
    let episode = client
        .open(environment, task, &selection.secrets, selection.seed)
        .await
        .map_err(|error| CommandError::new(format!("{environment}, {task}: {error}")))?;
    match introduce(&episode, environment, task, output).await {
        Ok(tools) => Ok((episode, tools)),
        Err(error) => {
            close(&episode).await;
            Err(error)
        }
    }
}

/// Prints the prompt and the tools.
async fn introduce(
    episode: &Episode,
    environment: &str,
    task: &Task,
    output: OutputMode,
) -> Result<Tools, CommandError> {
    output.start(environment, task)?;
    let prompt = episode.prompt().await?;
    output.prompt(&prompt)?;
    let tools = episode.tools().await?;
    output.tools(&tools)?;
    Ok(tools)
}

/// Ends the session. A failure does not change the episode's result: the server
/// deletes idle sessions.
async fn close(episode: &Episode) {
    let closed: Result<(), PlayError> = episode.close().await;
    if let Err(error) = closed {
        tracing::warn!(reason = %error, "session not ended");
    }
}

/// Returns the outcome as transcripts compare it.
fn result(outcome: CallOutcome) -> CallResult {
    match outcome {
        CallOutcome::Output(output) => CallResult::Output {
            text: output.text(),
            reward: output.reward,
            finished: output.finished,
        },
        CallOutcome::Refused { reason, message } => CallResult::Error { reason, message },
        CallOutcome::Failed(message) => CallResult::Error {
            reason: "failed".to_owned(),
            message,
        },
    }
}
