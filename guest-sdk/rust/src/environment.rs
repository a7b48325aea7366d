//! The trait that an environment implements, and what its functions are given.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Block, Candidate, Error, Message, Result, Rng, Score,
    tools::{TaskTool, Tools},
};

/// An environment: tasks, and episodes on them.
///
/// The value is one episode; the functions without `self` are the catalog of
/// tasks, which the host asks at any time, in an instance of its own, and whose
/// answers it keeps. Mark the `impl` with [`#[environment]`](macro@crate::environment),
/// which reads from the functions that are there what the environment supports.
///
/// Needed are `splits`, `tasks` or `num_tasks` with `task`, `open`, and `prompt`
/// or `messages`. The rest has defaults.
pub trait Environment: Tools {
    /// What an episode starts from. Any type that serde reads and writes, as a
    /// JSON object; [`Json`](crate::Json) to see specs as they were written.
    ///
    /// Clients may also make up specs, so be it with `#[serde(default)]`.
    type Task: Serialize + DeserializeOwned;

    /// The lists of tasks, in the order in which clients see them.
    fn splits() -> Vec<Split>;

    /// All tasks of one of the splits.
    ///
    /// An environment that cannot or should not list its tasks implements
    /// [`num_tasks`](Self::num_tasks) and [`task`](Self::task) instead.
    fn tasks(split: &str) -> Result<Vec<Self::Task>> {
        let _ = split;
        Err(Error::msg("this environment does not list its tasks"))
    }

    /// How many tasks a split has; by default as many as are listed.
    fn num_tasks(split: &str) -> Result<u64> {
        Ok(Self::tasks(split)?.len() as u64)
    }

    /// One task; none if there is no such index. By default one of those
    /// listed, a negative index counting from the end.
    fn task(split: &str, index: i64) -> Result<Option<Self::Task>> {
        let mut tasks = Self::tasks(split)?;
        Ok(place(index, tasks.len()).map(|place| tasks.swap_remove(place)))
    }

    /// Begins an episode. Quick: slow work belongs in [`setup`](Self::setup).
    /// An error refuses the session.
    fn open(task: Self::Task, session: &Opening) -> Result<Self>;

    /// Makes the episode ready; called once, before all that follows. An error
    /// is told to every later request of the session.
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }

    /// The blocks that begin the conversation. May be called more than once.
    fn prompt(&mut self) -> Result<Vec<Block>> {
        Err(Error::msg("this environment has messages and no prompt"))
    }

    /// The conversation so far. May be called more than once.
    fn messages(&mut self) -> Result<Vec<Message>> {
        Err(Error::msg("this environment has a prompt and no messages"))
    }

    /// The tools that this task adds to the listing. May be called more than
    /// once.
    fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
        Ok(Vec::new())
    }

    /// Scores candidates for this task beside each other: as many scores as
    /// candidates, in their order. Changes nothing in the episode.
    fn score_group(&mut self, candidates: &[Candidate]) -> Result<Vec<Score>> {
        let _ = candidates;
        Err(Error::msg("this environment does not score groups"))
    }

    /// Ends the episode. An error is logged and changes nothing.
    fn teardown(&mut self) -> Result<()> {
        Ok(())
    }

    /// Set by `#[environment]`, which the `impl` must be marked with.
    #[doc(hidden)]
    const MARKED_WITH_ENVIRONMENT: About;
}

/// The place in a list that an index means, negative ones counting from the
/// end.
pub(crate) fn place(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let place = if index < 0 {
        index.checked_add(len)?
    } else {
        index
    };
    (0..len)
        .contains(&place)
        .then(|| usize::try_from(place).ok())
        .flatten()
}

/// What `#[environment]` has read.
#[doc(hidden)]
pub struct About {
    pub name: &'static str,
    pub version: &'static str,
    pub supports: Supports,
    /// It has a `num_tasks` of its own.
    pub counts: bool,
    /// It has a `task` of its own.
    pub looks_up: bool,
}

/// What an environment can do beyond the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supports {
    /// It has `prompt`.
    pub prompts: bool,
    /// It has `messages`.
    pub messages: bool,
    /// It has `task_tools`.
    pub task_tools: bool,
    /// It has `score_group`.
    pub score_group: bool,
    /// It has `tasks`.
    pub listing: bool,
}

/// A named list of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Unique in the environment, and not empty.
    pub name: String,
    /// What it is for.
    pub kind: SplitKind,
}

/// What a split is for. A client may treat test splits as held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitKind {
    /// To learn from.
    Train,
    /// To steer learning by.
    Validation,
    /// To measure with.
    Test,
}

impl Split {
    /// A split whose name says what it is for: `train`, `validation` and `test`
    /// are what they are called, any other is for validation.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        let kind = match name.as_str() {
            "train" => SplitKind::Train,
            "test" => SplitKind::Test,
            _ => SplitKind::Validation,
        };
        Self { name, kind }
    }

    /// A split to learn from.
    pub fn train(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SplitKind::Train,
        }
    }

    /// A split to steer learning by.
    pub fn validation(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SplitKind::Validation,
        }
    }

    /// A split to measure with.
    pub fn test(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SplitKind::Test,
        }
    }
}

/// What an episode is opened with, beside its task.
#[derive(Clone, Default)]
pub struct Opening {
    secrets: BTreeMap<String, String>,
    seed: u64,
}

impl Opening {
    pub(crate) fn new(secrets: BTreeMap<String, String>, seed: u64) -> Self {
        Self { secrets, seed }
    }

    /// A secret of the session's owner.
    pub fn secret(&self, name: &str) -> Option<&str> {
        self.secrets.get(name).map(String::as_str)
    }

    /// The seed of the session: the very number that the client or the manifest
    /// set, or else one that the host drew. What the system gives as random is
    /// made of it too, but in another way.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A generator of random numbers that starts from the seed. Each call
    /// gives the same one: take it once and keep it.
    pub fn rng(&self) -> Rng {
        Rng::from_seed(self.seed)
    }
}

/// Names the secrets and hides their values.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .field("seed", &self.seed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Opening, Split, SplitKind, place};

    #[test]
    fn names_say_what_a_split_is_for() {
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
            assert_eq!(place(index, 5), expected, "{index}");
        }
        assert_eq!(place(0, 0), None);
    }

    #[test]
    fn secrets_do_not_show() {
        let opening = Opening::new([("K".to_owned(), "hush".to_owned())].into(), 1);
        assert_eq!(opening.secret("K"), Some("hush"));
        assert_eq!(opening.secret("L"), None);
        let shown = format!("{opening:?}");
        assert!(shown.contains('K') && !shown.contains("hush"), "{shown}");
    }
}
