//! Open every cell of a mine field that hides no mine.
//!
//! A task sets the size of the board, the number of mines, the seed and the
//! reward scheme; a client may send its own. Clients see only the revealed cells
//! of the board.

mod board;
mod picture;
mod task;

use orwd_sdk::prelude::*;

use board::{Board, Cell, Refused, Standing};
use picture::{LEGEND, Picture};
use task::{Boards, RewardShape, Rules, TEST, TRAIN, Task};

struct Minesweeper {
    board: Board,
    shape: RewardShape,
}

#[environment]
impl Environment for Minesweeper {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train(TRAIN.split), Split::test(TEST.split)]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        [TRAIN, TEST]
            .into_iter()
            .find(|boards| boards.split == split)
            .map(Boards::tasks)
            .with_context(|| format!("there is no split {split:?}"))
    }

    fn open(task: Task, session: &SessionParams) -> Result<Self> {
        let rules = Rules::new(task.rows, task.columns, task.mines)?;
        let seed = task.seed.unwrap_or_else(|| session.seed());
        Ok(Self {
            board: Board::new(rules, seed),
            shape: task.reward,
        })
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        let rules = self.board.rules();
        Ok(vec![text(format!(
            "A board has {} rows and {} columns. Mines hidden on it: {}. Reveal every cell \
             that hides none: the first reveal is safe, and revealing a mine loses. Rows and columns are \
             counted from 0, from the top left. A cell without a mine near it opens its \
             neighbours too.\n\
             Signs: {LEGEND}.\n\
             \n\
             {}",
            rules.rows(),
            rules.columns(),
            rules.mines(),
            Picture(&self.board)
        ))])
    }
}

/// Where a cell is.
#[derive(Deserialize, JsonSchema)]
struct Place {
    /// The row, counted from 0 at the top.
    row: i64,
    /// The column, counted from 0 at the left.
    column: i64,
}

#[tools]
impl Minesweeper {
    /// Reveals a cell. A mine ends the game; a cell without a mine near it
    /// opens its neighbours too.
    #[tool]
    fn reveal(&mut self, input: Place) -> Result<Output> {
        let revealed = self.cell(&input).and_then(|cell| self.board.reveal(cell));
        let opened = match revealed {
            Ok(opened) => opened,
            Err(why) => return Ok(nothing_done(&why)),
        };
        let standing = self.board.standing();
        let head = match standing {
            Standing::Open => format!("Opened: {opened}. {}", self.progress()),
            Standing::Cleared => "The board is cleared.".to_owned(),
            Standing::Exploded => "That was a mine. The game is lost.".to_owned(),
        };
        let output = self.shown(&head).finish_if(standing != Standing::Open);
        Ok(match self.reward(standing, opened) {
            Some(reward) => output.reward(reward),
            None => output,
        })
    }

    /// Puts a flag on a hidden cell, or takes it away. A flagged cell cannot
    /// be revealed.
    #[tool]
    fn flag(&mut self, input: Place) -> Result<Output> {
        let toggled = self
            .cell(&input)
            .and_then(|cell| self.board.toggle_flag(cell));
        Ok(match toggled {
            Ok(true) => self.shown(&format!("Flagged. {}", self.progress())),
            Ok(false) => self.shown(&format!("Flag taken away. {}", self.progress())),
            Err(why) => nothing_done(&why),
        })
    }
}

impl Minesweeper {
    fn cell(&self, place: &Place) -> Result<Cell, Refused> {
        self.board.at(place.row, place.column)
    }

    /// Returns the reward of a reveal, if there is one.
    fn reward(&self, standing: Standing, opened: usize) -> Option<f64> {
        match (self.shape, standing) {
            (RewardShape::Sparse, Standing::Open) => None,
            (RewardShape::Sparse, Standing::Cleared) => Some(1.0),
            (_, Standing::Exploded) => Some(0.0),
            (RewardShape::Dense, _) => Some(opened as f64 / self.board.rules().safe_cells() as f64),
        }
    }

    fn progress(&self) -> String {
        format!(
            "Safe cells to open: {}. Mines: {}, flags: {}.",
            self.board.to_open(),
            self.board.rules().mines(),
            self.board.flags()
        )
    }

    /// Returns a line of text with the board below it.
    fn shown(&self, head: &str) -> Output {
        Output::text(format!("{head}\n\n{}", Picture(&self.board)))
    }
}

fn nothing_done(why: &Refused) -> Output {
    Output::text(format!("Nothing done: {why}."))
}

export!(Minesweeper);

#[cfg(test)]
mod tests;
