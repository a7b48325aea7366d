//! The course of an episode: which task, which calls, and how it ended.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::episode::{Client, Episode, Outcome, PlayError, Task, Tools};
use super::input::{Input, Line};
use super::script::{Mismatch, Script};
use super::show::Show;
use crate::{Ending, Failure};

/// What is to be played, as far as somebody said.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) environment: Option<String>,
    pub(super) split: Option<String>,
    pub(super) index: Option<i64>,
    pub(super) spec: Option<Box<RawValue>>,
    pub(super) secrets: BTreeMap<String, String>,
}

/// What an episode came to so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: usize,
    pub(super) rewards: Vec<f64>,
    pub(super) finished: bool,
}

/// Why an episode went no further.
pub(super) enum Stop {
    /// Something failed.
    Failed(Failure),
    /// Whoever plays has had enough.
    Quit,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        self.calls += 1;
        if let Outcome::Output(output) = outcome {
            self.rewards.extend(output.reward);
            self.finished |= output.finished;
        }
    }

    fn ending(&self) -> Ending {
        if self.finished {
            Ending::Fine
        } else {
            Ending::Unfinished
        }
    }
}

/// Plays a script to its last line, whatever the lines before came to, and
/// fails if one did not come to what it expects.
pub(super) async fn script(
    client: &Client,
    wish: Wish,
    script: Script,
    show: Show,
) -> Result<Ending, Failure> {
    let start = script.start;
    let mut secrets = start.secrets;
    secrets.extend(wish.secrets);
    let wish = Wish {
        environment: wish.environment.or(start.environment),
        split: start.split,
        index: start.index,
        spec: start.task,
        secrets,
    };
    let environment = environment(client, wish.environment.as_deref()).await?;
    let task = match wish.spec {
        Some(spec) => Task::Spec(spec),
        None => {
            let split = match wish.split {
                Some(split) => split,
                None => first_split(client, &environment).await?,
            };
            Task::Index(split, wish.index.unwrap_or(0))
        }
    };
    let (episode, _) = open(client, &environment, &task, &wish.secrets, show).await?;
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    let mut failed = None;
    for step in &script.steps {
        let input = match &step.call.input {
            Some(input) => input.clone(),
            None => empty(),
        };
        show.calling(&step.call.tool, &input)?;
        let outcome = match episode.call(&step.call.tool, &input).await {
            Ok(outcome) => outcome,
            Err(error) => {
                failed = Some(Failure::new(format!("line {}: {error}", step.line)));
                break;
            }
        };
        tally.count(&outcome);
        show.outcome(&outcome)?;
        let mismatches: Vec<Mismatch> = step.call.expect.compare(&outcome);
        if !mismatches.is_empty() {
            wrong.push(step.line.to_string());
        }
        for mismatch in &mismatches {
            show.mismatch(step.line, mismatch)?;
        }
    }
    show.end(&tally)?;
    close(&episode).await;
    match (failed, wrong.as_slice()) {
        (Some(failure), _) => Err(failure),
        (None, []) => Ok(tally.ending()),
        (None, [line]) => Err(Failure::new(format!(
            "line {line} of the script came otherwise than it expects"
        ))),
        (None, lines) => Err(Failure::new(format!(
            "lines {} of the script came otherwise than they expect",
            lines.join(", ")
        ))),
    }
}

/// Plays what is typed.
pub(super) async fn terminal(client: &Client, wish: Wish, show: Show) -> Result<Ending, Failure> {
    let mut input = Input::start();
    let environment = environment(client, wish.environment.as_deref()).await?;
    let task = match choose(client, &environment, &wish, &mut input, show).await {
        Ok(task) => task,
        Err(Stop::Quit) => return Ok(Ending::Unfinished),
        Err(Stop::Failed(failure)) => return Err(failure),
    };
    let (episode, tools) = open(client, &environment, &task, &wish.secrets, show).await?;
    if input.by_hand {
        show.hint()?;
    }
    let mut tally = Tally::default();
    let mut result = Ok(());
    while !tally.finished {
        result = turn(&episode, &tools, &mut input, &mut tally, show).await;
        if result.is_err() {
            break;
        }
    }
    show.end(&tally)?;
    close(&episode).await;
    match result {
        Ok(()) | Err(Stop::Quit) => Ok(tally.ending()),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// One line and what it asks for.
async fn turn(
    episode: &Episode,
    tools: &Tools,
    input: &mut Input,
    tally: &mut Tally,
    show: Show,
) -> Result<(), Stop> {
    let Some(line) = input.next("> ", Some(episode)).await else {
        return Err(Stop::Quit);
    };
    match Line::parse(&line) {
        Ok(Line::Call(tool, arguments)) => {
            // Whoever typed it has it before their eyes.
            if !input.by_hand || show == Show::Json {
                show.calling(&tool, &arguments)?;
            }
            let outcome = episode.call(&tool, &arguments).await?;
            tally.count(&outcome);
            show.outcome(&outcome)?;
        }
        Ok(Line::Help) => show.help()?,
        Ok(Line::Tools) => show.tools(tools)?,
        Ok(Line::Prompt) => show.prompt(&episode.prompt().await?)?,
        Ok(Line::Quit) => return Err(Stop::Quit),
        Ok(Line::Empty) => {}
        // A slip of the hand costs nothing; in a file it is a mistake.
        Err(message) if input.by_hand => show.slip(&message)?,
        Err(message) => return Err(Stop::Failed(Failure::new(message))),
    }
    Ok(())
}

impl From<PlayError> for Stop {
    fn from(error: PlayError) -> Stop {
        Stop::Failed(error.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// The environment that is meant, as the server lists it.
async fn environment(client: &Client, wanted: Option<&str>) -> Result<String, Failure> {
    let names = client.environments().await?;
    let found = match wanted {
        None => names.first(),
        Some(wanted) => names.iter().find(|name| name.eq_ignore_ascii_case(wanted)),
    };
    match found {
        Some(name) => Ok(name.clone()),
        None => Err(Failure::new(format!(
            "the server has no environment {:?}; it has {}",
            wanted.unwrap_or_default(),
            names.join(", ")
        ))),
    }
}

async fn first_split(client: &Client, environment: &str) -> Result<String, Failure> {
    let splits = client.splits(environment).await?;
    let first = splits.into_iter().next();
    first
        .map(|split| split.name)
        .ok_or_else(|| Failure::new(format!("the environment {environment} has no splits")))
}

/// The task: as wished, as answered, or the first of the first split.
async fn choose(
    client: &Client,
    environment: &str,
    wish: &Wish,
    input: &mut Input,
    show: Show,
) -> Result<Task, Stop> {
    if let Some(spec) = &wish.spec {
        return Ok(Task::Spec(spec.clone()));
    }
    let ask = input.by_hand && show != Show::Json;
    let split = match &wish.split {
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
    let index = match wish.index {
        Some(index) => index,
        None if ask => {
            let count = client.num_tasks(environment, &split).await?;
            let last = count.saturating_sub(1);
            let question = format!("task (0 to {last}) [0]: ");
            match answer(input, &question).await? {
                None => 0,
                Some(text) => text
                    .parse()
                    .map_err(|_| Failure::new(format!("{text:?} is no number of a task")))?,
            }
        }
        None => 0,
    };
    Ok(Task::Index(split, index))
}

/// What is answered; nothing, if the line is left empty.
async fn answer(input: &mut Input, question: &str) -> Result<Option<String>, Stop> {
    let line = input.next(question, None).await.ok_or(Stop::Quit)?;
    let line = line.trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

/// Opens the episode and shows what an agent would see of it.
async fn open(
    client: &Client,
    environment: &str,
    task: &Task,
    secrets: &BTreeMap<String, String>,
    show: Show,
) -> Result<(Episode, Tools), Failure> {
    let episode = client
        .open(environment, task, secrets)
        .await
        .map_err(|error| Failure::new(format!("{environment}, {task}: {error}")))?;
    let shown = first_sight(&episode, environment, task, show).await;
    match shown {
        Ok(tools) => Ok((episode, tools)),
        Err(failure) => {
            close(&episode).await;
            Err(failure)
        }
    }
}

async fn first_sight(
    episode: &Episode,
    environment: &str,
    task: &Task,
    show: Show,
) -> Result<Tools, Failure> {
    show.start(environment, task)?;
    let prompt = episode.prompt().await?;
    show.prompt(&prompt)?;
    let tools = episode.tools().await?;
    show.tools(&tools)?;
    Ok(tools)
}

/// Ends the session. What was played stands, whether or not this works; a
/// session left behind is deleted by the server when it has been idle.
async fn close(episode: &Episode) {
    let closed: Result<(), PlayError> = episode.close().await;
    if let Err(error) = closed {
        tracing::warn!("{error}");
    }
}

fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}
