//! The state of a mine field, and the effects of moves.
//!
//! The first reveal places the mines away from its cell, so that it is safe with
//! every seed. Until then the board has only a random number generator.
//! `Board::at` rejects coordinates outside the board, so a `Cell` is always on
//! it.

use orwd_sdk::Rng;

use crate::task::Rules;

/// A cell of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    row: usize,
    column: usize,
}

/// A cell as a player sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Hidden,
    Flagged,
    /// Open, with this number of adjacent mines.
    Open(u8),
    /// A mine; visible only when the game is lost.
    Mine,
    /// The mine that was revealed.
    Exploded,
}

/// The state of a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    /// Every safe cell is revealed.
    Cleared,
    /// A mine was revealed.
    Exploded,
}

/// The reason why a move is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("`{axis}` is {asked}, and this board's go from 0 to {last}")]
    OffTheBoard {
        axis: &'static str,
        asked: i64,
        last: usize,
    },
    #[error("that cell is flagged: take the flag away first")]
    Flagged,
    #[error("that cell is already open")]
    AlreadyOpen,
    #[error("the game is over")]
    Over,
}

#[derive(Clone, Copy, Default)]
struct Square {
    mine: bool,
    open: bool,
    flagged: bool,
}

/// A mine field in play.
pub(crate) struct Board {
    rules: Rules,
    /// In row-major order.
    squares: Vec<Square>,
    /// The random number generator, until the mines are placed.
    unlaid: Option<Rng>,
    opened: usize,
    exploded: Option<Cell>,
}

impl Board {
    /// Creates a board; the first reveal places its mines.
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            squares: vec![Square::default(); rules.cells()],
            unlaid: Some(Rng::from_seed(seed)),
            opened: 0,
            exploded: None,
        }
    }

    /// Returns the cell in a row and column, each counted from 0.
    pub(crate) fn at(&self, row: i64, column: i64) -> Result<Cell, Refused> {
        let within = |axis, asked: i64, count: usize| {
            usize::try_from(asked)
                .ok()
                .filter(|place| *place < count)
                .ok_or(Refused::OffTheBoard {
                    axis,
                    asked,
                    last: count.saturating_sub(1),
                })
        };
        Ok(Cell {
            row: within("row", row, self.rules.rows())?,
            column: within("column", column, self.rules.columns())?,
        })
    }

    /// Opens a cell and, recursively, the neighbours of each cell with no adjacent
    /// mine. Returns the number of opened cells, which is 0 for a mine.
    pub(crate) fn reveal(&mut self, cell: Cell) -> Result<usize, Refused> {
        let square = self.square(cell);
        match self.standing() {
            Standing::Cleared | Standing::Exploded => return Err(Refused::Over),
            Standing::Open if square.flagged => return Err(Refused::Flagged),
            Standing::Open if square.open => return Err(Refused::AlreadyOpen),
            Standing::Open => {}
        }
        if let Some(rng) = self.unlaid.take() {
            self.lay_mines(rng, cell);
        }
        if self.square(cell).mine {
            self.exploded = Some(cell);
            return Ok(0);
        }
        let before = self.opened;
        self.flood(cell);
        Ok(self.opened - before)
    }

    /// Sets or removes the flag of a hidden cell. Returns whether it has one now.
    pub(crate) fn toggle_flag(&mut self, cell: Cell) -> Result<bool, Refused> {
        match self.standing() {
            Standing::Cleared | Standing::Exploded => return Err(Refused::Over),
            Standing::Open if self.square(cell).open => return Err(Refused::AlreadyOpen),
            Standing::Open => {}
        }
        let flagged = !self.square(cell).flagged;
        self.change(cell, |square| square.flagged = flagged);
        Ok(flagged)
    }

    /// Returns the state of the game.
    pub(crate) fn standing(&self) -> Standing {
        if self.exploded.is_some() {
            Standing::Exploded
        } else if self.opened == self.rules.safe_cells() {
            Standing::Cleared
        } else {
            Standing::Open
        }
    }

    /// A cell as a player sees it.
    pub(crate) fn view(&self, cell: Cell) -> View {
        let square = self.square(cell);
        let lost = self.standing() == Standing::Exploded;
        match square {
            _ if self.exploded == Some(cell) => View::Exploded,
            Square { open: true, .. } => View::Open(self.mines_around(cell)),
            Square { mine: true, .. } if lost => View::Mine,
            Square { flagged: true, .. } => View::Flagged,
            _ => View::Hidden,
        }
    }

    /// Returns the rules of this board.
    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    /// Returns the number of flagged cells.
    pub(crate) fn flags(&self) -> usize {
        self.squares.iter().filter(|square| square.flagged).count()
    }

    /// Returns the number of safe cells that are still closed.
    pub(crate) fn to_open(&self) -> usize {
        self.rules.safe_cells() - self.opened
    }

    /// Returns the cells of a row, from left to right.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = Cell> {
        (0..self.rules.columns()).map(move |column| Cell { row, column })
    }

    /// Places the mines, never on the first cell, and beside it only if there is
    /// no other free cell.
    fn lay_mines(&mut self, mut rng: Rng, first: Cell) {
        let (mut beside, mut elsewhere) = (Vec::new(), Vec::new());
        for cell in (0..self.rules.rows()).flat_map(|row| self.row(row)) {
            if cell == first {
                continue;
            }
            if touches(cell, first) {
                beside.push(cell);
            } else {
                elsewhere.push(cell);
            }
        }
        let far = self.rules.mines().min(elsewhere.len());
        let near = self.rules.mines() - far;
        rng.shuffle(&mut elsewhere);
        rng.shuffle(&mut beside);
        let mined = elsewhere.iter().take(far).chain(beside.iter().take(near));
        for &cell in mined {
            self.change(cell, |square| square.mine = true);
        }
    }

    /// Opens a safe cell and, recursively, the neighbours of cells with no
    /// adjacent mine. Flagged cells stay closed.
    fn flood(&mut self, from: Cell) {
        let mut pending = vec![from];
        while let Some(cell) = pending.pop() {
            let square = self.square(cell);
            if square.open || square.flagged {
                continue;
            }
            self.change(cell, |square| square.open = true);
            self.opened += 1;
            if self.mines_around(cell) == 0 {
                pending.extend(self.neighbours(cell));
            }
        }
    }

    fn mines_around(&self, cell: Cell) -> u8 {
        self.neighbours(cell)
            .map(|near| u8::from(self.square(near).mine))
            .sum()
    }

    fn neighbours(&self, cell: Cell) -> impl Iterator<Item = Cell> + use<> {
        let rows = around(cell.row, self.rules.rows());
        let columns = around(cell.column, self.rules.columns());
        rows.flat_map(move |row| columns.clone().map(move |column| Cell { row, column }))
            .filter(move |near| *near != cell)
    }

    /// Returns a copy of a square; a `Cell` of this board always has one.
    fn square(&self, cell: Cell) -> Square {
        self.squares
            .get(self.place(cell))
            .copied()
            .unwrap_or_default()
    }

    fn change(&mut self, cell: Cell, change: impl FnOnce(&mut Square)) {
        let place = self.place(cell);
        if let Some(square) = self.squares.get_mut(place) {
            change(square);
        }
    }

    fn place(&self, cell: Cell) -> usize {
        cell.row * self.rules.columns() + cell.column
    }
}

/// Returns the range from the previous to the next index, within the board.
fn around(place: usize, count: usize) -> std::ops::Range<usize> {
    place.saturating_sub(1)..(place + 2).min(count)
}

fn touches(one: Cell, other: Cell) -> bool {
    one.row.abs_diff(other.row) <= 1 && one.column.abs_diff(other.column) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a board with mines where a drawing has `*`.
    fn drawn(drawing: &[&str]) -> Board {
        let mines = drawing.concat().matches('*').count();
        let rules = Rules::new(drawing.len(), drawing[0].len(), mines).unwrap();
        let mut board = Board::new(rules, 0);
        board.unlaid = None;
        for (square, c) in board.squares.iter_mut().zip(drawing.concat().chars()) {
            square.mine = c == '*';
        }
        board
    }

    /// Draws the board as a player sees it, one line for each row.
    fn seen(board: &Board) -> Vec<String> {
        (0..board.rules.rows())
            .map(|row| {
                board
                    .row(row)
                    .map(|cell| match board.view(cell) {
                        View::Hidden => '#',
                        View::Flagged => 'F',
                        View::Open(near) => char::from(b'0' + near),
                        View::Mine => '*',
                        View::Exploded => 'X',
                    })
                    .collect()
            })
            .collect()
    }

    fn reveal(board: &mut Board, row: i64, column: i64) -> Result<usize, Refused> {
        board.reveal(board.at(row, column).unwrap())
    }

    fn flag(board: &mut Board, row: i64, column: i64) -> Result<bool, Refused> {
        board.toggle_flag(board.at(row, column).unwrap())
    }

    #[test]
    fn the_first_reveal_is_safe_with_every_seed() {
        for (rows, columns, mines) in [(1, 2, 1), (2, 2, 3), (5, 5, 16), (5, 5, 24), (9, 9, 10)] {
            let rules = Rules::new(rows, columns, mines).unwrap();
            for seed in 0..200 {
                let mut board = Board::new(rules, seed);
                let corner = board.at(rows as i64 - 1, 0).unwrap();
                assert!(board.reveal(corner).unwrap() >= 1);
                let laid = board.squares.iter().filter(|square| square.mine).count();
                assert_eq!(laid, mines);
            }
        }
    }

    #[test]
    fn the_first_reveal_opens_an_area_if_possible() {
        let rules = Rules::new(5, 5, 16).unwrap();
        for seed in 0..200 {
            let mut board = Board::new(rules, seed);
            // Only the nine cells around the middle are safe.
            assert_eq!(reveal(&mut board, 2, 2), Ok(9));
            assert_eq!(board.standing(), Standing::Cleared);
        }
    }

    #[test]
    fn the_seed_and_the_first_cell_determine_the_board() {
        let rules = Rules::new(9, 9, 10).unwrap();
        let laid = |seed, row, column| {
            let mut board = Board::new(rules, seed);
            reveal(&mut board, row, column).unwrap();
            board.squares.iter().map(|s| s.mine).collect::<Vec<_>>()
        };
        assert_eq!(laid(7, 4, 4), laid(7, 4, 4));
        assert_ne!(laid(7, 4, 4), laid(8, 4, 4));
        assert_ne!(laid(7, 4, 4), laid(7, 0, 0));
    }

    #[test]
    fn a_reveal_floods_up_to_the_numbers() {
        let mut board = drawn(&["....", "....", "*...", "...*"]);
        assert_eq!(reveal(&mut board, 0, 3), Ok(11));
        assert_eq!(seen(&board), ["0000", "1100", "#111", "####"]);
        assert_eq!(reveal(&mut board, 3, 0), Ok(1));
        assert_eq!(seen(&board)[3], "1###");
        assert_eq!(board.to_open(), 2);
        assert_eq!(board.standing(), Standing::Open);
    }

    #[test]
    fn numbers_count_all_eight_neighbours() {
        let mut board = drawn(&["***", "*.*", "***"]);
        assert_eq!(reveal(&mut board, 1, 1), Ok(1));
        assert_eq!(seen(&board), ["###", "#8#", "###"]);
        assert_eq!(board.standing(), Standing::Cleared);
    }

    #[test]
    fn a_mine_ends_the_game_and_shows_the_others() {
        let mut board = drawn(&["*.*", "...", "*.."]);
        reveal(&mut board, 0, 1).unwrap();
        flag(&mut board, 0, 2).unwrap();
        flag(&mut board, 1, 0).unwrap();
        assert_eq!(reveal(&mut board, 2, 0), Ok(0));
        assert_eq!(board.standing(), Standing::Exploded);
        assert_eq!(seen(&board), ["*2*", "F##", "X##"]);
        assert_eq!(reveal(&mut board, 2, 2), Err(Refused::Over));
        assert_eq!(flag(&mut board, 2, 2), Err(Refused::Over));
    }

    #[test]
    fn a_flag_protects_its_cell() {
        let mut board = drawn(&["...", "...", "..*"]);
        assert_eq!(flag(&mut board, 0, 0), Ok(true));
        assert_eq!(reveal(&mut board, 0, 0), Err(Refused::Flagged));
        // A recursive reveal does not open it either.
        assert_eq!(reveal(&mut board, 0, 1), Ok(7));
        assert_eq!(seen(&board), ["F00", "011", "01#"]);
        assert_eq!(board.flags(), 1);
        assert_eq!(flag(&mut board, 0, 0), Ok(false));
        assert_eq!(reveal(&mut board, 0, 0), Ok(1));
        assert_eq!(board.standing(), Standing::Cleared);
    }

    #[test]
    fn an_open_cell_stays_as_it_is() {
        let mut board = drawn(&["*...", "...*"]);
        reveal(&mut board, 0, 1).unwrap();
        assert_eq!(reveal(&mut board, 0, 1), Err(Refused::AlreadyOpen));
        assert_eq!(flag(&mut board, 0, 1), Err(Refused::AlreadyOpen));
    }

    #[test]
    fn cells_off_the_board_are_refused() {
        let board = drawn(&["*...", "...."]);
        let table = [
            (2, 0, "`row` is 2, and this board's go from 0 to 1"),
            (-1, 0, "`row` is -1, and this board's go from 0 to 1"),
            (0, 4, "`column` is 4, and this board's go from 0 to 3"),
            (
                0,
                i64::MAX,
                "`column` is 9223372036854775807, and this board's go from 0 to 3",
            ),
        ];
        for (row, column, why) in table {
            assert_eq!(board.at(row, column).unwrap_err().to_string(), why);
        }
    }
}
