//! Splits, and the source of a session's task.

use crate::content::Json;

named_enum! {
    /// The purpose of a split.
    SplitKind;
    /// Training.
    Train = "train",
    /// Tuning.
    Validation = "validation",
    /// Held-out evaluation.
    Test = "test",
}

/// A named list of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The name, unique in the environment.
    pub name: String,
    /// The purpose.
    pub kind: SplitKind,
}

/// The task of a new session, as the client specifies it.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskSource {
    /// The task itself.
    Spec(Json),
    /// A task of a split.
    Index {
        /// The split.
        split: String,
        /// The index, possibly negative. `None` stands for an integer that does
        /// not fit 64 bits; it is out of every range.
        index: Option<i64>,
    },
}
