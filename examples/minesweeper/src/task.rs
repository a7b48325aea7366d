//! Task specs and their validation.
//!
//! A client may send its own task, so this module validates every value that a
//! board relies on. An error states the received value and the valid values.
//! `Rules` can only be created by validation.

use serde::{Deserialize, Serialize};

/// A task as clients see it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// A label for people.
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) mines: usize,
    #[serde(default)]
    pub(crate) reward: RewardShape,
    /// The seed of the board; by default the seed of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
}

/// The reward scheme.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RewardShape {
    /// At the end: 1 for a cleared board, 0 for a mine.
    #[default]
    Sparse,
    /// With each reveal: the fraction of the safe cells that it opened. The sum
    /// over an episode is the fraction that was cleared; a mine adds 0.
    Dense,
}

/// The reason why a task is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Impossible {
    #[error("`{side}` is {asked}: a board has 1 to {MOST_PER_SIDE} of them")]
    Side { side: &'static str, asked: usize },
    #[error("a board of one cell has no room for a mine and a safe first reveal")]
    OneCell,
    #[error(
        "`mines` is {asked}: a board of {rows} by {columns} has room for 1 to {room}, \
         for the first reveal is safe"
    )]
    Mines {
        asked: usize,
        rows: usize,
        columns: usize,
        room: usize,
    },
}

/// Larger boards are no harder for an agent, only longer to read.
const MOST_PER_SIDE: usize = 40;

/// The size of a valid board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    rows: usize,
    columns: usize,
    mines: usize,
}

impl Rules {
    /// Validates the size of a board.
    pub(crate) fn new(rows: usize, columns: usize, mines: usize) -> Result<Self, Impossible> {
        for (side, asked) in [("rows", rows), ("columns", columns)] {
            if !(1..=MOST_PER_SIDE).contains(&asked) {
                return Err(Impossible::Side { side, asked });
            }
        }
        let room = rows * columns - 1;
        if room == 0 {
            return Err(Impossible::OneCell);
        }
        if !(1..=room).contains(&mines) {
            return Err(Impossible::Mines {
                asked: mines,
                rows,
                columns,
                room,
            });
        }
        Ok(Self {
            rows,
            columns,
            mines,
        })
    }

    pub(crate) fn rows(self) -> usize {
        self.rows
    }

    pub(crate) fn columns(self) -> usize {
        self.columns
    }

    pub(crate) fn mines(self) -> usize {
        self.mines
    }

    pub(crate) fn cells(self) -> usize {
        self.rows * self.columns
    }

    /// Returns the number of cells without a mine; at least 1.
    pub(crate) fn safe_cells(self) -> usize {
        self.cells() - self.mines
    }
}

/// A level of difficulty.
struct Level {
    name: &'static str,
    rows: usize,
    columns: usize,
    mines: usize,
}

const LEVELS: [Level; 4] = [
    Level {
        name: "tiny",
        rows: 5,
        columns: 5,
        mines: 3,
    },
    Level {
        name: "beginner",
        rows: 9,
        columns: 9,
        mines: 10,
    },
    Level {
        name: "intermediate",
        rows: 16,
        columns: 16,
        mines: 40,
    },
    Level {
        name: "expert",
        rows: 16,
        columns: 30,
        mines: 99,
    },
];

/// The seeds of the boards of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boards {
    pub(crate) split: &'static str,
    first_seed: u64,
    per_level: u64,
}

/// The training boards.
pub(crate) const TRAIN: Boards = Boards {
    split: "train",
    first_seed: 0,
    per_level: 50,
};

/// The held-out boards: their seeds differ from those of the training boards.
pub(crate) const TEST: Boards = Boards {
    split: "test",
    first_seed: 1_000_000,
    per_level: 10,
};

impl Boards {
    /// Returns every task of the split: for each level each board, once with
    /// sparse and once with dense reward.
    pub(crate) fn tasks(self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for level in &LEVELS {
            for board in 0..self.per_level {
                for (shape, name) in [
                    (RewardShape::Sparse, "sparse"),
                    (RewardShape::Dense, "dense"),
                ] {
                    tasks.push(Task {
                        id: format!("{}-{}-{board}-{name}", self.split, level.name),
                        rows: level.rows,
                        columns: level.columns,
                        mines: level.mines,
                        reward: shape,
                        seed: Some(self.first_seed + board),
                    });
                }
            }
        }
        tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_task_of_the_splits_is_valid() {
        for (boards, count) in [(TRAIN, 400), (TEST, 80)] {
            let tasks = boards.tasks();
            assert_eq!(tasks.len(), count);
            let ids: HashSet<_> = tasks.iter().map(|task| &task.id).collect();
            assert_eq!(ids.len(), count);
            for task in &tasks {
                Rules::new(task.rows, task.columns, task.mines).unwrap();
            }
        }
    }

    #[test]
    fn no_board_is_in_both_splits() {
        let seeds = |boards: Boards| -> HashSet<_> {
            boards.tasks().into_iter().map(|task| task.seed).collect()
        };
        assert!(seeds(TRAIN).is_disjoint(&seeds(TEST)));
    }

    #[test]
    fn the_error_for_an_invalid_board_states_the_valid_values() {
        let table = [
            (0, 5, 1, "`rows` is 0: a board has 1 to 40 of them"),
            (5, 41, 1, "`columns` is 41: a board has 1 to 40 of them"),
            (
                1,
                1,
                1,
                "a board of one cell has no room for a mine and a safe first reveal",
            ),
            (
                5,
                4,
                0,
                "`mines` is 0: a board of 5 by 4 has room for 1 to 19, for the first reveal is safe",
            ),
            (
                5,
                4,
                20,
                "`mines` is 20: a board of 5 by 4 has room for 1 to 19, for the first reveal is safe",
            ),
            (
                40,
                40,
                usize::MAX,
                &format!(
                    "`mines` is {}: a board of 40 by 40 has room for 1 to 1599, \
                     for the first reveal is safe",
                    usize::MAX
                ),
            ),
        ];
        for (rows, columns, mines, why) in table {
            assert_eq!(
                Rules::new(rows, columns, mines).unwrap_err().to_string(),
                why
            );
        }
        for (rows, columns, mines) in [(1, 2, 1), (40, 40, 1599), (1, 40, 1)] {
            assert!(Rules::new(rows, columns, mines).is_ok());
        }
    }

    #[test]
    fn only_the_size_of_the_board_is_required() {
        let task: Task = serde_json::from_str(r#"{"rows":3,"columns":4,"mines":2}"#).unwrap();
        assert_eq!((task.reward, task.seed), (RewardShape::Sparse, None));
        let misspelt = r#"{"rows":3,"columns":4,"mines":2,"sed":1}"#;
        assert!(serde_json::from_str::<Task>(misspelt).is_err());
    }
}
