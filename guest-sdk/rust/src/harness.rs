//! Runs an environment natively, in ordinary unit tests.
//!
//! The harness takes the place of the host: requests use the same dispatch as in
//! a component, and results are validated as the host validates them.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use serde_json::Value;

use crate::{
    Block, Candidate, Environment, Error, Message, Output, Result, Score, Split, TaskTool,
    ToolError,
    data::{self, TestLayer},
    environment::{Capabilities, Catalog, Episode, TaskError},
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
/// #     fn open(task: Task, _: &SessionParams) -> Result<Self> { Ok(Counter(0, task.target)) }
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
/// Setup runs once, before the first request. To test its result, call
/// [`setup`](Self::setup) first.
///
/// The episode works on a fresh copy of the environment's data, which
/// [`data_dir`](crate::data_dir) returns: what it writes there, no other episode
/// and no other run of the tests sees, and the author's files never change.
pub struct Harness<E> {
    episode: Episode<E>,
    layer: Arc<TestLayer>,
    setup: Option<std::result::Result<(), String>>,
    finished: bool,
}

/// Builds a [`Harness`] with secrets and a seed.
pub struct Builder<E> {
    secrets: BTreeMap<String, String>,
    seed: u64,
    data: Option<PathBuf>,
    environment: PhantomData<fn() -> E>,
}

impl<E: Environment> Builder<E> {
    /// Adds a secret.
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.insert(name.into(), value.into());
        self
    }

    /// Sets the seed; the default is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the folder of which the episode gets a copy as its data. The default
    /// is the one that `data` in `orwd.toml` names, or else `data`.
    pub fn data(mut self, folder: impl AsRef<Path>) -> Self {
        self.data = Some(folder.as_ref().to_owned());
        self
    }

    /// Opens an episode on a task.
    pub fn open(self, task: impl Serialize) -> Result<Harness<E>> {
        let layer = TestLayer::over(self.data);
        layer.enter(Harness::<E>::check)?;
        let task = Json::new(task)?;
        let open = || Episode::open(task.as_str(), self.secrets, self.seed);
        Ok(Harness {
            episode: layer.enter(open)?,
            layer,
            setup: None,
            finished: false,
        })
    }
}

impl<E: Environment> Harness<E> {
    /// Opens an episode on a task, without secrets and with seed 0.
    pub fn open(task: impl Serialize) -> Result<Self> {
        Self::builder().open(task)
    }

    /// Returns a builder, for an episode with secrets or a seed.
    pub fn builder() -> Builder<E> {
        Builder {
            secrets: BTreeMap::new(),
            seed: 0,
            data: None,
            environment: PhantomData,
        }
    }

    /// Returns a builder with a secret; more can be added.
    pub fn secret(name: impl Into<String>, value: impl Into<String>) -> Builder<E> {
        Self::builder().secret(name, value)
    }

    /// Returns a builder with this seed.
    pub fn seed(seed: u64) -> Builder<E> {
        Self::builder().seed(seed)
    }

    /// Returns the environment, to inspect its state.
    pub fn environment(&mut self) -> &mut E {
        self.episode.environment()
    }

    /// Returns the data folder of this episode, to inspect what it wrote.
    pub fn data_dir(&self) -> PathBuf {
        self.layer.enter(data::data_dir)
    }

    /// Runs a request on the data of this episode.
    fn run<T>(&mut self, request: impl FnOnce(&mut Episode<E>) -> T) -> T {
        let episode = &mut self.episode;
        self.layer.enter(|| request(episode))
    }

    /// Prepares the episode, unless that was done before.
    pub fn setup(&mut self) -> Result<()> {
        if self.setup.is_none() {
            let setup = self.run(Episode::setup);
            self.setup = Some(setup.map_err(|error| error.to_string()));
        }
        self.setup.clone().unwrap_or(Ok(())).map_err(Error::msg)
    }

    /// Returns the blocks that begin the conversation.
    pub fn prompt(&mut self) -> Result<Vec<Block>> {
        self.setup()?;
        let blocks = self.run(Episode::prompt)?;
        blocks.iter().try_for_each(check_block)?;
        Ok(blocks)
    }

    /// Returns the conversation so far.
    pub fn messages(&mut self) -> Result<Vec<Message>> {
        self.setup()?;
        self.run(Episode::messages)
    }

    /// Returns the tools that the task adds to the listing.
    pub fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
        self.setup()?;
        let tools = self.run(Episode::task_tools)?;
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
        let output = self.run(|episode| episode.call(tool, input.as_str()))?;
        output.blocks.iter().try_for_each(check_block)?;
        check_object(output.metadata.as_ref(), "the metadata of the output")?;
        if let Some(reward) = output.reward {
            check_reward(reward)?;
        }
        self.finished |= output.finished;
        Ok(output)
    }

    /// Scores a group of candidates.
    pub fn score_group(&mut self, candidates: &[Candidate]) -> Result<Vec<Score>> {
        self.setup()?;
        let scores = self.run(|episode| episode.score_group(candidates))?;
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
        self.run(Episode::teardown)
    }

    /// Returns the splits.
    pub fn splits() -> Vec<Split> {
        E::splits()
    }

    /// Returns every tool, listed or not.
    pub fn tools() -> Vec<ToolDescription> {
        tools::describe::<E>()
    }

    /// Returns the optional functions that the environment implements.
    pub fn capabilities() -> Capabilities {
        E::MARKED_WITH_ENVIRONMENT.capabilities
    }

    /// Returns the number of tasks of a split.
    pub fn num_tasks(split: &str) -> Result<u64, TaskError> {
        Catalog::new().num_tasks::<E>(split)
    }

    /// Returns the tasks of a split.
    pub fn tasks(split: &str) -> Result<Vec<Value>, TaskError> {
        let tasks = Catalog::new().tasks::<E>(split, 0..u64::MAX)?;
        tasks.iter().map(|task| parsed(task)).collect()
    }

    /// Returns a task of a split.
    pub fn task(split: &str, index: i64) -> Result<Value, TaskError> {
        parsed(&Catalog::new().task::<E>(split, index)?)
    }

    /// Validates the catalog as the host does before it serves the environment.
    /// Opening an episode includes this check.
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

/// Shows whether setup ran and whether the episode has finished. The environment
/// need not implement `Debug`.
impl<E> fmt::Debug for Harness<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("setup", &self.setup)
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}
