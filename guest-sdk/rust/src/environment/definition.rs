//! The trait that an environment implements, and the types of its arguments.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Block, Candidate, Error, Message, Output, Result, Rng, Score, ToolError,
    tools::{TaskTool, Tools},
};

/// An environment: tasks, and episodes on them.
///
/// A value is one episode. The functions without `self` are the catalog of
/// tasks: the host calls them at any time, in a separate instance, and caches
/// the results. Mark the `impl` with [`#[environment]`](macro@crate::environment),
/// which derives the capabilities of the environment from the functions in it.
///
/// Required are `splits`, `open`, `prompt` or `messages`, and `tasks` or
/// `num_tasks` with `task`. The other functions have defaults.
pub trait Environment: Tools {
    /// The task spec: any type that serde reads and writes as a JSON object.
    /// Use [`Json`](crate::Json) to receive the text of a spec unchanged.
    ///
    /// Clients may send specs that are not in the catalog. Give optional fields
    /// `#[serde(default)]`.
    type Task: Serialize + DeserializeOwned;

    /// Returns the splits, in the order in which clients see them.
    fn splits() -> Vec<Split>;

    /// Returns all tasks of a split.
    ///
    /// An environment that cannot or should not list its tasks implements
    /// [`num_tasks`](Self::num_tasks) and [`task`](Self::task) instead.
    fn tasks(split: &str) -> Result<Vec<Self::Task>> {
        let _ = split;
        Err(Error::msg("this environment does not list its tasks"))
    }

    /// Returns the number of tasks of a split; by default the length of
    /// [`tasks`](Self::tasks).
    fn num_tasks(split: &str) -> Result<u64> {
        Ok(Self::tasks(split)?.len() as u64)
    }

    /// Returns a task, or `None` if the index is out of range. By default it is
    /// taken from [`tasks`](Self::tasks), and a negative index counts from the
    /// end.
    fn task(split: &str, index: i64) -> Result<Option<Self::Task>> {
        let mut tasks = Self::tasks(split)?;
        Ok(resolve_index(index, tasks.len()).map(|index| tasks.swap_remove(index)))
    }

    /// Creates an episode. It should return quickly: slow work belongs in
    /// [`setup`](Self::setup). An error rejects the session.
    fn open(task: Self::Task, session: &SessionParams) -> Result<Self>;

    /// Prepares the episode; called once, before the methods below. Every later
    /// request of the session returns its error.
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }

    /// Returns the blocks that begin the conversation. May be called repeatedly.
    fn prompt(&mut self) -> Result<Vec<Block>> {
        Err(Error::msg("this environment has messages and no prompt"))
    }

    /// Returns the conversation so far. May be called repeatedly.
    fn messages(&mut self) -> Result<Vec<Message>> {
        Err(Error::msg("this environment has a prompt and no messages"))
    }

    /// Is called after each tool, those of toolsets included, with its result, and
    /// returns the result for the client. Here an environment counts steps, ends
    /// the episode or adds a reward.
    fn after_call(
        &mut self,
        tool: &str,
        result: Result<Output, ToolError>,
    ) -> Result<Output, ToolError> {
        let _ = tool;
        result
    }

    /// Returns the tools that this task adds to the listing. May be called
    /// repeatedly.
    fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
        Ok(Vec::new())
    }

    /// Scores a group of candidates for this task and returns one score for
    /// each, in the same order. Must not change the episode.
    fn score_group(&mut self, candidates: &[Candidate]) -> Result<Vec<Score>> {
        let _ = candidates;
        Err(Error::msg("this environment does not score groups"))
    }

    /// Ends the episode. An error is logged and has no other effect.
    fn teardown(&mut self) -> Result<()> {
        Ok(())
    }

    /// Defined by `#[environment]`, with which the `impl` must be marked.
    #[doc(hidden)]
    const MARKED_WITH_ENVIRONMENT: EnvironmentInfo;
}

/// Resolves an index into a list; a negative index counts from the end.
pub(crate) fn resolve_index(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let index = if index < 0 {
        index.checked_add(len)?
    } else {
        index
    };
    (0..len)
        .contains(&index)
        .then(|| usize::try_from(index).ok())
        .flatten()
}

/// Facts that `#[environment]` derives from the `impl` block.
#[doc(hidden)]
pub struct EnvironmentInfo {
    pub name: &'static str,
    pub version: &'static str,
    pub capabilities: Capabilities,
    /// It overrides `num_tasks`.
    pub counts: bool,
    /// It overrides `task`.
    pub looks_up: bool,
}

/// The optional functions that an environment implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It implements `prompt`.
    pub prompts: bool,
    /// It implements `messages`.
    pub messages: bool,
    /// It implements `task_tools`.
    pub task_tools: bool,
    /// It implements `score_group`.
    pub score_group: bool,
    /// It implements `tasks`.
    pub listing: bool,
}

/// A named list of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Unique in the environment and not empty.
    pub name: String,
    /// The purpose of the split.
    pub kind: SplitKind,
}

/// The purpose of a split. A client may treat test splits as held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitKind {
    /// For training.
    Train,
    /// For validation during training.
    Validation,
    /// For evaluation.
    Test,
}

impl Split {
    /// Creates a split whose kind follows from its name: `train` and `test` have
    /// the kind of that name, and any other name is for validation.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        let kind = match name.as_str() {
            "train" => SplitKind::Train,
            "test" => SplitKind::Test,
            _ => SplitKind::Validation,
        };
        Self { name, kind }
    }

    /// Creates a training split.
    pub fn train(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SplitKind::Train,
        }
    }

    /// Creates a validation split.
    pub fn validation(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SplitKind::Validation,
        }
    }

    /// Creates a test split.
    pub fn test(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SplitKind::Test,
        }
    }
}

/// The parameters of a session other than its task: secrets and a seed.
#[derive(Clone, Default)]
pub struct SessionParams {
    secrets: BTreeMap<String, String>,
    seed: u64,
}

/// The earlier name of [`SessionParams`], so that environments written for it
/// still build.
#[deprecated(note = "renamed to `SessionParams`")]
pub type Opening = SessionParams;

impl SessionParams {
    pub(crate) fn new(secrets: BTreeMap<String, String>, seed: u64) -> Self {
        Self { secrets, seed }
    }

    /// Returns a secret that the client sent, if `orwd.toml` declares its name.
    pub fn secret(&self, name: &str) -> Option<&str> {
        self.secrets.get(name).map(String::as_str)
    }

    /// Returns the seed of the session: the number that the client or the
    /// manifest set, or one that the host drew. The host also derives the random
    /// numbers of the system from it, as a separate stream.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a random number generator seeded with [`seed`](Self::seed). Each
    /// call returns the same initial state: call it once and keep the generator.
    pub fn rng(&self) -> Rng {
        Rng::from_seed(self.seed)
    }
}

/// Shows the names of the secrets but not their values.
impl fmt::Debug for SessionParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionParams")
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .field("seed", &self.seed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{SessionParams, Split, SplitKind, resolve_index};

    #[test]
    fn the_kind_of_a_split_follows_from_its_name() {
        for (name, kind) in [
            ("train", SplitKind::Train),
            ("validation", SplitKind::Validation),
            ("test", SplitKind::Test),
            ("holdout", SplitKind::Validation),
            ("Test", SplitKind::Validation),
        ] {
            assert_eq!(Split::named(name).kind, kind, "{name}");
        }
    }

    #[test]
    fn negative_indices_count_from_the_end() {
        let cases = [
            (0, Some(0)),
            (4, Some(4)),
            (5, None),
            (-1, Some(4)),
            (-5, Some(0)),
            (-6, None),
            (i64::MIN, None),
            (i64::MAX, None),
        ];
        for (index, expected) in cases {
            assert_eq!(resolve_index(index, 5), expected, "{index}");
        }
        assert_eq!(resolve_index(0, 0), None);
    }

    #[test]
    fn debug_output_hides_the_values_of_secrets() {
        let params = SessionParams::new([("K".to_owned(), "hush".to_owned())].into(), 1);
        assert_eq!(params.secret("K"), Some("hush"));
        assert_eq!(params.secret("L"), None);
        let shown = format!("{params:?}");
        assert!(shown.contains('K') && !shown.contains("hush"), "{shown}");
    }
}
