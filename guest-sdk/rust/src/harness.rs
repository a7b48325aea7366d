//! Runs an environment natively, in ordinary unit tests.
//!
//! It stands where the host stands: what a test asks goes through the same
//! dispatch as in a component, and what comes back is held to what the host
//! holds it to.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::Serialize;
use serde_json::Value;

use crate::{
    Block, Candidate, Environment, Error, Message, Output, Result, Score, Split, TaskTool,
    ToolError,
    catalog::{Catalog, TaskError},
    environment::Supports,
    episode::Episode,
    json::{Json, Object},
    tools::{self, ToolDescription, Visibility},
};

/// One episode in a unit test.
///
/// ```
/// use orwd_sdk::prelude::*;
/// # #[derive(Serialize, Deserialize)]
/// # struct Task { target: i64 }
/// # struct Counter(i64, i64);
/// # #[environment]
/// # impl Environment for Counter {
/// #     type Task = Task;
/// #     fn splits() -> Vec<Split> { vec![Split::named("train")] }
/// #     fn tasks(_: &str) -> Result<Vec<Task>> { Ok(vec![Task { target: 2 }]) }
/// #     fn open(task: Task, _: &Opening) -> Result<Self> { Ok(Counter(0, task.target)) }
/// #     fn prompt(&mut self) -> Result<Vec<Block>> { Ok(vec![text("Count.")]) }
/// # }
/// # #[derive(Deserialize, schemars::JsonSchema)]
/// # struct Add { by: i64 }
/// # #[tools]
/// # impl Counter {
/// #     #[tool]
/// #     fn add(&mut self, input: Add) -> Output {
/// #         self.0 += input.by;
/// #         Output::text(self.0.to_string()).finish_if(self.0 == self.1)
/// #     }
/// # }
///
/// let mut episode = Harness::<Counter>::open(json!({"target": 3})).unwrap();
/// assert!(!episode.call("add", json!({"by": 1})).unwrap().finished);
/// assert!(episode.call("add", json!({"by": 2})).unwrap().finished);
/// assert_eq!(
///     episode.call("add", json!({"by": 1})),
///     Err(ToolError::EpisodeFinished),
/// );
/// ```
///
/// Setup runs once, before the first request; a test that wants to see it calls
/// [`setup`](Self::setup) first.
pub struct Harness<E> {
    episode: Episode<E>,
    setup: Option<std::result::Result<(), String>>,
    finished: bool,
}

/// A [`Harness`] that is yet to be opened.
pub struct Builder<E> {
    secrets: BTreeMap<String, String>,
    seed: u64,
    environment: PhantomData<fn() -> E>,
}

impl<E: Environment> Builder<E> {
    /// Gives the session a secret.
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.insert(name.into(), value.into());
        self
    }

    /// Gives the session a seed; it is 0 otherwise.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Begins an episode on a task.
    pub fn open(self, task: impl Serialize) -> Result<Harness<E>> {
        Harness::<E>::check()?;
        let task = Json::new(task)?;
        Ok(Harness {
            episode: Episode::open(task.as_str(), self.secrets, self.seed)?,
            setup: None,
            finished: false,
        })
    }
}

impl<E: Environment> Harness<E> {
    /// Begins an episode on a task, without secrets and with seed 0.
    pub fn open(task: impl Serialize) -> Result<Self> {
        Self::builder().open(task)
    }

    /// To open an episode with secrets or a seed.
    pub fn builder() -> Builder<E> {
        Builder {
            secrets: BTreeMap::new(),
            seed: 0,
            environment: PhantomData,
        }
    }

    /// An episode with a secret; more can be added before it is opened.
    pub fn secret(name: impl Into<String>, value: impl Into<String>) -> Builder<E> {
        Self::builder().secret(name, value)
    }

    /// An episode with this seed.
    pub fn seed(seed: u64) -> Builder<E> {
        Self::builder().seed(seed)
    }

    /// The environment itself, to look at its state.
    pub fn environment(&mut self) -> &mut E {
        self.episode.environment()
    }

    /// Makes the episode ready, unless it is.
    pub fn setup(&mut self) -> Result<()> {
        let episode = &mut self.episode;
        let setup = self
            .setup
            .get_or_insert_with(|| episode.setup().map_err(|error| error.to_string()));
        setup.clone().map_err(Error::msg)
    }

    /// The blocks that begin the conversation.
    pub fn prompt(&mut self) -> Result<Vec<Block>> {
        self.setup()?;
        let blocks = self.episode.prompt()?;
        blocks.iter().try_for_each(check_block)?;
        Ok(blocks)
    }

    /// The conversation so far.
    pub fn messages(&mut self) -> Result<Vec<Message>> {
        self.setup()?;
        self.episode.messages()
    }

    /// The tools that the task adds to the listing.
    pub fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
        self.setup()?;
        let tools = self.episode.task_tools()?;
        let declared = tools::describe::<E>();
        for tool in &tools {
            if !declared.iter().any(|known| known.name == tool.name) {
                return Err(Error::msg(format_args!(
                    "the task's tool `{}` is no tool of the environment",
                    tool.name
                )));
            }
            check_object(tool.input_schema.as_ref(), "the schema of a task's tool")?;
        }
        Ok(tools)
    }

    /// Calls a tool.
    pub fn call(&mut self, tool: &str, input: impl Serialize) -> Result<Output, ToolError> {
        self.setup()?;
        if self.finished {
            return Err(ToolError::EpisodeFinished);
        }
        let input = Json::new(input)?;
        let output = self.episode.call(tool, input.as_str())?;
        output.blocks.iter().try_for_each(check_block)?;
        check_object(output.metadata.as_ref(), "the metadata of the output")?;
        if let Some(reward) = output.reward {
            check_reward(reward)?;
        }
        self.finished |= output.finished;
        Ok(output)
    }

    /// Scores candidates beside each other.
    pub fn score_group(&mut self, candidates: &[Candidate]) -> Result<Vec<Score>> {
        self.setup()?;
        let scores = self.episode.score_group(candidates)?;
        for score in &scores {
            check_reward(score.reward)?;
            check_object(score.metadata.as_ref(), "the metadata of a score")?;
        }
        if scores.len() != candidates.len() {
            return Err(Error::msg(format_args!(
                "score_group returned {} scores for {} candidates",
                scores.len(),
                candidates.len()
            )));
        }
        Ok(scores)
    }

    /// Ends the episode.
    pub fn teardown(mut self) -> Result<()> {
        self.episode.teardown()
    }

    /// The lists of tasks.
    pub fn splits() -> Vec<Split> {
        E::splits()
    }

    /// Every tool, listed or not.
    pub fn tools() -> Vec<ToolDescription> {
        tools::describe::<E>()
    }

    /// What the environment can do.
    pub fn supports() -> Supports {
        E::MARKED_WITH_ENVIRONMENT.supports
    }

    /// How many tasks a split has.
    pub fn num_tasks(split: &str) -> Result<u64, TaskError> {
        Catalog::new().num_tasks::<E>(split)
    }

    /// The tasks of a split.
    pub fn tasks(split: &str) -> Result<Vec<Value>, TaskError> {
        let tasks = Catalog::new().tasks::<E>(split, 0..u64::MAX)?;
        tasks.iter().map(|task| parsed(task)).collect()
    }

    /// One task of a split.
    pub fn task(split: &str, index: i64) -> Result<Value, TaskError> {
        parsed(&Catalog::new().task::<E>(split, index)?)
    }

    /// What a host would find wrong with the catalog before it serves it.
    /// Opening an episode checks it too.
    pub fn check() -> Result<()> {
        let splits = E::splits();
        if splits.is_empty() {
            return Err(Error::msg("the environment has no splits"));
        }
        for (place, split) in splits.iter().enumerate() {
            if split.name.is_empty() {
                return Err(Error::msg("a split has no name"));
            }
            if splits
                .iter()
                .take(place)
                .any(|earlier| earlier.name == split.name)
            {
                return Err(Error::msg(format_args!(
                    "two splits are called `{}`",
                    split.name
                )));
            }
        }
        tools::describe::<E>().iter().try_for_each(check_tool)
    }
}

fn parsed(task: &str) -> Result<Value, TaskError> {
    Ok(serde_json::from_str(task).map_err(Error::from)?)
}

fn check_tool(tool: &ToolDescription) -> Result<()> {
    let name = tool.name;
    let schema = tool.input_schema.as_ref();
    if let Some(schema) = schema
        && schema.get("type") != Some(&Value::from("object"))
    {
        return Err(Error::msg(format_args!(
            "the input of tool `{name}` must be a struct with named fields, its schema is {schema}"
        )));
    }
    let Visibility::Terminal(Some(argument)) = tool.visibility else {
        return Ok(());
    };
    let field = schema.and_then(|schema| schema.pointer(&format!("/properties/{argument}")));
    match field.and_then(|field| field.get("type")) {
        Some(kind) if kind == "string" => Ok(()),
        _ => Err(Error::msg(format_args!(
            "the terminal tool `{name}` has no field `{argument}` that is a string"
        ))),
    }
}

fn check_reward(reward: f64) -> Result<()> {
    match reward.is_finite() {
        true => Ok(()),
        false => Err(Error::msg(format_args!(
            "a reward must be finite and is {reward}"
        ))),
    }
}

fn check_block(block: &Block) -> Result<()> {
    let detail = match block {
        Block::Text(text) => &text.detail,
        Block::Image(image) => &image.detail,
    };
    check_object(detail.as_ref(), "the detail of a block")
}

fn check_object(object: Option<&Object>, what: &str) -> Result<()> {
    object.map_or(Ok(()), |object| object.text(what).map(drop))
}

/// Whether the episode is ready and whether it has finished, for what the
/// environment holds is its own affair.
impl<E> fmt::Debug for Harness<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("setup", &self.setup)
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}
