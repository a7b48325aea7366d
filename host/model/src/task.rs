//! Where a session's task comes from.

use super::Json;

/// What a split is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitKind {
    /// To learn from.
    Train,
    /// To tune on.
    Validation,
    /// Held out.
    Test,
}

impl SplitKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            SplitKind::Train => "train",
            SplitKind::Validation => "validation",
            SplitKind::Test => "test",
        }
    }
}

/// A named list of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Unique in its environment.
    pub name: String,
    /// What it is for.
    pub kind: SplitKind,
}

/// The task of a new session, as the client names it.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskSource {
    /// The task itself.
    Spec(Json),
    /// A task of the catalog. The index is `None` where the client wrote an
    /// integer that no 64-bit one holds: it is out of every range.
    Index {
        /// The split.
        split: String,
        /// The place in it, possibly negative.
        index: Option<i64>,
    },
}
