//! The catalog of an environment as the host requests it: tasks as JSON text,
//! and errors of the three kinds that the host distinguishes.

use std::ops::Range;

use super::definition::{Environment, resolve_index};
use crate::{Error, json::clipped};

/// The reason why a task request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskError {
    /// The split does not exist.
    InvalidSplit,
    /// The split has no task with this index.
    InvalidIndex,
    /// The lookup failed, with this message.
    Failed(String),
}

impl std::fmt::Display for TaskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InvalidSplit => "Invalid split",
            Self::InvalidIndex => "Invalid index",
            Self::Failed(message) => message,
        })
    }
}

impl std::error::Error for TaskError {}

impl From<Error> for TaskError {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A cache of the tasks of the most recently listed split. A host requests a
/// long list in pages or single tasks, and each request would otherwise build
/// the whole list.
#[derive(Default)]
pub(crate) struct Catalog {
    listed: Option<(String, Vec<String>)>,
}

impl Catalog {
    pub(crate) const fn new() -> Self {
        Self { listed: None }
    }

    pub(crate) fn num_tasks<E: Environment>(&mut self, split: &str) -> Result<u64, TaskError> {
        known::<E>(split)?;
        match E::MARKED_WITH_ENVIRONMENT.counts {
            true => Ok(E::num_tasks(split)?),
            false => Ok(self.listed::<E>(split)?.len() as u64),
        }
    }

    /// Returns the tasks of a range, clipped to the length of the list.
    pub(crate) fn tasks<E: Environment>(
        &mut self,
        split: &str,
        range: Range<u64>,
    ) -> Result<Vec<String>, TaskError> {
        known::<E>(split)?;
        let about = E::MARKED_WITH_ENVIRONMENT;
        if about.capabilities.listing && about.counts && about.looks_up {
            return looked_up::<E>(split, range);
        }
        let listed = self.listed::<E>(split)?;
        let bound = |at| usize::try_from(at).unwrap_or(usize::MAX).min(listed.len());
        let range = bound(range.start)..bound(range.end);
        Ok(listed.get(range).unwrap_or_default().to_vec())
    }

    pub(crate) fn task<E: Environment>(
        &mut self,
        split: &str,
        index: i64,
    ) -> Result<String, TaskError> {
        known::<E>(split)?;
        let task = match E::MARKED_WITH_ENVIRONMENT.looks_up {
            true => E::task(split, index)?.as_ref().map(written).transpose()?,
            false => {
                let listed = self.listed::<E>(split)?;
                resolve_index(index, listed.len()).and_then(|place| listed.get(place).cloned())
            }
        };
        task.ok_or(TaskError::InvalidIndex)
    }

    fn listed<E: Environment>(&mut self, split: &str) -> Result<&[String], TaskError> {
        if self.listed.as_ref().is_none_or(|(name, _)| name != split) {
            let tasks = E::tasks(split)?;
            let tasks = tasks.iter().map(written).collect::<Result<_, _>>()?;
            self.listed = Some((split.to_owned(), tasks));
        }
        Ok(self.listed.as_ref().map_or(&[], |(_, tasks)| tasks))
    }
}

/// Looks up the tasks of a range, so that no more of them than these are in memory.
fn looked_up<E: Environment>(split: &str, range: Range<u64>) -> Result<Vec<String>, TaskError> {
    let end = range.end.min(E::num_tasks(split)?);
    (range.start..end)
        .map(|index| {
            let index = i64::try_from(index).map_err(Error::from)?;
            let task = E::task(split, index)?;
            written(&task.ok_or(TaskError::InvalidIndex)?)
        })
        .collect()
}

fn known<E: Environment>(split: &str) -> Result<(), TaskError> {
    match E::splits().iter().any(|known| known.name == split) {
        true => Ok(()),
        false => Err(TaskError::InvalidSplit),
    }
}

fn written(task: &impl serde::Serialize) -> Result<String, TaskError> {
    let text = serde_json::to_string(task)
        .map_err(|error| TaskError::Failed(format!("a task cannot be written: {error}")))?;
    match text.starts_with('{') {
        true => Ok(text),
        false => Err(TaskError::Failed(format!(
            "a task must be a JSON object and is {}",
            clipped(&text)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::Catalog;
    use crate::prelude::*;

    struct Shelf;

    thread_local! {
        static LISTS_MADE: Cell<u32> = const { Cell::new(0) };
    }

    #[environment]
    impl Environment for Shelf {
        type Task = Json;

        fn splits() -> Vec<Split> {
            vec![Split::train("low"), Split::test("high")]
        }

        fn tasks(split: &str) -> Result<Vec<Json>> {
            LISTS_MADE.set(LISTS_MADE.get() + 1);
            (0..10)
                .map(|n| Json::new(json!({"n": n, "split": split})))
                .collect()
        }

        fn open(_task: Json, _session: &SessionParams) -> Result<Self> {
            Ok(Self)
        }

        fn prompt(&mut self) -> Result<Vec<Block>> {
            Ok(vec![])
        }
    }

    #[tools]
    impl Shelf {
        #[tool]
        fn look(&self) -> Output {
            Output::empty()
        }
    }

    #[test]
    fn a_list_taken_page_by_page_is_made_once() {
        let mut catalog = Catalog::new();
        let mut page = |split: &str, start, stop| {
            let tasks = catalog.tasks::<Shelf>(split, start..stop).unwrap();
            (tasks.len(), LISTS_MADE.get())
        };
        assert_eq!(page("low", 0, 4), (4, 1));
        assert_eq!(page("low", 4, 10), (6, 1));
        assert_eq!(page("low", 8, 99), (2, 1));
        assert_eq!(page("low", 99, u64::MAX), (0, 1));
        assert_eq!(page("high", 0, 1), (1, 2));
        assert_eq!(catalog.num_tasks::<Shelf>("high"), Ok(10));
        let last = catalog.task::<Shelf>("high", -1).unwrap();
        assert_eq!(last, r#"{"n":9,"split":"high"}"#);
        assert_eq!(LISTS_MADE.get(), 2);
    }
}
